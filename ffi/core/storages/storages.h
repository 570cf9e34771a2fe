// The storages: the precisions that a row is stored in. Arithmetic is FP32.
//
// A storage is a type with a name, the Element of a row, and whether a store rounds. The bits of
// kExponent are all ones in what is infinite or NaN: an element, or a scale where storages are
// scaled, as int8.h is. An element that rounds and has no scale is a number by itself, made by
// decode() and encode().
//
// To add one: its type, here and in the list; how a GPU reads and adds it, in cuda/storages. Where
// instructions do better than one number after the other, core/lanes has a load() and a store().
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "core/storages/float16.h"
#include "core/storages/float32.h"
#include "core/storages/int8.h"

namespace mascot {

template <class... S>
struct StorageList {};

// The list that all else follows from.
using Storages = StorageList<Float32, Float16, Int8>;

// A storage's code, as group tables hold it: its place in the list, which mascot_jax has, too. A
// row is promoted to a lower code.
enum class Storage : uint8_t {};

template <class S, class... All>
constexpr Storage code_in(StorageList<All...>) {
  int code = 0;
  bool found = false;
  ((found |= std::is_same_v<S, All>, code += !found), ...);
  return static_cast<Storage>(code);
}
template <class S>
inline constexpr Storage kCode = code_in<S>(Storages{});

// What is known of a storage without its type.
struct StorageTraits {
  const char* name;
  int64_t bytes;  // of an element
  uint32_t exponent;
  bool scaled;
};
template <class... S>
constexpr std::array<StorageTraits, sizeof...(S)> traits_in(StorageList<S...>) {
  return {{{S::kName, sizeof(typename S::Element), S::kExponent, S::kScaled}...}};
}
inline constexpr auto kTraits = traits_in(Storages{});
constexpr const StorageTraits& traits(Storage storage) {
  return kTraits[static_cast<std::size_t>(storage)];
}

inline constexpr int kStorages = kTraits.size();

// Bits of a code.
constexpr int code_bits() {
  int bits = 1;
  while (1 << bits < kStorages) ++bits;
  return bits;
}
inline constexpr int kCodeBits = code_bits();

}  // namespace mascot

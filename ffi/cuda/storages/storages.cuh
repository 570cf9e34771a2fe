// The precisions a row is stored in, on the device. Arithmetic is FP32.
#pragma once

#include "cuda/storages/float16.cuh"
#include "cuda/storages/float32.cuh"
#include "cuda/storages/int8.cuh"

namespace mascot::cuda {

template <class S>
inline constexpr int kBytes = sizeof(typename S::Element);

// Whether a storage is in a list.
template <class S, class... All>
constexpr bool is_in(StorageList<All...>) {
  return (std::is_same_v<S, All> || ...);
}
template <class S, class List>
inline constexpr bool kHas = is_in<S>(List{});

template <class... S>
constexpr int size_of(StorageList<S...>) {
  return sizeof...(S);
}
template <class List>
inline constexpr int kSize = size_of(List{});

// Those of a list of which a lane can hold V components in 16 bytes.
template <int V, class List, class... Kept>
struct FittingIn {
  using Type = StorageList<Kept...>;
};
template <int V, class S, class... Others, class... Kept>
struct FittingIn<V, StorageList<S, Others...>, Kept...>
    : std::conditional_t<(V * kBytes<S> <= 16), FittingIn<V, StorageList<Others...>, Kept..., S>,
                         FittingIn<V, StorageList<Others...>, Kept...>> {};
template <int V, class List>
using Fitting = typename FittingIn<V, List>::Type;

// A row's storage: known when compiling if there is only one.
template <class... S>
__device__ Storage storage_among(StorageList<S...>, Storage storage) {
  if constexpr (sizeof...(S) == 1) return (kCode<S>, ...);
  return storage;
}

// Calls body(S) with a storage's type; the storage must be in the list.
template <class Body, class S, class... Others>
__device__ void with_storage_in(StorageList<S, Others...>, Storage storage, const Body& body) {
  if constexpr (sizeof...(Others) == 0) {
    body(S{});
  } else {
    if (storage == kCode<S>) return body(S{});
    with_storage_in(StorageList<Others...>{}, storage, body);
  }
}

// The logarithms of all storages' bytes of a component, two bits each.
template <class... S>
constexpr uint32_t byte_bits_in(StorageList<S...>) {
  static_assert(sizeof...(S) <= 16);
  uint32_t packed = 0, at = 0;
  ((packed |= (kBytes<S> == 4 ? 2u : kBytes<S> == 2 ? 1u : 0u) << at, at += 2), ...);
  return packed;
}
inline constexpr uint32_t kByteBits = byte_bits_in(Storages{});
__device__ inline int byte_bits(Storage storage) {
  return static_cast<int>(kByteBits >> 2 * static_cast<uint32_t>(storage) & 3);
}

}  // namespace mascot::cuda

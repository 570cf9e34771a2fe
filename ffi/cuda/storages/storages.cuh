// The precisions a row is stored in, on the device. Arithmetic is FP32.
#pragma once

#include "cuda/storages/float16.cuh"
#include "cuda/storages/float32.cuh"
#include "cuda/storages/int8.cuh"

namespace mascot::cuda {

template <class S>
inline constexpr int kBytes = sizeof(typename S::Element);

// Calls body(S) with a storage's type, of those of which a lane can hold V components in 16 bytes:
// rows of FP32 are met in the wide layout only.
template <int V, class Body, class S, class... Others>
__device__ void with_storage_in(StorageList<S, Others...>, Storage storage, const Body& body) {
  if constexpr (sizeof...(Others) == 0) {
    body(S{});
  } else {
    if constexpr (V * kBytes<S> <= 16) {
      if (storage == kCode<S>) return body(S{});
    }
    with_storage_in<V>(StorageList<Others...>{}, storage, body);
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

// IEEE 754 binary16 on the device, in pairs.
#pragma once

#include "cuda/storages/on_device.cuh"

namespace mascot::cuda {

template <>
struct OnDevice<Float16> {
  template <int V>
  static __device__ Vector<V> decode(const Words<V / 2>& words) {
    Vector<V> v;
#pragma unroll
    for (int i = 0; i < V / 2; ++i) {
      const Vector<2> pair = unpack_halves(words.at[i]);
      v.at[2 * i] = pair.at[0];
      v.at[2 * i + 1] = pair.at[1];
    }
    return v;
  }
  // To nearest.
  template <int V>
  static __device__ Words<V / 2> encode(const Vector<V>& v) {
    Words<V / 2> words;
#pragma unroll
    for (int i = 0; i < V / 2; ++i) words.at[i] = pack_halves(v.at[2 * i], v.at[2 * i + 1]);
    return words;
  }

  // The sums are rounded to nearest.
  template <int V>
  static __device__ void add(void* row, const Vector<V>& change) {
    add_halves(row, encode<V>(change));
  }
};

}  // namespace mascot::cuda

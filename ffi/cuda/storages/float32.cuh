// IEEE 754 binary32 on the device.
#pragma once

#include "cuda/storages/on_device.cuh"

namespace mascot::cuda {

template <>
struct OnDevice<Float32> {
  template <int V>
  static __device__ Vector<V> decode(const Words<V>& words) {
    Vector<V> v;
#pragma unroll
    for (int i = 0; i < V; ++i) v.at[i] = float_of(words.at[i]);
    return v;
  }
  template <int V>
  static __device__ Words<V> encode(const Vector<V>& v) {
    Words<V> words;
#pragma unroll
    for (int i = 0; i < V; ++i) words.at[i] = bits_of(v.at[i]);
    return words;
  }

  static __device__ void add(void* row, const Vector<4>& change) {
    add_floats(static_cast<float*>(row), change);
  }
};

}  // namespace mascot::cuda

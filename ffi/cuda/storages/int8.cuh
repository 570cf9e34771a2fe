// Int8 on the device, whole numbers and their scales apart.
#pragma once

#include "cuda/storages/on_device.cuh"

namespace mascot::cuda {

template <>
struct OnDevice<Int8> {
  // As whole numbers: scaled() makes components of them, and is exact.
  template <int V>
  static __device__ Vector<V> decode(const Words<V / 4>& words) {
    // 2^23 + 128 + the number, made of its bits: conversions proper have a quarter of the rate.
    constexpr uint32_t kLarge = 0x4b000000u;
    Vector<V> v;
#pragma unroll
    for (int i = 0; i < V; ++i) {
      const uint32_t byte = (words.at[i / 4] ^ 0x80808080u) >> (i % 4 * 8) & 0xffu;
      v.at[i] = float_of(kLarge | byte) - (0x1p23f + 128);
    }
    return v;
  }
  // Of numbers from 0 to 256, which stand for 128 less, by cutting them off; others become
  // something.
  template <int V>
  static __device__ Words<V / 4> encode(const Vector<V>& v) {
    Words<V / 4> words;
#pragma unroll
    for (int i = 0; i < V / 4; ++i) {
      const float* at = v.at + 4 * i;
      words.at[i] =
          (to_byte(at[0]) | to_byte(at[1]) << 8 | to_byte(at[2]) << 16 | to_byte(at[3]) << 24) ^
          0x80808080u;
    }
    return words;
  }

  // 1/127 of a block's largest magnitude, to 17 bits; infinite or NaN where that is.
  static __device__ float scale_for(uint32_t magnitude_bits) {
    const float largest = float_of(magnitude_bits);
    if (largest < kSmallestBlock) return 0;
    return float_of((bits_of(largest / 127) + Int8::kScaleRounding) & Int8::kScaleMask);
  }
  static __device__ float steps_per_unit(float scale) { return scale == 0 ? 0 : 1 / scale; }
};

template <int V>
__device__ Vector<V> scaled(Vector<V> v, float scale) {
#pragma unroll
  for (float& x : v.at) x *= scale;
  return v;
}

}  // namespace mascot::cuda

// The precisions a row is stored in, as types that make numbers of what lies in memory and back.
// Arithmetic is FP32.
#pragma once

#include "core/groups.h"
#include "core/model.h"
#include "cuda/hardware.cuh"

namespace mascot::cuda {

struct Float32 {
  static constexpr Storage kStorage = Storage::kFloat32;
  static constexpr int kBytes = 4;  // of a component

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
};

struct Float16 {
  static constexpr Storage kStorage = Storage::kFloat16;
  static constexpr int kBytes = 2;

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
};

// A component is a whole number of its block's scale, from -127 to 127; a row's scales lie behind
// its components, padded to a multiple of sixteen (core/kernel_codec.h).
struct Int8 {
  static constexpr Storage kStorage = Storage::kInt8;
  static constexpr int kBytes = 1;

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

  static constexpr float kHalfStep = 128.5f;  // added to whole numbers, makes cutting off rounding

  // 1/127 of a block's largest magnitude, to 17 bits; infinite or NaN where that is.
  static __device__ float scale_for(uint32_t magnitude_bits) {
    const float largest = float_of(magnitude_bits);
    if (largest < kSmallestBlock) return 0;
    return float_of((bits_of(largest / 127) + kScaleRounding) & kScaleMask);
  }
  static __device__ float steps_per_unit(float scale) { return scale == 0 ? 0 : 1 / scale; }
};

template <int V>
__device__ Vector<V> scaled(Vector<V> v, float scale) {
#pragma unroll
  for (float& x : v.at) x *= scale;
  return v;
}

// The logarithm of a component's bytes, 4, 2 or 1: each storage has half the bits of that before
// it.
__device__ inline int byte_bits(Storage storage) { return 2 - static_cast<int>(storage); }

}  // namespace mascot::cuda

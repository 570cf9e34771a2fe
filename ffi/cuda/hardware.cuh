// The machine below the kernels: vectors of row components and the ways to move them.
// Rows bypass L1, which other multiprocessors' updates do not reach.
// Compiled for the host, threads are fibres and these plain code: tests/native/hardware_on_host.h.
#pragma once

#include <cstdint>

namespace mascot::cuda {

inline constexpr int kWarp = 32;
inline constexpr unsigned kAllLanes = 0xffffffffu;

template <int V>
struct Vector {
  float at[V];
};

}  // namespace mascot::cuda

#if !defined(__CUDACC__)
#include "hardware_on_host.h"
#else
#include <cuda_fp16.h>

#define MASCOT_SHARED_MEMORY(name) extern __shared__ __align__(16) char name[]

namespace mascot::cuda {

// A number that the compiler cannot know to be the same in the next turn of a loop: it would keep
// what follows from it in registers, and spill.
__device__ inline int opaque(int value) {
  asm volatile("" : "+r"(value));
  return value;
}

// ---- FP32 rows: 16 bytes are 4 components

__device__ inline Vector<4> load4(const float* row) {
  const float4 v = __ldcg(reinterpret_cast<const float4*>(row));
  return {{v.x, v.y, v.z, v.w}};
}

__device__ inline void store4(float* row, const Vector<4>& v) {
  __stcg(reinterpret_cast<float4*>(row), make_float4(v.at[0], v.at[1], v.at[2], v.at[3]));
}

// One reduction of 16 bytes where the hardware has it (compute capability 9.0), else four.
__device__ inline void add4(float* row, const Vector<4>& v) {
#if __CUDA_ARCH__ >= 900
  asm volatile("red.global.add.v4.f32 [%0], {%1, %2, %3, %4};" ::"l"(row), "f"(v.at[0]),
               "f"(v.at[1]), "f"(v.at[2]), "f"(v.at[3])
               : "memory");
#else
  for (int i = 0; i < 4; ++i) atomicAdd(row + i, v.at[i]);
#endif
}

// ---- FP16 rows: 8 bytes are 4 components, 16 bytes 8

__device__ inline float2 unpack(uint32_t pair) {
  return __half22float2(*reinterpret_cast<const __half2*>(&pair));
}

__device__ inline uint32_t pack(float low, float high) {
  const __half2 pair = __floats2half2_rn(low, high);
  return *reinterpret_cast<const uint32_t*>(&pair);
}

__device__ inline float round_to_half(float value) { return __half2float(__float2half_rn(value)); }

template <int V>
__device__ inline Vector<V> load_halves(const uint16_t* row) {
  uint32_t words[V / 2];
  if constexpr (V == 8) {
    *reinterpret_cast<uint4*>(words) = __ldcg(reinterpret_cast<const uint4*>(row));
  } else {
    *reinterpret_cast<uint2*>(words) = __ldcg(reinterpret_cast<const uint2*>(row));
  }
  Vector<V> v;
#pragma unroll
  for (int i = 0; i < V / 2; ++i) {
    const float2 pair = unpack(words[i]);
    v.at[2 * i] = pair.x;
    v.at[2 * i + 1] = pair.y;
  }
  return v;
}

template <int V>
__device__ inline void pack_halves(const Vector<V>& v, uint32_t* words) {
#pragma unroll
  for (int i = 0; i < V / 2; ++i) words[i] = pack(v.at[2 * i], v.at[2 * i + 1]);
}

template <int V>
__device__ inline void store_halves(uint16_t* row, const Vector<V>& v) {
  uint32_t words[V / 2];
  pack_halves(v, words);
  if constexpr (V == 8) {
    __stcg(reinterpret_cast<uint4*>(row), make_uint4(words[0], words[1], words[2], words[3]));
  } else {
    __stcg(reinterpret_cast<uint2*>(row), make_uint2(words[0], words[1]));
  }
}

// The sum is rounded to FP16 where it is made, in L2.
template <int V>
__device__ inline void add_halves(uint16_t* row, const Vector<V>& v) {
  uint32_t words[V / 2];
  pack_halves(v, words);
#if __CUDA_ARCH__ >= 900
  if constexpr (V == 8) {
    asm volatile("red.global.add.noftz.v4.f16x2 [%0], {%1, %2, %3, %4};" ::"l"(row), "r"(words[0]),
                 "r"(words[1]), "r"(words[2]), "r"(words[3])
                 : "memory");
  } else {
    asm volatile("red.global.add.noftz.v2.f16x2 [%0], {%1, %2};" ::"l"(row), "r"(words[0]),
                 "r"(words[1])
                 : "memory");
  }
#else
  for (int i = 0; i < V / 2; ++i) {
    atomicAdd(reinterpret_cast<__half2*>(row) + i, *reinterpret_cast<const __half2*>(&words[i]));
  }
#endif
}

// Ratings pass once per epoch: they should not push rows out of L2.
template <class T>
__device__ inline T load_once(const T* address) {
  return __ldcs(address);
}

}  // namespace mascot::cuda

#endif

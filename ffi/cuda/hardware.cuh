// The machine below the kernels: vectors of row components and the ways to move them.
// Rows bypass L1, which other multiprocessors' updates do not reach.
// Compiled for the host, threads are fibres and these plain code: tests/native/hardware_on_host.h.
#pragma once

#include <cstdint>
#include <cstring>

#include "core/host_device.h"

namespace mascot::cuda {

inline constexpr int kWarp = 32;
inline constexpr unsigned kAllLanes = 0xffffffffu;

// Components of a row as numbers, and as they lie in memory.
template <int V>
struct Vector {
  float at[V];
};
template <int N>
struct alignas(4 * N) Words {
  uint32_t at[N];
};

}  // namespace mascot::cuda

#if !defined(__CUDACC__)
#include "hardware_on_host.h"
#else
#include <cuda_fp16.h>

#define MASCOT_SHARED_MEMORY(name) extern __shared__ __align__(16) char name[]

namespace mascot::cuda {

// ---- 4, 8 or 16 bytes of a row

template <int N>
__device__ inline Words<N> load_words(const void* row) {
  Words<N> words;
  if constexpr (N == 4) {
    *reinterpret_cast<uint4*>(words.at) = __ldcg(static_cast<const uint4*>(row));
  } else if constexpr (N == 2) {
    *reinterpret_cast<uint2*>(words.at) = __ldcg(static_cast<const uint2*>(row));
  } else {
    words.at[0] = __ldcg(static_cast<const uint32_t*>(row));
  }
  return words;
}

template <int N>
__device__ inline void store_words(void* row, const Words<N>& words) {
  const uint32_t* at = words.at;
  if constexpr (N == 4) {
    __stcg(static_cast<uint4*>(row), make_uint4(at[0], at[1], at[2], at[3]));
  } else if constexpr (N == 2) {
    __stcg(static_cast<uint2*>(row), make_uint2(at[0], at[1]));
  } else {
    __stcg(static_cast<uint32_t*>(row), at[0]);
  }
}

// Two bytes.
__device__ inline uint32_t load_half_word(const void* address) {
  return __ldcg(static_cast<const unsigned short*>(address));
}
__device__ inline void store_half_word(void* address, uint32_t value) {
  __stcg(static_cast<unsigned short*>(address), static_cast<unsigned short>(value));
}

// One reduction of 16 bytes where the hardware has it (compute capability 9.0), else four.
__device__ inline void add_floats(float* row, const Vector<4>& v) {
#if __CUDA_ARCH__ >= 900
  asm volatile("red.global.add.v4.f32 [%0], {%1, %2, %3, %4};" ::"l"(row), "f"(v.at[0]),
               "f"(v.at[1]), "f"(v.at[2]), "f"(v.at[3])
               : "memory");
#else
  for (int i = 0; i < 4; ++i) atomicAdd(row + i, v.at[i]);
#endif
}

// Pairs of FP16 numbers; each sum is rounded to FP16 where it is made, in L2.
template <int N>
__device__ inline void add_halves(void* row, const Words<N>& words) {
#if __CUDA_ARCH__ >= 900
  const uint32_t* at = words.at;
  if constexpr (N == 4) {
    asm volatile("red.global.add.noftz.v4.f16x2 [%0], {%1, %2, %3, %4};" ::"l"(row), "r"(at[0]),
                 "r"(at[1]), "r"(at[2]), "r"(at[3])
                 : "memory");
  } else {
    asm volatile("red.global.add.noftz.v2.f16x2 [%0], {%1, %2};" ::"l"(row), "r"(at[0]), "r"(at[1])
                 : "memory");
  }
#else
  for (int i = 0; i < N; ++i) {
    atomicAdd(static_cast<__half2*>(row) + i, *reinterpret_cast<const __half2*>(&words.at[i]));
  }
#endif
}

// Ratings pass once per epoch: they should not push rows out of L2.
template <class T>
__device__ inline T load_once(const T* address) {
  return __ldcs(address);
}

// ---- numbers

__device__ inline Vector<2> unpack_halves(uint32_t pair) {
  const float2 v = __half22float2(*reinterpret_cast<const __half2*>(&pair));
  return {{v.x, v.y}};
}
__device__ inline uint32_t pack_halves(float low, float high) {
  const __half2 pair = __floats2half2_rn(low, high);
  return *reinterpret_cast<const uint32_t*>(&pair);
}
__device__ inline float round_to_half(float value) { return __half2float(__float2half_rn(value)); }

// ---- arithmetic of pairs of FP16 numbers: each operation rounds once, and none is fused with
// another

__device__ inline __half2 halves_of(uint32_t pair) {
  return *reinterpret_cast<const __half2*>(&pair);
}
__device__ inline uint32_t pair_of(__half2 halves) {
  return *reinterpret_cast<const uint32_t*>(&halves);
}
__device__ inline uint32_t fma_halves(uint32_t a, uint32_t b, uint32_t c) {
  return pair_of(__hfma2(halves_of(a), halves_of(b), halves_of(c)));
}
__device__ inline uint32_t multiply_halves(uint32_t a, uint32_t b) {
  return pair_of(__hmul2_rn(halves_of(a), halves_of(b)));
}
__device__ inline uint32_t sum_of_halves(uint32_t a, uint32_t b) {
  return pair_of(__hadd2_rn(halves_of(a), halves_of(b)));
}
__device__ inline uint32_t difference_of_halves(uint32_t a, uint32_t b) {
  return pair_of(__hsub2_rn(halves_of(a), halves_of(b)));
}

// The whole part, from 0 to 255; what is no number becomes 0.
__device__ inline uint32_t to_byte(float value) { return min(__float2uint_rz(value), 255u); }

}  // namespace mascot::cuda

#endif

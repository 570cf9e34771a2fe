// Marks a function that the CUDA kernels call too; and what lies between numbers and their bits.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__CUDACC__)
#define MASCOT_HD __host__ __device__
#else
#define MASCOT_HD
#endif

// A call in the loop over ratings costs more than its work.
// Lambdas take the attribute without `inline`.
#define MASCOT_INLINED __attribute__((always_inline))
#define MASCOT_INLINE MASCOT_HD inline MASCOT_INLINED

namespace mascot {

MASCOT_HD inline uint32_t bits_of(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}
MASCOT_HD inline float float_of(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

// a b, rounded: never part of a fused multiply-add, of which a GPU's compiler makes all it can.
MASCOT_HD inline float product(float a, float b) {
#if defined(__CUDA_ARCH__)
  return __fmul_rn(a, b);
#else
  return a * b;
#endif
}
MASCOT_HD inline double product(double a, double b) {
#if defined(__CUDA_ARCH__)
  return __dmul_rn(a, b);
#else
  return a * b;
#endif
}

}  // namespace mascot

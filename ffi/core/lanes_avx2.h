// Sixteen FP32 lanes as two AVX registers, FP16 through F16C.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "core/groups.h"

namespace mascot::avx2 {

// Two rows of this many chunks stay in the 16 registers beside the accumulators;
// longer rows would be spilled.
inline constexpr int kHeldChunks = 2;

struct Lanes {
  __m256 low, high;
};

inline Lanes broadcast(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
inline Lanes multiply(Lanes a, Lanes b) {
  return {_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)};
}
inline Lanes add(Lanes a, Lanes b) {
  return {_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)};
}
inline Lanes subtract(Lanes a, Lanes b) {
  return {_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)};
}
// a * b + c, rounded once
inline Lanes fma(Lanes a, Lanes b, Lanes c) {
  return {_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
}
// Lane i plus lane i + n/2, down to one.
inline float sum(Lanes a) {
  const __m256 eight = _mm256_add_ps(a.low, a.high);
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}
inline Lanes load_floats(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
inline void store_floats(float* p, Lanes a) {
  _mm256_storeu_ps(p, a.low);
  _mm256_storeu_ps(p + 8, a.high);
}
inline void keep(Lanes& a) { __asm__ volatile("" : "+x"(a.low), "+x"(a.high)); }

struct Float32 {
  static constexpr Storage kStorage = Storage::kFloat32;
  using Element = float;
  static Lanes load(const Element* p) { return load_floats(p); }
  static void store(Element* p, Lanes a) { store_floats(p, a); }
  static Lanes rounded(Lanes a) { return a; }
};

struct Float16 {
  static constexpr Storage kStorage = Storage::kFloat16;
  using Element = uint16_t;
  static constexpr int kNearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
  static Lanes load(const Element* p) {
    const __m128i* halves = reinterpret_cast<const __m128i*>(p);
    return {_mm256_cvtph_ps(_mm_loadu_si128(halves)), _mm256_cvtph_ps(_mm_loadu_si128(halves + 1))};
  }
  static void store(Element* p, Lanes a) {
    __m128i* halves = reinterpret_cast<__m128i*>(p);
    _mm_storeu_si128(halves, _mm256_cvtps_ph(a.low, kNearest));
    _mm_storeu_si128(halves + 1, _mm256_cvtps_ph(a.high, kNearest));
  }
  static Lanes rounded(Lanes a) {
    return {_mm256_cvtph_ps(_mm256_cvtps_ph(a.low, kNearest)),
            _mm256_cvtph_ps(_mm256_cvtps_ph(a.high, kNearest))};
  }
};

}  // namespace mascot::avx2

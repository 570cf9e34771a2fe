// Sixteen FP32 lanes in one AVX-512 register.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "core/groups.h"

namespace mascot::avx512 {

// Two rows of this many chunks stay in the 32 registers beside the accumulators.
inline constexpr int kHeldChunks = 8;

struct Lanes {
  __m512 v;
};

inline Lanes broadcast(float x) { return {_mm512_set1_ps(x)}; }
inline Lanes multiply(Lanes a, Lanes b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline Lanes add(Lanes a, Lanes b) { return {_mm512_add_ps(a.v, b.v)}; }
inline Lanes subtract(Lanes a, Lanes b) { return {_mm512_sub_ps(a.v, b.v)}; }
// a * b + c, rounded once
inline Lanes fma(Lanes a, Lanes b, Lanes c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
// Lane i plus lane i + n/2, down to one.
inline float sum(Lanes a) {
  const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}
inline Lanes load_floats(const float* p) { return {_mm512_loadu_ps(p)}; }
inline void store_floats(float* p, Lanes a) { _mm512_storeu_ps(p, a.v); }
inline void keep(Lanes& a) { __asm__ volatile("" : "+v"(a.v)); }

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
    return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
  }
  static void store(Element* p, Lanes a) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtps_ph(a.v, kNearest));
  }
  static Lanes rounded(Lanes a) { return {_mm512_cvtph_ps(_mm512_cvtps_ph(a.v, kNearest))}; }
};

}  // namespace mascot::avx512

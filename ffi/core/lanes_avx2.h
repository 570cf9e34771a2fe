// Sixteen FP32 lanes as two AVX registers, FP16 through F16C.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "core/groups.h"
#include "core/model.h"

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

// Sixteen 32-bit integers, modulo 2^32.
struct Words {
  __m256i low, high;
};

// Lane i: first + i * step.
inline Words words(uint32_t first, uint32_t step) {
  const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  const __m256i offsets = _mm256_mullo_epi32(lanes, _mm256_set1_epi32(static_cast<int>(step)));
  return {_mm256_add_epi32(_mm256_set1_epi32(static_cast<int>(first)), offsets),
          _mm256_add_epi32(_mm256_set1_epi32(static_cast<int>(first + 8 * step)), offsets)};
}
inline Words multiply(Words a, uint32_t factor) {
  const __m256i all = _mm256_set1_epi32(static_cast<int>(factor));
  return {_mm256_mullo_epi32(a.low, all), _mm256_mullo_epi32(a.high, all)};
}
// The high half of each word xored into its low half.
inline Words fold(Words a) {
  return {_mm256_xor_si256(a.low, _mm256_srli_epi32(a.low, 16)),
          _mm256_xor_si256(a.high, _mm256_srli_epi32(a.high, 16))};
}
// Each word's bits rotated left by 13.
inline Words rotate(Words a) {
  return {_mm256_or_si256(_mm256_slli_epi32(a.low, 13), _mm256_srli_epi32(a.low, 19)),
          _mm256_or_si256(_mm256_slli_epi32(a.high, 13), _mm256_srli_epi32(a.high, 19))};
}

inline void keep(Lanes& a) { __asm__ volatile("" : "+x"(a.low), "+x"(a.high)); }

struct Float32 {
  static constexpr Storage kStorage = Storage::kFloat32;
  using Element = float;
  static Lanes load(const Element* p) { return load_floats(p); }
  static void store(Element* p, Lanes a, Words) { store_floats(p, a); }
};

constexpr int kNearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
constexpr int kTowardsZero = _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC;

// float_to_half_dithered where it may leave FP16's normal range. halves: right within it.
inline __m128i dither_extremes(__m256 a, __m256i draws, __m128i halves) {
  const __m256 magnitude = _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a);
  const __m256i ulps = _mm256_cvttps_epi32(_mm256_mul_ps(magnitude, _mm256_set1_ps(0x1p45f)));
  const __m256i sum = _mm256_add_epi32(ulps, _mm256_srli_epi32(draws, 11));
  const __m256i sign = _mm256_slli_epi32(_mm256_srli_epi32(_mm256_castps_si256(a), 31), 15);
  const __m256i subnormal = _mm256_or_si256(_mm256_srli_epi32(sum, 21), sign);
  const __m256 small = _mm256_cmp_ps(magnitude, _mm256_set1_ps(0x1p-14f), _CMP_LT_OQ);
  const __m256 large = _mm256_cmp_ps(magnitude, _mm256_set1_ps(65504), _CMP_NLE_UQ);
  const __m256i nearest = _mm256_cvtepu16_epi32(_mm256_cvtps_ph(a, kNearest));
  __m256i wide = _mm256_cvtepu16_epi32(halves);
  wide = _mm256_blendv_epi8(wide, subnormal, _mm256_castps_si256(small));
  wide = _mm256_blendv_epi8(wide, nearest, _mm256_castps_si256(large));
  return _mm_packus_epi32(_mm256_castsi256_si128(wide), _mm256_extracti128_si256(wide, 1));
}

template <Rounding R>
struct Float16 {
  static constexpr Storage kStorage = Storage::kFloat16;
  using Element = uint16_t;
  static Lanes load(const Element* p) {
    const __m128i* halves = reinterpret_cast<const __m128i*>(p);
    return {_mm256_cvtph_ps(_mm_loadu_si128(halves)), _mm256_cvtph_ps(_mm_loadu_si128(halves + 1))};
  }
  static void store(Element* p, Lanes a, Words draws) {
    __m128i* to = reinterpret_cast<__m128i*>(p);
    _mm_storeu_si128(to, halves(a.low, draws.low));
    _mm_storeu_si128(to + 1, halves(a.high, draws.high));
  }

 private:
  static __m128i halves(__m256 a, __m256i draws) {
    if constexpr (R == Rounding::kNearest) return _mm256_cvtps_ph(a, kNearest);
    // The draw is added to the magnitude, whatever the sign.
    const __m256i bits = _mm256_add_epi32(_mm256_castps_si256(a), _mm256_srli_epi32(draws, 19));
    const __m128i sum = _mm256_cvtps_ph(_mm256_castsi256_ps(bits), kTowardsZero);
    // Right from 2^-14, the smallest normal, to 4 at least: there, 15 more in the exponent set its
    // highest bit.
    const __m128i raised = _mm_add_epi16(sum, _mm_set1_epi16(15 << 10));
    const __m128i high = _mm_set1_epi16(0x4000);
    if (__builtin_expect(_mm_testc_si128(raised, high), 1)) return sum;
    return dither_extremes(a, draws, sum);
  }
};

}  // namespace mascot::avx2

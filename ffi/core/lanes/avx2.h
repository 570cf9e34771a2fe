// Sixteen FP32 lanes as two AVX registers, FP16 through F16C.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "core/storages/storages.h"

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
inline Lanes divide(Lanes a, Lanes b) {
  return {_mm256_div_ps(a.low, b.low), _mm256_div_ps(a.high, b.high)};
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
inline Words all(uint32_t word) {
  return {_mm256_set1_epi32(static_cast<int>(word)), _mm256_set1_epi32(static_cast<int>(word))};
}
inline Words multiply(Words a, Words b) {
  return {_mm256_mullo_epi32(a.low, b.low), _mm256_mullo_epi32(a.high, b.high)};
}
inline Words add(Words a, Words b) {
  return {_mm256_add_epi32(a.low, b.low), _mm256_add_epi32(a.high, b.high)};
}
inline Words both(Words a, Words b) {
  return {_mm256_and_si256(a.low, b.low), _mm256_and_si256(a.high, b.high)};
}
inline Words either(Words a, Words b) {
  return {_mm256_or_si256(a.low, b.low), _mm256_or_si256(a.high, b.high)};
}
// The high half of each word xored into its low half.
inline Words fold(Words a) {
  return {_mm256_xor_si256(a.low, _mm256_srli_epi32(a.low, 16)),
          _mm256_xor_si256(a.high, _mm256_srli_epi32(a.high, 16))};
}
template <int Bits>
inline Words shift_left(Words a) {
  return {_mm256_slli_epi32(a.low, Bits), _mm256_slli_epi32(a.high, Bits)};
}
template <int Bits>
inline Words shift_right(Words a) {
  return {_mm256_srli_epi32(a.low, Bits), _mm256_srli_epi32(a.high, Bits)};
}
inline Words maximum(Words a, Words b) {
  return {_mm256_max_epu32(a.low, b.low), _mm256_max_epu32(a.high, b.high)};
}
inline uint32_t highest(Words a) {
  const __m256i eight = _mm256_max_epu32(a.low, a.high);
  const __m128i four =
      _mm_max_epu32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
  const __m128i two = _mm_max_epu32(four, _mm_unpackhi_epi64(four, four));
  const __m128i one = _mm_max_epu32(two, _mm_shuffle_epi32(two, 1));
  return static_cast<uint32_t>(_mm_cvtsi128_si32(one));
}
inline Words words_of(Lanes a) { return {_mm256_castps_si256(a.low), _mm256_castps_si256(a.high)}; }
inline Lanes floats_of(Words a) {
  return {_mm256_castsi256_ps(a.low), _mm256_castsi256_ps(a.high)};
}
inline void store_words(uint32_t* p, Words a) {
  __m256i* words = reinterpret_cast<__m256i*>(p);
  _mm256_storeu_si256(words, a.low);
  _mm256_storeu_si256(words + 1, a.high);
}

// The lesser and the greater; b where one is no number.
inline Lanes minimum(Lanes a, Lanes b) {
  return {_mm256_min_ps(a.low, b.low), _mm256_min_ps(a.high, b.high)};
}
inline Lanes maximum(Lanes a, Lanes b) {
  return {_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)};
}
// a, but 0 where sizes are below a least one.
inline Lanes zero_below(Lanes sizes, float least, Lanes a) {
  const __m256 all = _mm256_set1_ps(least);
  return {_mm256_and_ps(_mm256_cmp_ps(sizes.low, all, _CMP_NLT_UQ), a.low),
          _mm256_and_ps(_mm256_cmp_ps(sizes.high, all, _CMP_NLT_UQ), a.high)};
}

// Bit i: whether lane i is below a least size.
inline uint32_t below(Lanes sizes, float least) {
  const __m256 all = _mm256_set1_ps(least);
  const int low = _mm256_movemask_ps(_mm256_cmp_ps(sizes.low, all, _CMP_LT_OQ));
  const int high = _mm256_movemask_ps(_mm256_cmp_ps(sizes.high, all, _CMP_LT_OQ));
  return static_cast<uint32_t>(low | high << 8);
}

inline void keep(Lanes& a) { __asm__ volatile("" : "+x"(a.low), "+x"(a.high)); }

constexpr int kNearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;

inline Lanes load(Float16, const uint16_t* p) {
  const __m128i* halves = reinterpret_cast<const __m128i*>(p);
  return {_mm256_cvtph_ps(_mm_loadu_si128(halves)), _mm256_cvtph_ps(_mm_loadu_si128(halves + 1))};
}

// dithered_for_half
inline __m256 dithered(__m256 a, __m256i draws) {
  const __m256i sum = _mm256_add_epi32(_mm256_castps_si256(a), _mm256_srli_epi32(draws, 19));
  return _mm256_castsi256_ps(_mm256_and_si256(sum, _mm256_set1_epi32(-0x2000)));
}
template <Rounding R>
inline void store(Float16, uint16_t* p, Lanes a, Words draws) {
  if constexpr (R == Rounding::kStochastic) {
    a = {dithered(a.low, draws.low), dithered(a.high, draws.high)};
  }
  __m128i* halves = reinterpret_cast<__m128i*>(p);
  _mm_storeu_si128(halves, _mm256_cvtps_ph(a.low, kNearest));
  _mm_storeu_si128(halves + 1, _mm256_cvtps_ph(a.high, kNearest));
}

#include "core/lanes/elements.h"

// Rounded to FP16, and back.
inline Lanes to_half(Lanes a) {
  return {_mm256_cvtph_ps(_mm256_cvtps_ph(a.low, kNearest)),
          _mm256_cvtph_ps(_mm256_cvtps_ph(a.high, kNearest))};
}
// Rounded to whole numbers, to nearest even.
inline Lanes to_whole(Lanes a) {
  return {_mm256_round_ps(a.low, kNearest), _mm256_round_ps(a.high, kNearest)};
}

inline Lanes of_bytes(__m128i bytes) {
  return {_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)),
          _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(bytes, 8)))};
}
inline Lanes load_int8(const int8_t* p) {
  return of_bytes(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
// Sixteen bytes, the first of them the lowest of `low`.
inline Lanes of_bytes(uint64_t low, uint64_t high) {
  return of_bytes(_mm_set_epi64x(static_cast<int64_t>(high), static_cast<int64_t>(low)));
}
// Whole part less 128, at most 127.
inline void store_int8(int8_t* p, Lanes a) {
  const auto shorts = [](__m256 values) {
    const __m256i whole = _mm256_sub_epi32(_mm256_cvttps_epi32(values), _mm256_set1_epi32(128));
    return _mm_packs_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1));
  };
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm_packs_epi16(shorts(a.low), shorts(a.high)));
}

}  // namespace mascot::avx2

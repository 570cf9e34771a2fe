// Sixteen FP32 lanes in one AVX-512 register.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "core/storages/storages.h"

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
inline Lanes divide(Lanes a, Lanes b) { return {_mm512_div_ps(a.v, b.v)}; }
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

// Sixteen 32-bit integers, modulo 2^32.
struct Words {
  __m512i v;
};

// Lane i: first + i * step.
inline Words words(uint32_t first, uint32_t step) {
  const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const __m512i offsets = _mm512_mullo_epi32(lanes, _mm512_set1_epi32(static_cast<int>(step)));
  return {_mm512_add_epi32(_mm512_set1_epi32(static_cast<int>(first)), offsets)};
}
inline Words all(uint32_t word) { return {_mm512_set1_epi32(static_cast<int>(word))}; }
inline Words multiply(Words a, Words b) { return {_mm512_mullo_epi32(a.v, b.v)}; }
inline Words add(Words a, Words b) { return {_mm512_add_epi32(a.v, b.v)}; }
inline Words both(Words a, Words b) { return {_mm512_and_si512(a.v, b.v)}; }
inline Words either(Words a, Words b) { return {_mm512_or_si512(a.v, b.v)}; }
// The high half of each word xored into its low half.
inline Words fold(Words a) { return {_mm512_xor_si512(a.v, _mm512_srli_epi32(a.v, 16))}; }
template <int Bits>
inline Words shift_left(Words a) {
  return {_mm512_slli_epi32(a.v, Bits)};
}
template <int Bits>
inline Words shift_right(Words a) {
  return {_mm512_srli_epi32(a.v, Bits)};
}
inline Words maximum(Words a, Words b) { return {_mm512_max_epu32(a.v, b.v)}; }
inline uint32_t highest(Words a) { return _mm512_reduce_max_epu32(a.v); }
inline Words words_of(Lanes a) { return {_mm512_castps_si512(a.v)}; }
inline Lanes floats_of(Words a) { return {_mm512_castsi512_ps(a.v)}; }
inline void store_words(uint32_t* p, Words a) { _mm512_storeu_si512(p, a.v); }

// The lesser and the greater; b where one is no number.
inline Lanes minimum(Lanes a, Lanes b) { return {_mm512_min_ps(a.v, b.v)}; }
inline Lanes maximum(Lanes a, Lanes b) { return {_mm512_max_ps(a.v, b.v)}; }
// a, but 0 where sizes are below a least one.
inline Lanes zero_below(Lanes sizes, float least, Lanes a) {
  const __mmask16 kept = _mm512_cmp_ps_mask(sizes.v, _mm512_set1_ps(least), _CMP_NLT_UQ);
  return {_mm512_maskz_mov_ps(kept, a.v)};
}

// Bit i: whether lane i is below a least size.
inline uint32_t below(Lanes sizes, float least) {
  return _mm512_cmp_ps_mask(sizes.v, _mm512_set1_ps(least), _CMP_LT_OQ);
}

inline void keep(Lanes& a) { __asm__ volatile("" : "+v"(a.v)); }

constexpr int kNearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;

inline Lanes load(Float16, const uint16_t* p) {
  return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
}

// dithered_for_half
inline __m512 dithered(__m512 a, __m512i draws) {
  const __m512i sum = _mm512_add_epi32(_mm512_castps_si512(a), _mm512_srli_epi32(draws, 19));
  return _mm512_castsi512_ps(_mm512_and_si512(sum, _mm512_set1_epi32(-0x2000)));
}
template <Rounding R>
inline void store(Float16, uint16_t* p, Lanes a, Words draws) {
  if constexpr (R == Rounding::kStochastic) a.v = dithered(a.v, draws.v);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtps_ph(a.v, kNearest));
}

#include "core/lanes/elements.h"

inline int64_t select(uint32_t* to, uint32_t first, const uint8_t* bytes, uint8_t mask,
                      uint8_t value) {
  const __m128i masked = _mm_and_si128(_mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes)),
                                       _mm_set1_epi8(static_cast<char>(mask)));
  const __mmask16 found = _mm_cmpeq_epi8_mask(masked, _mm_set1_epi8(static_cast<char>(value)));
  _mm512_storeu_si512(to, _mm512_maskz_compress_epi32(found, words(first, 1).v));
  return __builtin_popcount(found);
}

// Rounded to FP16, and back.
inline Lanes to_half(Lanes a) { return {_mm512_cvtph_ps(_mm512_cvtps_ph(a.v, kNearest))}; }
// Rounded to whole numbers, to nearest even.
inline Lanes to_whole(Lanes a) { return {_mm512_roundscale_ps(a.v, kNearest)}; }

inline Lanes of_bytes(__m128i bytes) { return {_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes))}; }
inline Lanes load_int8(const int8_t* p) {
  return of_bytes(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
// Sixteen bytes, the first of them the lowest of `low`.
inline Lanes of_bytes(uint64_t low, uint64_t high) {
  return of_bytes(_mm_set_epi64x(static_cast<int64_t>(high), static_cast<int64_t>(low)));
}
// Whole part less 128, at most 127.
inline void store_int8(int8_t* p, Lanes a) {
  const __m512i whole = _mm512_sub_epi32(_mm512_cvttps_epi32(a.v), _mm512_set1_epi32(128));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtsepi32_epi8(whole));
}

}  // namespace mascot::avx512

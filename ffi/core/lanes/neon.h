// Sixteen FP32 lanes as four NEON registers. NEON, its fused multiply-add and its conversions
// between FP32 and FP16 are part of every 64-bit ARM CPU; only arithmetic in FP16, which is not
// used, is an extension.
#pragma once

#include <arm_neon.h>

#include <cstdint>

#include "core/storages/storages.h"

namespace mascot::neon {

// Two rows of this many chunks stay in the 32 registers beside the accumulators;
// longer rows would be spilled.
inline constexpr int kHeldChunks = 2;

struct Lanes {
  float32x4_t v[4];
};
// Sixteen 32-bit integers, modulo 2^32.
struct Words {
  uint32x4_t v[4];
};

// Register i: f(register i of each vector).
template <class Result, class F, class... Vectors>
inline Result each(const F& f, const Vectors&... a) {
  return {{f(a.v[0]...), f(a.v[1]...), f(a.v[2]...), f(a.v[3]...)}};
}

inline Lanes broadcast(float x) {
  const float32x4_t all = vdupq_n_f32(x);
  return {{all, all, all, all}};
}
inline Lanes multiply(Lanes a, Lanes b) {
  return each<Lanes>([](float32x4_t x, float32x4_t y) { return vmulq_f32(x, y); }, a, b);
}
inline Lanes add(Lanes a, Lanes b) {
  return each<Lanes>([](float32x4_t x, float32x4_t y) { return vaddq_f32(x, y); }, a, b);
}
inline Lanes subtract(Lanes a, Lanes b) {
  return each<Lanes>([](float32x4_t x, float32x4_t y) { return vsubq_f32(x, y); }, a, b);
}
inline Lanes divide(Lanes a, Lanes b) {
  return each<Lanes>([](float32x4_t x, float32x4_t y) { return vdivq_f32(x, y); }, a, b);
}
// a * b + c, rounded once
inline Lanes fma(Lanes a, Lanes b, Lanes c) {
  return each<Lanes>([](float32x4_t x, float32x4_t y, float32x4_t z) { return vfmaq_f32(z, x, y); },
                     a, b, c);
}
// Lane i plus lane i + n/2, down to one.
inline float sum(Lanes a) {
  const float32x4_t four = vaddq_f32(vaddq_f32(a.v[0], a.v[2]), vaddq_f32(a.v[1], a.v[3]));
  return vpadds_f32(vadd_f32(vget_low_f32(four), vget_high_f32(four)));
}
inline Lanes load_floats(const float* p) {
  return {{vld1q_f32(p), vld1q_f32(p + 4), vld1q_f32(p + 8), vld1q_f32(p + 12)}};
}
inline void store_floats(float* p, Lanes a) {
  vst1q_f32(p, a.v[0]);
  vst1q_f32(p + 4, a.v[1]);
  vst1q_f32(p + 8, a.v[2]);
  vst1q_f32(p + 12, a.v[3]);
}

inline Words all(uint32_t word) {
  const uint32x4_t all = vdupq_n_u32(word);
  return {{all, all, all, all}};
}
inline Words multiply(Words a, Words b) {
  return each<Words>([](uint32x4_t x, uint32x4_t y) { return vmulq_u32(x, y); }, a, b);
}
inline Words add(Words a, Words b) {
  return each<Words>([](uint32x4_t x, uint32x4_t y) { return vaddq_u32(x, y); }, a, b);
}
inline Words both(Words a, Words b) {
  return each<Words>([](uint32x4_t x, uint32x4_t y) { return vandq_u32(x, y); }, a, b);
}
inline Words either(Words a, Words b) {
  return each<Words>([](uint32x4_t x, uint32x4_t y) { return vorrq_u32(x, y); }, a, b);
}
inline Words maximum(Words a, Words b) {
  return each<Words>([](uint32x4_t x, uint32x4_t y) { return vmaxq_u32(x, y); }, a, b);
}
// Lane i: first + i * step.
inline Words words(uint32_t first, uint32_t step) {
  const uint32_t lanes[4] = {0, 1, 2, 3};
  const uint32x4_t four = vmlaq_n_u32(vdupq_n_u32(first), vld1q_u32(lanes), step);
  const auto from = [&](uint32_t lane) { return vaddq_u32(four, vdupq_n_u32(lane * step)); };
  return {{four, from(4), from(8), from(12)}};
}
// The high half of each word xored into its low half.
inline Words fold(Words a) {
  return each<Words>([](uint32x4_t x) { return veorq_u32(x, vshrq_n_u32(x, 16)); }, a);
}
template <int Bits>
inline Words shift_left(Words a) {
  return each<Words>([](uint32x4_t x) { return vshlq_n_u32(x, Bits); }, a);
}
template <int Bits>
inline Words shift_right(Words a) {
  return each<Words>([](uint32x4_t x) { return vshrq_n_u32(x, Bits); }, a);
}
inline uint32_t highest(Words a) {
  return vmaxvq_u32(vmaxq_u32(vmaxq_u32(a.v[0], a.v[1]), vmaxq_u32(a.v[2], a.v[3])));
}
inline Words words_of(Lanes a) {
  return each<Words>([](float32x4_t x) { return vreinterpretq_u32_f32(x); }, a);
}
inline Lanes floats_of(Words a) {
  return each<Lanes>([](uint32x4_t x) { return vreinterpretq_f32_u32(x); }, a);
}
inline void store_words(uint32_t* p, Words a) {
  vst1q_u32(p, a.v[0]);
  vst1q_u32(p + 4, a.v[1]);
  vst1q_u32(p + 8, a.v[2]);
  vst1q_u32(p + 12, a.v[3]);
}

// Bit i: whether lane i is below a least size.
inline uint32_t below(Lanes sizes, float least) {
  constexpr uint32_t kBits[4] = {1, 2, 4, 8};
  const uint32x4_t bits = vld1q_u32(kBits);
  uint32_t mask = 0;
  for (int i = 0; i < 4; ++i) {
    const uint32x4_t small = vcltq_f32(sizes.v[i], vdupq_n_f32(least));
    mask |= vaddvq_u32(vandq_u32(small, bits)) << (4 * i);
  }
  return mask;
}

// The lesser and the greater; b where one is no number.
inline Lanes minimum(Lanes a, Lanes b) {
  const auto lesser = [](float32x4_t x, float32x4_t y) { return vbslq_f32(vcltq_f32(x, y), x, y); };
  return each<Lanes>(lesser, a, b);
}
inline Lanes maximum(Lanes a, Lanes b) {
  const auto greater = [](float32x4_t x, float32x4_t y) {
    return vbslq_f32(vcgtq_f32(x, y), x, y);
  };
  return each<Lanes>(greater, a, b);
}
// a, but 0 where sizes are below a least one.
inline Lanes zero_below(Lanes sizes, float least, Lanes a) {
  const auto kept = [least](float32x4_t size, float32x4_t x) {
    const uint32x4_t below = vcltq_f32(size, vdupq_n_f32(least));
    return vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(x), below));
  };
  return each<Lanes>(kept, sizes, a);
}

inline void keep(Lanes& a) {
  __asm__ volatile("" : "+w"(a.v[0]), "+w"(a.v[1]), "+w"(a.v[2]), "+w"(a.v[3]));
}

// Eight FP16 numbers from FP32, to nearest even, and back.
inline uint16x8_t nearest_halves(float32x4_t low, float32x4_t high) {
  return vreinterpretq_u16_f16(vcvt_high_f16_f32(vcvt_f16_f32(low), high));
}
inline float32x4_t low_floats(uint16x8_t halves) {
  return vcvt_f32_f16(vget_low_f16(vreinterpretq_f16_u16(halves)));
}
inline float32x4_t high_floats(uint16x8_t halves) {
  return vcvt_high_f32_f16(vreinterpretq_f16_u16(halves));
}
struct Halves {
  uint16x8_t low, high;
};
inline Halves nearest_halves(Lanes a) {
  return {nearest_halves(a.v[0], a.v[1]), nearest_halves(a.v[2], a.v[3])};
}
inline Lanes floats_of(Halves a) {
  return {{low_floats(a.low), high_floats(a.low), low_floats(a.high), high_floats(a.high)}};
}
inline void store_halves(uint16_t* p, Halves a) {
  vst1q_u16(p, a.low);
  vst1q_u16(p + 8, a.high);
}

inline Lanes load(Float16, const uint16_t* p) {
  return floats_of(Halves{vld1q_u16(p), vld1q_u16(p + 8)});
}

// dithered_for_half
inline float32x4_t dithered(float32x4_t a, uint32x4_t draws) {
  const uint32x4_t sum = vsraq_n_u32(vreinterpretq_u32_f32(a), draws, 19);
  return vreinterpretq_f32_u32(vandq_u32(sum, vdupq_n_u32(0xffffe000u)));
}
template <Rounding R>
inline void store(Float16, uint16_t* p, Lanes a, Words draws) {
  if constexpr (R == Rounding::kStochastic) a = each<Lanes>(dithered, a, draws);
  store_halves(p, nearest_halves(a));
}

#include "core/lanes/elements.h"

// Rounded to FP16, and back.
inline Lanes to_half(Lanes a) { return floats_of(nearest_halves(a)); }
// Rounded to whole numbers, to nearest even.
inline Lanes to_whole(Lanes a) {
  return each<Lanes>([](float32x4_t x) { return vrndnq_f32(x); }, a);
}

inline Lanes of_bytes(int8x16_t bytes) {
  const int16x8_t low = vmovl_s8(vget_low_s8(bytes)), high = vmovl_high_s8(bytes);
  return {{vcvtq_f32_s32(vmovl_s16(vget_low_s16(low))), vcvtq_f32_s32(vmovl_high_s16(low)),
           vcvtq_f32_s32(vmovl_s16(vget_low_s16(high))), vcvtq_f32_s32(vmovl_high_s16(high))}};
}
inline Lanes load_int8(const int8_t* p) { return of_bytes(vld1q_s8(p)); }
// Sixteen bytes, the first of them the lowest of `low`.
inline Lanes of_bytes(uint64_t low, uint64_t high) {
  return of_bytes(vcombine_s8(vcreate_s8(low), vcreate_s8(high)));
}
// Whole part less 128, at most 127.
inline void store_int8(int8_t* p, Lanes a) {
  const auto whole = [](float32x4_t x) { return vsubq_s32(vcvtq_s32_f32(x), vdupq_n_s32(128)); };
  const auto shorts = [&](float32x4_t low, float32x4_t high) {
    return vqmovn_high_s32(vqmovn_s32(whole(low)), whole(high));
  };
  vst1q_s8(p, vqmovn_high_s16(vqmovn_s16(shorts(a.v[0], a.v[1])), shorts(a.v[2], a.v[3])));
}

}  // namespace mascot::neon

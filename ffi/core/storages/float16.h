// IEEE 754 binary16, to and from binary32 in integer arithmetic, round to nearest even: for CPUs
// without F16C. Same bits as the hardware conversions, subnormals and infinities included;
// NaN stays NaN.
#pragma once

#include <cstdint>

#include "core/dither.h"
#include "core/host_device.h"

namespace mascot {

MASCOT_HD inline float half_to_float(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16;
  const uint32_t exponent = (half >> 10) & 0x1fu;
  const uint32_t mantissa = half & 0x3ffu;
  if (exponent == 0) {  // zero or subnormal: the value is mantissa * 2^-24, exact in FP32
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
    return sign ? -magnitude : magnitude;
  }
  const uint32_t bits = exponent == 31 ? sign | 0x7f800000u | mantissa << 13
                                       : sign | (exponent + 112) << 23 | mantissa << 13;
  return float_of(bits);
}

MASCOT_HD inline uint16_t float_to_half(float value) {
  const uint32_t bits = bits_of(value);
  const uint16_t sign = static_cast<uint16_t>(bits >> 16 & 0x8000u);
  const uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return sign | 0x7e00u;   // NaN
  if (magnitude >= 0x477ff000u) return sign | 0x7c00u;  // 65520 and above round to infinity
  if (magnitude < 0x38800000u) {                        // below 2^-14: subnormal in FP16
    // 0.5 has an ulp of 2^-24, FP16's subnormal step: the FP32 addition does the rounding.
    const uint32_t rounded = bits_of(float_of(magnitude) + 0.5f);
    return sign | static_cast<uint16_t>(rounded - 0x3f000000u);
  }
  const uint32_t odd = magnitude >> 13 & 1u;
  return sign | static_cast<uint16_t>((magnitude - 0x38000000u + 0xfffu + odd) >> 13);
}

// A value for float_to_half that stands for `value` in stochastic rounding. The highest 13 bits of
// the draw are added to the 13 that FP32 has more than FP16's normal numbers, which are then cut
// off: the value goes away from zero if its share of an ulp, plus the draw over 2^13, reaches a
// whole one. With a uniform draw the expected value is `value`, and a value that fits stays as it
// is. Below 2^-14 FP16's ulps are larger than what is cut off here, and the conversion rounds the
// rest to nearest: the expected value is off by half of FP16's least step, 2^-25, at most. A
// magnitude above 65504 goes to 65504 or to infinity.
MASCOT_HD inline float dithered_for_half(float value, uint32_t draw) {
  return float_of((bits_of(value) + (draw >> 19)) & 0xffffe000u);
}

struct Float16 {
  static constexpr const char* kName = "float16";
  using Element = uint16_t;
  static constexpr uint32_t kExponent = 0x7c00u;
  static constexpr bool kRounds = true;
  static constexpr bool kScaled = false;
  // In FP32's bits: of the smallest normal number, and of how far below a number its ulp lies.
  static constexpr uint32_t kSmallestNormal = 0x38800000u, kUlpDistance = 10u << 23;

  MASCOT_HD static float decode(Element half) { return half_to_float(half); }
  template <Rounding R>
  MASCOT_HD static Element encode(float value, uint32_t draw) {
    return float_to_half(R == Rounding::kNearest ? value : dithered_for_half(value, draw));
  }
};

}  // namespace mascot

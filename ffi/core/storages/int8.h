// Whole numbers from -127 to 127, and behind a row's last chunk a float32 scale for every block of
// components: 1/127 of the largest magnitude among them, cut to 17 bits. A component is x / scale,
// rounded. So cut, 127 and every other multiple of a scale that a row holds is exact in FP32, and a
// row that has not changed is stored as it was.
#pragma once

#include <cstdint>

namespace mascot {

// Below this largest magnitude a block is stored as zeros: 1 / scale might overflow.
inline constexpr float kSmallestBlock = 0x1p-100f;

struct Int8 {
  static constexpr const char* kName = "int8";
  using Element = int8_t;
  static constexpr uint32_t kExponent = 0x7f800000u;
  static constexpr bool kRounds = true;
  static constexpr bool kScaled = true;

  // A scale's bits are cut so: infinity and NaN stay what they are.
  static constexpr uint32_t kScaleRounding = 0x40u, kScaleMask = ~0x7fu;

  // Added to x / scale, which is then cut off: 128, so that it is positive, and to nearest half a
  // step; stochastic a random part of one, of 13 of a draw's bits and half of the next.
  static constexpr float kHalfStep = 128.5f;
  static constexpr int kDrawShift = 16;
  static constexpr uint32_t kDrawMask = 0xfff8u, kNoDraw = 0x43000004u;
};

}  // namespace mascot

// Whole numbers from -7 to 7 in four bits each, and behind a row's last chunk a bfloat16 scale.
// A component is 7 x / m, rounded stochastically, m the row's largest magnitude; the scale is m /
// 7, rounded to bfloat16 stochastically by a draw of its own. Both keep their means, and so does
// their product. Of sixteen components, byte i holds number i in its low half and number i + 8 in
// its high half, each plus 8. A row that has not changed is stored as it was: its largest component
// is 7 or -7, and its numbers times its scale are exact in FP32.
//
// A scale rounded up instead would grow by up to 1/128 whenever the largest component grows at all,
// and all components would be rounded anew: rows visited often would drown in that noise.
//
// For embedding tables only (core/embedding): rows of factors have no such storage.
#pragma once

#include <cstdint>

#include "core/dither.h"
#include "core/host_device.h"
#include "core/storages/int8.h"

namespace mascot {

struct Int4 {
  using Element = uint8_t;
  static constexpr int64_t kScaleBytes = 2;
  static constexpr float kLevels = 7;
  static constexpr float kZero = 8;  // what a half byte of 8 stands for
  // As Int8's: 136, so that a half byte is positive, and a random part of a step.
  static constexpr uint32_t kNoDraw = 0x43080004u;

  // The lane whose word rounds the scale, behind those of the components.
  static constexpr uint32_t kScaleLane = 16;

  // What the components of a row with this largest magnitude are multiplied by.
  MASCOT_HD static float steps_per_unit(float largest) {
    return largest < kSmallestBlock ? 0 : kLevels / largest;
  }
  // The bfloat16 scale of such a row; draw: that of its components. Infinity and NaN stay what they
  // are.
  MASCOT_HD static uint16_t scale(float largest, uint64_t draw) {
    if (largest < kSmallestBlock) return 0;
    const uint32_t bits = bits_of(largest / kLevels);
    const bool finite = (bits & 0x7f800000u) != 0x7f800000u;
    const uint32_t offset = dither_word(draw, kScaleLane) >> 16;
    return static_cast<uint16_t>((bits + (finite ? offset : 0u)) >> 16);
  }
  MASCOT_HD static float widened(uint16_t scale) {
    return float_of(static_cast<uint32_t>(scale) << 16);
  }
};

// The same numbers, and -8, without a scale in the row: a table has one.
struct Int4Table {
  using Element = uint8_t;
};

}  // namespace mascot

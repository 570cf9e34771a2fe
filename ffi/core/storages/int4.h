// Whole numbers from -7 to 7 in four bits each, and behind a row's last chunk a bfloat16 scale: 1/7
// of the row's largest magnitude, rounded up so that no component is cut off. A component is
// x / scale, rounded. Of sixteen components, byte i holds number i in its low half and number i + 8
// in its high half, each plus 8. A row that has not changed is stored as it was: its numbers times
// its scale are exact in FP32.
//
// For embedding tables only (core/embedding): rows of factors have no such storage.
#pragma once

#include <cstdint>

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

  // The bfloat16 scale of a row with this largest magnitude. Infinity and NaN stay what they are.
  MASCOT_HD static uint16_t scale(float largest) {
    if (largest < kSmallestBlock) return 0;
    const uint32_t bits = bits_of(largest / kLevels);
    const bool finite = (bits & 0x7f800000u) != 0x7f800000u;
    return static_cast<uint16_t>((bits + (finite ? 0xffffu : 0u)) >> 16);
  }
  MASCOT_HD static float widened(uint16_t scale) {
    return float_of(static_cast<uint32_t>(scale) << 16);
  }
  MASCOT_HD static float steps_per_unit(uint16_t scale) { return scale ? 1 / widened(scale) : 0; }
};

// The same numbers, and -8, without a scale in the row: a table has one.
struct Int4Table {
  using Element = uint8_t;
};

}  // namespace mascot

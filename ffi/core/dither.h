// What a store does with the bits that do not fit, and the random bits of stochastic rounding: 32
// for each component of a rating's two rows, a function of (seed, epoch, rating, side, component).
// Sixteen words are hashed from the rating's draw and multiplied by an odd number of each chunk of
// sixteen components; the item's are the user's shifted left by 13, so that the 13 bits which a
// store reads are others.
#pragma once

#include <cstdint>

#include "core/host_device.h"
#include "core/random.h"

namespace mascot {

enum class Rounding : uint8_t { kNearest = 0, kStochastic = 1 };

inline constexpr uint32_t kDitherStep = 0x9e3779b9u;  // 2^32 over the golden ratio: a Weyl sequence
inline constexpr int kDitherShift = 13;

// An odd number for chunk c of sixteen components.
MASCOT_HD constexpr uint32_t dither_factor(int64_t c) {
  const uint32_t word = (static_cast<uint32_t>(c) + 1) * kDitherStep;
  return (word ^ word >> 15) * 0x85ebca6bu | 1;
}

MASCOT_HD inline uint32_t fold(uint32_t word) { return word ^ word >> 16; }

// Word `lane` of the sixteen of a rating; draw: draw64(key, number of the rating).
MASCOT_HD inline uint32_t dither_word(uint64_t draw, uint32_t lane) {
  const uint32_t word = fold(static_cast<uint32_t>(draw) + lane * kDitherStep);
  return fold(word * (static_cast<uint32_t>(draw >> 32) | 1));
}

}  // namespace mascot

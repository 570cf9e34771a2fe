// Counter-based randomness: every draw is a function of (seed, epoch, stream, number), so that it
// is the same on every back end and for every number of threads.
// SplitMix64 (Steele et al. 2014), read at a position.
#pragma once

#include <cstdint>

#include "core/host_device.h"

namespace mascot {

enum class Stream : uint64_t {
  kBlockOrder = 1,
  kSample = 2,
  kDither = 3,
  // of conflict-free blocks (strata.h)
  kShortSide = 4,
  kLongSide = 5,
  kRounds = 6,
  kSweep = 7,      // of runs (layout.h)
  kNegatives = 8,  // of interactions (interactions/negatives.h)
  // of rows of embedding tables, at the start and in training (embedding/kernel.h): no training has
  // both these and negatives
  kFirstRows = 8,
  kRows = 9,
  kProjection = 10,  // of projected rows (projection.h)
  kTiles = 11,       // of ranges that travel (rotations.h)
};

MASCOT_HD inline uint64_t mix64(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

inline constexpr uint64_t kGoldenGamma = 0x9e3779b97f4a7c15u;

// The key of one stream of one epoch.
MASCOT_HD inline uint64_t stream_key(uint32_t seed, uint32_t epoch, Stream stream) {
  const uint64_t run = mix64((static_cast<uint64_t>(seed) << 32 | epoch) + kGoldenGamma);
  return mix64(run + static_cast<uint64_t>(stream) * kGoldenGamma);
}

// Draw `number` of a stream: uniform in [0, 2^64).
MASCOT_HD inline uint64_t draw64(uint64_t key, uint64_t number) {
  return mix64(key + (number + 1) * kGoldenGamma);
}
// Its high half: uniform in [0, 2^32).
MASCOT_HD inline uint32_t draw32(uint64_t key, uint64_t number) {
  return static_cast<uint32_t>(draw64(key, number) >> 32);
}

// A seeded permutation of 0..count-1, one position at a time and without memory: a four-round
// Feistel network over the smallest even number of bits that holds count, walked until the result
// falls inside.
class Permutation {
 public:
  MASCOT_HD Permutation(uint64_t key, uint64_t count) : key_(key), count_(count) {
    while ((uint64_t{1} << (2 * half_bits_)) < count) ++half_bits_;
  }

  MASCOT_HD uint64_t operator()(uint64_t position) const {
    do {
      position = encrypt(position);
    } while (position >= count_);
    return position;
  }

 private:
  MASCOT_HD uint64_t encrypt(uint64_t value) const {
    const uint64_t mask = (uint64_t{1} << half_bits_) - 1;
    uint64_t left = value >> half_bits_;
    uint64_t right = value & mask;
    for (uint64_t round = 0; round < 4; ++round) {
      const uint64_t next = left ^ (draw32(key_ + round, right) & mask);
      left = right;
      right = next;
    }
    return left << half_bits_ | right;
  }

  uint64_t key_;
  uint64_t count_;
  int half_bits_ = 1;
};

}  // namespace mascot

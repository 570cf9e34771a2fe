// Lists of blocks for workers that keep the ranges of one side, with their ratings: the other
// side's ranges travel, and seldom. A list does not depend on the number of workers.
//
// Ranges of both sides are dealt to kTiles tiles. In a step, every tile that stays meets another of
// those that travel: all their pairs of ranges, or, with several rotations, a share of them. A
// rotation is kTiles steps, in which each meets each. Worker w of W, a power of two, keeps kTiles /
// W tiles in a row, and tiles change workers W - 1 times in a rotation.
#pragma once

#include <cstdint>
#include <vector>

#include "core/strata.h"

namespace mascot {

inline constexpr int64_t kTiles = 8;

// Every block once, in so many rotations, in rounds that share no range; without rotations as
// draw_list. users_stay: else the items do.
std::vector<RangePair> draw_rotations(int64_t user_ranges, int64_t item_ranges, int64_t rotations,
                                      bool users_stay, uint32_t seed, uint32_t epoch);

}  // namespace mascot

// Which negatives a user meets, and when: functions of (seed, epoch, user, range of items, number),
// the same on every back end.
//
//   key_u     draw64(key, u item_ranges + item_range)
//   draws     floor(user_draws[u] W_range / W + draw64(key_u, 0) / 2^64), in double; W: weights of
//             items, in the range and in all
//   draw j    an item of the range by draw64(key_u, j + 1), in proportion to the weights; dropped
//             where the user has an interaction with it
//   weight 0  an interaction is not visited, but is none of the negatives
//   order     interactions in the order of their items, draws spread evenly between them
#pragma once

#include <cmath>
#include <cstdint>
#include <initializer_list>

#include "core/random.h"

namespace mascot {

enum class Loss : uint8_t {
  kSquared,   // (target - p.q)^2
  kLogistic,  // -log sigmoid(p.q) of an interaction, -log sigmoid(-p.q) of a negative
};

// floor(value 2^-64 n) for a uniform value: uniform below n.
MASCOT_HD inline uint64_t below(uint64_t value, uint64_t n) {
#if defined(__CUDA_ARCH__)
  return __umul64hi(value, n);
#else
  __extension__ using Wide = unsigned __int128;
  return static_cast<uint64_t>(static_cast<Wide>(value) * n >> 64);
#endif
}

// The first place in begin..end - 1 whose value is no less than this one, or end; values rise.
// Halved without a branch: which half, nothing predicts.
template <class T>
MASCOT_HD inline int64_t first_from(const T* values, int64_t begin, int64_t end, T value) {
  int64_t left = end - begin;
  while (left > 1) {
    const int64_t half = left / 2;
    begin += values[begin + half - 1] < value ? half : 0;
    left -= half;
  }
  return begin + (left == 1 && values[begin] < value ? 1 : 0);
}

// exp(x) for -80 <= x <= 0, to 3 units in the last place near 0 and 63 at -80; in scalar
// operations, which every machine rounds alike.
MASCOT_HD inline float exponential(float x) {
  const float scaled = product(x, 1.44269504f);
  const float whole = nearbyintf(scaled);
  const float part = (scaled - whole) * 0.693147181f;
  float sum = 1.0f / 720;
  for (const float inverse : {1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f}) {
    sum = product(sum, part) + inverse;
  }
  return sum * float_of(static_cast<uint32_t>(static_cast<int>(whole) + 127) << 23);
}

MASCOT_HD inline float sigmoid(float x) {
  const float size = fabsf(x);
  const float small = exponential(size < 80 ? -size : -80);
  return (x >= 0 ? 1 : small) / (1 + small);
}

// What a score is short of its target, as a loss has it: a visit's error but for its weight.
MASCOT_HD inline float shortfall(Loss loss, float target, float score) {
  return target - (loss == Loss::kSquared ? score : sigmoid(score));
}

// A range of items, as users draw from it.
struct DrawnRange {
  uint32_t first;  // its items
  uint32_t last;   // not one of them
  uint64_t number;
  uint64_t ranges;  // how many there are
  uint64_t before;  // weights of all items before it
  uint64_t weight;  // of its own
  double share;     // of all items' weights
  bool equal;       // every item's weight is 1
};

// items_before: [items + 1], the weights of all items before each.
MASCOT_HD inline DrawnRange drawn_range(const uint32_t* starts, uint64_t number, uint64_t ranges,
                                        const uint64_t* items_before, bool equal) {
  const uint32_t first = starts[number], last = starts[number + 1];
  const uint64_t before = items_before[first], weight = items_before[last] - before;
  const uint64_t all = items_before[starts[ranges]];
  const double share = all == 0 ? 0 : static_cast<double>(weight) / static_cast<double>(all);
  return {first, last, number, ranges, before, weight, share, equal};
}

// A user's draws from a range.
struct UserDraws {
  uint64_t key;
  int64_t count;

  // mean: of the number of draws from all ranges.
  MASCOT_HD UserDraws(uint64_t epoch_key, uint32_t user, float mean, const DrawnRange& range)
      : key(draw64(epoch_key, user * range.ranges + range.number)) {
    const double fraction = static_cast<double>(draw64(key, 0) >> 11) * 0x1p-53;
    count = static_cast<int64_t>(product(static_cast<double>(mean), range.share) + fraction);
  }
};

// The item that a draw stands for.
MASCOT_HD inline uint32_t drawn_item(uint64_t draw, const DrawnRange& range,
                                     const uint64_t* items_before) {
  const uint64_t place = below(draw, range.weight);
  if (range.equal) return range.first + static_cast<uint32_t>(place);
  const int64_t above = first_from(items_before, range.first, range.last, range.before + place + 1);
  return static_cast<uint32_t>(above - 1);
}

// Whether an item is one of a user's, which stand at begin..end - 1 and rise.
MASCOT_HD inline bool has_met(const uint32_t* items, int64_t begin, int64_t end, uint32_t item) {
  const int64_t place = first_from(items, begin, end, item);
  return place < end && items[place] == item;
}

// The order in which a user's interactions, begin..end - 1, and its draws take turns.
class Turns {
 public:
  struct Step {
    bool met;        // an interaction, not a draw
    int64_t number;  // of the interaction; of the draw, from 1
  };

  Turns() = default;
  MASCOT_HD Turns(int64_t begin, int64_t end, int64_t draws)
      : next_(begin), end_(end), drawn_(0), draws_(draws), met_(end - begin), sum_(draws / 2) {}

  MASCOT_HD bool over() const { return next_ == end_ && drawn_ == draws_; }
  MASCOT_HD int64_t begin() const { return end_ - met_; }
  MASCOT_HD int64_t end() const { return end_; }

  MASCOT_HD Step step() {
    sum_ += met_;
    if (sum_ < met_ + draws_) return {false, ++drawn_};
    sum_ -= met_ + draws_;
    return {true, next_++};
  }

 private:
  int64_t next_, end_;     // interactions
  int64_t drawn_, draws_;  // draws made, and to make
  int64_t met_;            // all interactions
  int64_t sum_;            // an interaction's turn whenever it reaches the number of all visits
};

}  // namespace mascot

// What an epoch over interactions visits: the interactions, and zeros, items drawn anew for every
// epoch that a user has no interaction with. Zeros are never stored.
#pragma once

#include <cstdint>

namespace mascot {

enum class Loss : uint8_t {
  kSquared,   // (target - p.q)^2
  kLogistic,  // -log sigmoid(p.q) of an interaction, -log sigmoid(-p.q) of a zero
};

// How zeros are drawn, and how both count.
struct Zeros {
  Loss loss;
  float weight;                  // of a zero's error; an interaction's is its value
  uint64_t key;                  // of the draws
  const float* user_draws;       // [users]: how many in an epoch, on average
  const uint64_t* items_before;  // [items + 1]: weights of all items before each
};

// The interactions begin..end-1 of a range of users with a range of items, sorted by user and then
// by item, and the part of the users' zeros that is of these items.
struct Corner {
  int64_t begin;
  int64_t end;
  uint32_t first_user;
  uint32_t last_user;  // not part of it, as the last item
  uint32_t first_item;
  uint32_t last_item;
  uint64_t item_range;  // its number, and how many there are
  uint64_t item_ranges;
  double share;  // of all items' weights
  bool equal;    // every item's weight is 1
};

}  // namespace mascot

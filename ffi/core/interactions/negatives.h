// What an epoch over interactions visits: the interactions, and negatives, items drawn anew for
// every epoch that a user has no interaction with. Negatives are never stored.
#pragma once

#include <cstdint>

#include "core/interactions/visits.h"

namespace mascot {

// How negatives are drawn, and how both count.
struct Negatives {
  Loss loss;
  float weight;                  // of a negative's error; an interaction's is its value
  uint64_t key;                  // of the draws
  const float* user_draws;       // [users]: how many in an epoch, on average
  const uint64_t* items_before;  // [items + 1]: weights of all items before each
};

// The interactions begin..end-1 of a range of users with a range of items, sorted by user and then
// by item, and the part of the users' negatives that is of these items.
struct Corner {
  int64_t begin;
  int64_t end;
  uint32_t first_user;
  uint32_t last_user;  // not part of it
  DrawnRange items;
};

}  // namespace mascot

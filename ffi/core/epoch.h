// One pass of a kernel over all ratings, by a fixed number of threads.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/strata.h"
#include "core/update/kernel.h"

namespace mascot {

// Everything an epoch reads, besides the tables it updates in place.
struct Epoch {
  Ratings ratings;
  Side users;
  Side items;
  int64_t factors;
  int64_t block_size;  // ratings per block; blocks are visited in a new seeded order every epoch
  int threads;
  Rates rates = {};
  uint32_t seed = 0;
  uint32_t number = 0;                     // of this epoch, from 0
  double sample_ratio = 0;                 // gamma in [0, 1]; 0 leaves the sums zero
  Rounding rounding = Rounding::kNearest;  // of rows in fewer than 32 bits
  Computation computation = {};
  Strata strata = {};  // the blocks that the ratings are laid out in, if they are
};

// Hogwild SGD: blocks are handed to threads as they become free; rows are read and written without
// locks. With one thread the order of updates is the order of blocks. Without strata, a block is
// block_size ratings; a block of strata is visited in parts of that size. In conflict-free strata
// no row is ever written by two threads. user_sums: [user groups, factors + kStatistics], item_sums
// alike.
void run_epoch(const Kernel& kernel, const Epoch& epoch, float* user_sums, float* item_sums);

// How an epoch over interactions draws negatives (core/interactions).
struct Drawing {
  Loss loss;
  float weight;                  // of a negative's error
  const float* user_draws;       // [users]: how many in an epoch, on average
  const uint32_t* item_weights;  // [items]: how often each is drawn, compared with the others
};

// The same over interactions, laid out in strata and sorted by user and item within each block,
// and over negatives. Values are weights of interactions.
void run_interactions(const Kernel& kernel, const Epoch& epoch, const Drawing& drawing,
                      float* user_sums, float* item_sums);

// Part of an epoch in conflict-free strata: the blocks of a list, in its order. Sums go on from
// where they stood: of each range the words of its groups' (sums.h), one range after the other.
void run_turns(const Kernel& kernel, const Epoch& epoch, const RangePair* list, int64_t count,
               uint32_t* user_sums, uint32_t* item_sums);

// Words of the sums of all ranges.
int64_t count_words(const uint32_t* starts, int64_t ranges, const Groups& groups, int64_t factors);

// Adds up the sums of all ranges in their order, as run_epoch does. out: as user_sums there.
void total_sums(const uint32_t* starts, int64_t ranges, const Groups& groups, int64_t factors,
                double rate, const uint32_t* sums, float* out);

// The same walk with Kernel::stream.
void run_stream(const Kernel& kernel, const Epoch& epoch);

// predictions: [ratings.count], in the ratings' order.
// Of epoch, only ratings' ids, sides, factors and threads count.
void run_predict(const Kernel& kernel, const Epoch& epoch, float* predictions);

// The same with Kernel::predict_to_stop, by the thresholds of epoch's computation.
// stops: [ratings.count].
void run_predict_to_stop(const Kernel& kernel, const Epoch& epoch, float* predictions,
                         uint32_t* stops);

// The best kernel this CPU supports, for "auto" or "", or the one of that name;
// null if unknown or not supported here.
const Kernel* find_kernel(std::string_view name);

}  // namespace mascot

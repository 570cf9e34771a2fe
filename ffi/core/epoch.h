// One pass of a kernel over all ratings, by a fixed number of threads.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/kernel.h"
#include "core/strata.h"

namespace mascot {

// Everything an epoch reads, besides the tables it updates in place.
struct Epoch {
  Ratings ratings;
  Side users;
  Side items;
  int64_t factors;
  Rates rates;
  uint32_t seed;
  uint32_t number;      // of this epoch, from 0
  double sample_ratio;  // gamma in [0, 1]; 0 leaves the sums zero
  Rounding rounding;    // of float16 rows
  int64_t block_size;   // ratings per block; blocks are visited in a new seeded order every epoch
  int threads;
  Strata strata = {};  // of the ratings, for a result that does not depend on the threads
};

// Hogwild SGD: blocks are handed to threads as they become free; rows are read and written without
// locks. With one thread the order of updates is the order of blocks.
// With strata, blocks are theirs, in parts of block_size, and no row is ever written by two
// threads. user_sums: [user groups, factors + kStatistics], item_sums alike.
void run_epoch(const Kernel& kernel, const Epoch& epoch, float* user_sums, float* item_sums);

// The same walk with Kernel::stream.
void run_stream(const Kernel& kernel, const Epoch& epoch);

// predictions: [ratings.count], in the ratings' order.
// Of epoch, only ratings' ids, sides, factors and threads count.
void run_predict(const Kernel& kernel, const Epoch& epoch, float* predictions);

// The best kernel this CPU supports, for "auto" or "", or the one of that name;
// null if unknown or not supported here.
const Kernel* find_kernel(std::string_view name);

}  // namespace mascot

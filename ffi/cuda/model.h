// What the CUDA kernels work on: views of device memory. Nothing is owned, and nothing here is read
// by the host, which therefore never waits for the device.
#pragma once

#include <array>
#include <cstdint>

#include "core/host_device.h"
#include "core/interactions/visits.h"
#include "core/model.h"

namespace mascot::cuda {

// The groups are checked by mascot_jax where they are made; group g holds rows
// starts[g] .. starts[g + 1] - 1, the most-rated first, all in storage codes[g].
struct Side {
  Table tables[kStorages];
  const uint32_t* starts;  // [groups + 1]
  const uint8_t* codes;    // [groups]
  int64_t groups;
  int64_t rows;
  uint32_t* metadata;  // [rows]: group << kCodeBits | code; for Lookup::kPerRow, else null
};

// What a row holds. 2^scale_bits components of a scaled row share a scale.
struct RowShape {
  int factors;
  int scale_bits;
};

// The scale_bits of rows in which all components share one.
inline constexpr int kWholeRow = 30;

// Components of the longest row that is held in registers, as int8 and all arithmetic but FP32 need
// it.
inline constexpr int64_t kMostHeldFactors = 256;

// How a row is written that other ratings in flight may be writing.
enum class Writes : uint8_t {
  kAdd,    // the change is added atomically, none is lost; but int8 rows are stored
  kStore,  // the new row is stored: the last one wins, as in the paper
};

// What every pass over the ratings needs.
struct Pass {
  Ratings ratings;
  Side users;
  Side items;
  RowShape shape;
  int64_t block_size;  // ratings per block of the epoch's order
  Lookup lookup;
};

// What training needs besides. Sums are rows of sums_width floats: the users' groups, then the
// items'.
struct Training {
  const float* rates;        // [5]: learning_rate, user_reg, item_reg, sample_ratio, quantiser
  const uint32_t* counters;  // [2]: seed, epoch
  float* sums;               // scratch [user groups + item groups, sums_width(factors)], zero
  Writes writes;
  const float* thresholds = nullptr;  // [2]: of Thresholds; null: no update ever ends early
};

// A batch's lookups of click models' rows sorted by row, equal ones in the batch's order.
struct SortedLookups {
  const uint32_t* rows;    // [count]
  const uint32_t* places;  // [count]: b * fields + f of each
  int64_t count;
};

// What an epoch over interactions needs besides. The ratings are interactions, in blocks by range
// of users and range of items, sorted by user and item within each; their values are weights.
struct Interactions {
  const uint32_t* user_starts;  // [user_ranges + 1]: rows
  const uint32_t* item_starts;  // [item_ranges + 1]
  const uint32_t* begin;        // [user_ranges * item_ranges]: each block's first interaction
  int64_t user_ranges;
  int64_t item_ranges;
  const float* user_draws;       // [users]: negatives in an epoch, on average
  const uint32_t* item_weights;  // [items], in draws
  const float* negative_weight;  // [1]
  Loss loss;
  uint64_t* items_before;  // scratch [items + 1]: weights of all items before each
  DrawnRange* ranges;      // scratch [item_ranges]
  int users_at_once;       // of a warp's piece, at most kWarp
};

// The gradient's components, padded to whole vectors, then those of Statistic and one unused.
inline constexpr int kStatisticColumns = 4;
MASCOT_HD inline int64_t padded_factors(int64_t factors) { return (factors + 3) / 4 * 4; }
MASCOT_HD inline int64_t sums_width(int64_t factors) {
  return padded_factors(factors) + kStatisticColumns;
}

}  // namespace mascot::cuda

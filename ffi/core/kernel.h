// The instruction-set variants of the work on rows, behind one table of functions.
#pragma once

#include <cstdint>
#include <vector>

#include "core/model.h"
#include "core/sums.h"

// A call in the loop over ratings costs more than its work.
// Lambdas take the attribute without `inline`.
#define MASCOT_INLINED __attribute__((always_inline))
#define MASCOT_INLINE inline MASCOT_INLINED

namespace mascot {

// One epoch's constants: eta, lambda_P, lambda_Q.
struct Rates {
  float learning_rate;
  float user_reg;
  float item_reg;
};

struct Sampling {
  uint64_t key = 0;
  uint64_t threshold = 0;  // of 2^32: a rating is sampled if its draw is below; 0 samples none
};

// How float16 rows are stored.
struct Dither {
  Rounding rounding = Rounding::kNearest;
  uint64_t key = 0;  // of stochastic rounding's draws
};

// Consecutive ratings begin..end-1, to be visited by one thread: in their order while all rows are
// in the same pair of storages (user's, item's), else pair by pair, float32/float32 first, then
// float16/float32, float32/float16 and float16/float16, in their order within each.
struct Block {
  int64_t begin;
  int64_t end;
};

inline constexpr int64_t kMostPerBlock = 32768;  // ratings: their places are counted in 16 bits

// A thread's memory for what it works out about a block: one element per rating.
struct Scratch {
  explicit Scratch(int64_t block_size) : plan(block_size), order(block_size) {}
  std::vector<uint8_t> plan;
  std::vector<uint32_t> order;
};

// What a thread needs to work on blocks of one epoch.
struct Task {
  const Ratings* ratings;
  const Side* users;
  const Side* items;
  int64_t factors;
  Rates rates;
  Sampling sampling;
  Dither dither;
  GroupSums* user_sums;  // used only when sampling
  GroupSums* item_sums;
  Scratch* scratch;
};

struct Kernel {
  const char* name;
  bool (*supported)();
  // SGD over a block: the paper's Eq. 2 and 3, and lines 9-11 of Algorithm 1 for sampled ratings.
  void (*update)(const Task&, Block);
  // predictions[i] = p_u . q_i for begin <= i < end, in update's arithmetic. rating is not read.
  void (*predict)(const Task&, Block, float* predictions);
  // Copies float16 rows begin..end-1 to the float32 table, widened exactly.
  void (*widen)(const Side&, int64_t factors, int64_t begin, int64_t end);
  // Loads and stores the rows that update would, with its prefetch and no arithmetic:
  // the memory system's bound, for benchmarks.
  void (*stream)(const Task&, Block);
};

extern const Kernel kPortable;
#if defined(__x86_64__)
extern const Kernel kAvx2;
extern const Kernel kAvx512;
#endif

}  // namespace mascot

// The instruction-set variants of the work on rows, behind one table of functions.
#pragma once

#include <cstdint>
#include <vector>

#include "core/interactions/negatives.h"
#include "core/model.h"
#include "core/sums.h"

namespace mascot {

// How rows of fewer than 32 bits are stored.
struct Dither {
  Rounding rounding = Rounding::kNearest;
  uint64_t key = 0;  // of stochastic rounding's draws
};

// What updates are computed in.
struct Computation {
  Arithmetic arithmetic = Arithmetic::kFloat32;
  float quantiser = 0;         // kMixed: the loss scale; kFixed: the word length in bits
  Thresholds thresholds = {};  // kFloat32 only
};

// A rating's pair of storages as a number: the user's code in the low bits, the item's above.
inline constexpr int kPairs = kStorages << kCodeBits;
constexpr uint8_t pair_of(Storage user, Storage item) {
  return static_cast<uint8_t>(static_cast<int>(user) | static_cast<int>(item) << kCodeBits);
}
constexpr Storage user_storage(int pair) {
  return static_cast<Storage>(pair & ((1 << kCodeBits) - 1));
}
constexpr Storage item_storage(int pair) { return static_cast<Storage>(pair >> kCodeBits); }

// Consecutive ratings begin..end-1, to be visited by one thread: in their order while all rows are
// in the same pair of storages, else pair by pair, in rising pair_of and in their order within
// each.
struct Block {
  static constexpr int kUnknown = -1;
  int64_t begin;
  int64_t end;
  int pair = kUnknown;  // that of every rating, where the caller knows it
};

inline constexpr int64_t kMostPerBlock = 32768;  // ratings: the bound of a thread's scratch

// How many bytes the lanes' select looks at, and numbers that it may write.
inline constexpr int64_t kSelected = 16;

// A row of FP32 numbers that a thread works on, and where it stands in memory.
class RowBuffer {
 public:
  explicit RowBuffer(int64_t factors) : memory_(chunk_count(factors) * kLanes + kAlignment) {}
  float* data() {
    const auto address = reinterpret_cast<uintptr_t>(memory_.data());
    return memory_.data() + (-address / sizeof(float)) % kAlignment;
  }

 private:
  static constexpr int64_t kAlignment = 16;  // floats: a cache line
  std::vector<float> memory_;
};

// A thread's memory.
struct Scratch {
  Scratch(int64_t block_size, int64_t factors)
      : plan(block_size + kSelected),
        order(block_size + kSelected),
        user(factors),
        item(factors),
        own(factors),
        other(factors),
        computed(factors),
        stored(factors),
        encoded(factors) {}
  // What it works out about a block: an element per rating, and room for a last select.
  std::vector<uint8_t> plan;
  std::vector<uint32_t> order;
  // Copies in FP32 of a rating's rows, or what they are quantised to.
  RowBuffer user, item;
  // Of a sample: both rows; then one of them before its store, after it, and as it would be stored.
  RowBuffer own, other, computed, stored, encoded;
};

// What a thread needs to work on blocks of one epoch.
struct Task {
  const Ratings* ratings;
  const Side* users;
  const Side* items;
  int64_t factors;
  Rates rates;
  float user_decay;  // -(eta lambda_P): what an update adds of a user's row to itself
  float item_decay;  // -(eta lambda_Q)
  Sampling sampling;
  Dither dither;
  Computation computation;
  GroupSums* user_sums;  // used only when sampling
  GroupSums* item_sums;
  Scratch* scratch;
};

// How rows come to have fewer components (core/projection.h).
struct Projection {
  const float* basis;  // [factors, kept], both padded with zeros to chunks; 64-byte aligned
  int64_t factors;
  int64_t kept;
  Dither dither;
  uint64_t first_draw;  // number of row 0's draws
};

struct Kernel {
  const char* name;
  bool (*supported)();
  // SGD over a block: the paper's Eq. 2 and 3, and lines 9-11 of Algorithm 1 for sampled ratings.
  // While one rating after the other is of the same user, that row is held in FP32: it is stored,
  // and rounded, once. In another arithmetic than FP32 nothing is sampled.
  void (*update)(const Task&, Block);
  // predictions[i] = p_u . q_i for begin <= i < end, in update's arithmetic. rating is not read.
  void (*predict)(const Task&, Block, float* predictions);
  // The same up to the first component below the thresholds, whose numbers go to stops; factors
  // where there is none.
  void (*predict_to_stop)(const Task&, Block, float* predictions, uint32_t* stops);
  // Writes rows begin..end-1 to another table, rounded to nearest where they do not fit.
  void (*convert)(const Side&, Storage from, Storage to, int64_t factors, int64_t begin,
                  int64_t end);
  // Loads and stores the rows that update would, with its prefetch and no arithmetic:
  // the memory system's bound, for benchmarks.
  void (*stream)(const Task&, Block);
  // Adds the second moments of rows begin..end-1, each times its weight, to the entries of sums
  // [width, width] on and right of the diagonal; width: of the chunks of a row.
  void (*add_moments)(const Side&, int64_t factors, const float* weights, int64_t begin,
                      int64_t end, double* sums);
  // Writes rows begin..end-1, times a basis, to another side's tables.
  void (*project)(const Side& from, const Side& to, const Projection&, int64_t begin, int64_t end);
  // SGD over a corner's interactions and negatives.
  void (*interact)(const Task&, const Negatives&, const Corner&);
};

// Kernel::interact of each, in core/interactions.
namespace portable {
void interact(const Task&, const Negatives&, const Corner&);
}
namespace avx2 {
void interact(const Task&, const Negatives&, const Corner&);
}
namespace avx512 {
void interact(const Task&, const Negatives&, const Corner&);
}
namespace neon {
void interact(const Task&, const Negatives&, const Corner&);
}

extern const Kernel kPortable;
#if defined(__x86_64__)
extern const Kernel kAvx2;
extern const Kernel kAvx512;
#elif defined(__aarch64__)
extern const Kernel kNeon;
#endif

}  // namespace mascot

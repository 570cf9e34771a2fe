// Ratings laid out in blocks by range of users and range of items. Blocks of different ranges share
// no row: visited in an order in which each row has its blocks one after the other, what an epoch
// makes of them does not depend on who works on which block, nor when.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <vector>

#include "core/random.h"
#include "core/update/kernel.h"

namespace mascot {

// The layout: block (a, b), number a * item_ranges + b, holds the ratings of users in range a and
// items in range b. Ranges are contiguous rows and fixed by the data, never by the threads.
struct Strata {
  const uint32_t* user_starts = nullptr;  // [user_ranges + 1]: rows
  const uint32_t* item_starts = nullptr;  // [item_ranges + 1]
  const uint32_t* begin = nullptr;        // [user_ranges * item_ranges]: numbers of ratings
  int64_t user_ranges = 0;                // 0: no strata
  int64_t item_ranges = 0;
  bool conflict_free = false;  // no two threads at a time in one range; else in any order
  // [user_ranges * item_ranges]: the number of each block's first rating in all of the training,
  // where this process holds only some of it; null: its place here.
  const uint32_t* numbers = nullptr;
  int64_t rotations = 0;  // of the order in which blocks are visited (rotations.h); 0: draw_list's

  int64_t blocks() const { return user_ranges * item_ranges; }
};

// The groups that a range has rows of.
struct GroupSpan {
  int64_t first;
  int64_t count;
};
GroupSpan groups_of(const uint32_t* starts, int64_t range, const Groups& groups);

// One block in the order of an epoch, and how many blocks of its ranges come before it.
struct Turn {
  uint32_t user_range;
  uint32_t item_range;
  uint32_t user_turn;
  uint32_t item_turn;
};

// A block as its pair of ranges.
struct RangePair {
  uint32_t user_range;
  uint32_t item_range;
};

// Every block once, in rounds that share no range: each range of the shorter side meets another of
// the longer one in each. Which meet when is drawn anew for every epoch.
std::vector<RangePair> draw_list(int64_t user_ranges, int64_t item_ranges, uint32_t seed,
                                 uint32_t epoch);

// The blocks of a list, but those that are known to be empty, in its order.
std::vector<Turn> turns_of(const Strata& strata, const RangePair* list, int64_t count);

// How many blocks of a range are done; cache lines of its own. Who waits for a range sleeps on it:
// a thread that polls takes the core that the one it waits for needs.
class alignas(64) Progress {
 public:
  // Returns once so many blocks are done.
  void wait_for(uint32_t blocks, int spins);
  void finish(uint32_t blocks);

 private:
  std::atomic<uint32_t> done_ = 0;
  std::atomic<uint32_t> sleepers_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
};

// Hands out blocks in their order, each once its ranges have done all their earlier
// ones. Threads wait for nothing else; as every block waits only for earlier ones, and those were
// handed out earlier, they cannot wait for each other.
class Schedule {
 public:
  Schedule(const Strata& strata, std::vector<Turn> turns, int threads);

  // Calls work(turn) until no block is left; for each thread of a team.
  template <class Work>
  void run(const Work& work) {
    for (std::size_t at = next_++; at < turns_.size(); at = next_++) {
      const Turn& turn = turns_[at];
      users_[turn.user_range].wait_for(turn.user_turn, spins_);
      items_[turn.item_range].wait_for(turn.item_turn, spins_);
      work(turn);
      users_[turn.user_range].finish(turn.user_turn + 1);
      items_[turn.item_range].finish(turn.item_turn + 1);
    }
  }

 private:
  int spins_;
  std::vector<Turn> turns_;
  std::vector<Progress> users_;
  std::vector<Progress> items_;
  std::atomic<std::size_t> next_ = 0;
};

}  // namespace mascot

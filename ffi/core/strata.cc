#include "core/strata.h"

#include <algorithm>
#include <thread>
#include <utility>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace mascot {
namespace {

// Tries before a waiting thread sleeps. A block takes microseconds, so the wait is short unless
// there are more threads than cores: then whoever is waited for may need this one's core at once.
constexpr int kSpins = 4000;

int spins_for(int threads) {
  return threads > static_cast<int>(std::thread::hardware_concurrency()) ? 0 : kSpins;
}

void pause() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

// All of a permutation of so many numbers.
std::vector<uint32_t> drawn(uint64_t key, uint64_t count) {
  const Permutation permutation(key, count);
  std::vector<uint32_t> order(count);
  for (uint64_t i = 0; i < count; ++i) order[i] = static_cast<uint32_t>(permutation(i));
  return order;
}

// Where it is known at a glance: an update of a few ratings has thousands of empty blocks.
bool empty(const Strata& strata, int64_t block) {
  return strata.begin != nullptr && block + 1 < strata.blocks() &&
         strata.begin[block] == strata.begin[block + 1];
}

}  // namespace

GroupSpan groups_of(const uint32_t* starts, int64_t range, const Groups& groups) {
  if (starts[range] == starts[range + 1]) return {0, 0};
  const int64_t first = groups.find(starts[range]);
  return {first, groups.find(starts[range + 1] - 1) - first + 1};
}

std::vector<RangePair> draw_list(int64_t user_ranges, int64_t item_ranges, uint32_t seed,
                                 uint32_t epoch) {
  const bool fewer_users = user_ranges <= item_ranges;
  const auto fewer = static_cast<uint64_t>(std::min(user_ranges, item_ranges));
  const auto more = static_cast<uint64_t>(std::max(user_ranges, item_ranges));
  const auto short_side = drawn(stream_key(seed, epoch, Stream::kShortSide), fewer);
  const auto long_side = drawn(stream_key(seed, epoch, Stream::kLongSide), more);
  const auto rounds = drawn(stream_key(seed, epoch, Stream::kRounds), more);
  std::vector<RangePair> list;
  list.reserve(fewer * more);
  for (uint64_t round = 0; round < more; ++round) {
    const uint64_t shift = rounds[round];
    for (uint64_t place = 0; place < fewer; ++place) {
      const uint32_t a = short_side[place], b = long_side[(place + shift) % more];
      list.push_back(fewer_users ? RangePair{a, b} : RangePair{b, a});
    }
  }
  return list;
}

std::vector<Turn> turns_of(const Strata& strata, const RangePair* list, int64_t count) {
  std::vector<uint32_t> users_done(strata.user_ranges), items_done(strata.item_ranges);
  std::vector<Turn> turns;
  for (int64_t i = 0; i < count; ++i) {
    const auto [user, item] = list[i];
    if (empty(strata, user * strata.item_ranges + item)) continue;
    turns.push_back({user, item, users_done[user]++, items_done[item]++});
  }
  return turns;
}

Schedule::Schedule(const Strata& strata, std::vector<Turn> turns, int threads)
    : spins_(spins_for(threads)),
      turns_(std::move(turns)),
      users_(strata.user_ranges),
      items_(strata.item_ranges) {}

void Progress::wait_for(uint32_t blocks, int spins) {
  for (; done_.load(std::memory_order_acquire) != blocks && spins > 0; --spins) pause();
  if (done_.load(std::memory_order_acquire) == blocks) return;
  std::unique_lock<std::mutex> lock(mutex_);
  ++sleepers_;
  changed_.wait(lock, [&] { return done_.load() == blocks; });
  --sleepers_;
}

// Either the sleeper is counted before this looks, or it sees what was stored here: both are
// sequentially consistent.
void Progress::finish(uint32_t blocks) {
  done_.store(blocks);
  if (sleepers_.load() == 0) return;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
  }  // not between its look and its sleep
  changed_.notify_all();
}

}  // namespace mascot

#include "core/strata.h"

#include <algorithm>
#include <thread>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace mascot {
namespace {

// Tries before a waiting thread lets others run. A block takes microseconds, so the wait is short
// unless there are more threads than cores: then whoever is waited for may need this one's core.
constexpr int kSpins = 4000;

void pause() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

}  // namespace

std::vector<Turn> epoch_turns(const Strata& strata, uint32_t seed, uint32_t epoch) {
  const auto user_ranges = static_cast<uint64_t>(strata.user_ranges);
  const auto item_ranges = static_cast<uint64_t>(strata.item_ranges);
  const bool fewer_users = user_ranges <= item_ranges;
  const uint64_t fewer = std::min(user_ranges, item_ranges);
  const uint64_t more = std::max(user_ranges, item_ranges);
  const Permutation short_side(stream_key(seed, epoch, Stream::kShortSide), fewer);
  const Permutation long_side(stream_key(seed, epoch, Stream::kLongSide), more);
  const Permutation rounds(stream_key(seed, epoch, Stream::kRounds), more);
  std::vector<uint32_t> users_done(user_ranges), items_done(item_ranges);
  std::vector<Turn> turns;
  turns.reserve(fewer * more);
  for (uint64_t round = 0; round < more; ++round) {
    const uint64_t shift = rounds(round);
    for (uint64_t place = 0; place < fewer; ++place) {
      const auto a = static_cast<uint32_t>(short_side(place));
      const auto b = static_cast<uint32_t>(long_side((place + shift) % more));
      const uint32_t user = fewer_users ? a : b, item = fewer_users ? b : a;
      turns.push_back({user, item, users_done[user]++, items_done[item]++});
    }
  }
  return turns;
}

void Schedule::wait(const Progress& range, uint32_t turn) {
  for (int spins = 0; range.done.load(std::memory_order_acquire) != turn; ++spins) {
    if (spins < kSpins) {
      pause();
    } else {
      std::this_thread::yield();
    }
  }
}

}  // namespace mascot

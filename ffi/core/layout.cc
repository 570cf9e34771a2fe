#include "core/layout.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <utility>
#include <vector>

#include "core/parallel.h"
#include "core/random.h"

namespace mascot {
namespace {

// A key to sort by in the high half, and the place of a rating in its block in the low half.
using Entry = uint64_t;
Entry make_entry(uint64_t key, uint64_t place) { return key << 32 | place; }
uint32_t key_of(Entry entry) { return static_cast<uint32_t>(entry >> 32); }
uint32_t place_of(Entry entry) { return static_cast<uint32_t>(entry); }

int bit_length(uint64_t value) {
  int bits = 0;
  for (; value != 0; value >>= 1) ++bits;
  return bits;
}

// Memory of one thread, as large as the largest block it has worked on.
struct Scratch {
  std::vector<Entry> entries, other;
  std::vector<uint32_t> user, item;
  std::vector<float> rating;
};

// Sorts entries by keys of so many bits; equal keys stay in their order.
void sort_by_key(Scratch& scratch, int bits) {
  constexpr int kDigit = 11;
  std::array<uint32_t, 1 << kDigit> next;
  for (int shift = 32; shift < 32 + bits; shift += kDigit) {
    const auto digit = [shift](Entry entry) { return entry >> shift & ((1 << kDigit) - 1); };
    next.fill(0);
    for (Entry entry : scratch.entries) ++next[digit(entry)];
    uint32_t before = 0;
    for (uint32_t& count : next) before += std::exchange(count, before);
    scratch.other.resize(scratch.entries.size());
    for (Entry entry : scratch.entries) scratch.other[next[digit(entry)]++] = entry;
    scratch.entries.swap(scratch.other);
  }
}

// How many entries that are sorted by key have the commonest one.
int64_t most_of_one_key(const std::vector<Entry>& entries) {
  int64_t most = 0, first = 0;
  for (int64_t i = 0; i < static_cast<int64_t>(entries.size()); ++i) {
    if (key_of(entries[i]) != key_of(entries[first])) first = i;
    most = std::max(most, i - first + 1);
  }
  return most;
}

// Replaces the users of sorted entries, counted from first_user, by the sweeps that their runs are
// dealt to; returns the bits of a sweep's number. A user's first run goes to a random sweep, the
// others follow at golden sections of their number: no two of a user's to the same one.
int deal(const Layout& layout, uint32_t first_user, std::vector<Entry>& entries) {
  const int64_t most_runs = (most_of_one_key(entries) - 1) / layout.longest_run;
  const int bits = bit_length(static_cast<uint64_t>(std::max(most_runs, layout.least_sweeps - 1)));
  const uint64_t mask = (uint64_t{1} << bits) - 1;
  const uint64_t step = kGoldenGamma >> (64 - bits) | 1;  // odd: 2^bits runs meet 2^bits sweeps
  const uint64_t key = stream_key(layout.seed, 0, Stream::kSweep);
  uint32_t user = 0;
  uint64_t sweep = 0;
  int64_t in_run = 0;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (i == 0 || key_of(entries[i]) != user) {
      user = key_of(entries[i]);
      sweep = draw32(key, uint64_t{first_user} + user);
      in_run = 0;
    } else if (++in_run == layout.longest_run) {
      sweep += step;
      in_run = 0;
    }
    entries[i] = make_entry(sweep & mask, place_of(entries[i]));
  }
  return bits;
}

// Puts the ratings of one block into runs, from one set of columns to another.
void put_in_runs(const Layout& layout, const Ratings& from, const Columns& to, Scratch& scratch) {
  if (from.count == 0) return;
  const auto [low, high] = std::minmax_element(from.user, from.user + from.count);
  const uint32_t first_user = *low;
  const int user_bits = bit_length(*high - first_user);
  scratch.entries.resize(static_cast<std::size_t>(from.count));
  for (int64_t i = 0; i < from.count; ++i) {
    scratch.entries[i] = make_entry(from.user[i] - first_user, static_cast<uint64_t>(i));
  }
  sort_by_key(scratch, user_bits);
  sort_by_key(scratch, deal(layout, first_user, scratch.entries));
  for (int64_t i = 0; i < from.count; ++i) {
    const uint32_t place = place_of(scratch.entries[i]);
    to.user[i] = from.user[place];
    to.item[i] = from.item[place];
    to.rating[i] = from.rating[place];
  }
}

Columns from(const Columns& columns, int64_t first) {
  return {columns.user + first, columns.item + first, columns.rating + first};
}

// The ratings that one thread counts and then moves.
struct Share {
  int64_t begin;
  int64_t end;
  std::vector<int64_t> next;  // by block: how many, then where the next one goes
};

// Sorts the ratings into blocks; within one they stay in their order.
void put_in_blocks(const Layout& layout, const Columns& out, uint32_t* begin) {
  const Ratings& in = layout.ratings;
  const auto block_of = [&](int64_t i) {
    return layout.user_part[in.user[i]] + layout.item_part[in.item[i]];
  };
  std::vector<Share> shares(layout.threads);
  for (int thread = 0; thread < layout.threads; ++thread) {
    shares[thread] = {in.count * thread / layout.threads, in.count * (thread + 1) / layout.threads,
                      std::vector<int64_t>(layout.blocks)};
  }
  run_threads(layout.threads, [&](int thread) {
    Share& share = shares[thread];
    for (int64_t i = share.begin; i < share.end; ++i) ++share.next[block_of(i)];
  });
  int64_t before = 0;
  for (int64_t block = 0; block < layout.blocks; ++block) {
    begin[block] = static_cast<uint32_t>(before);
    for (Share& share : shares) before += std::exchange(share.next[block], before);
  }
  run_threads(layout.threads, [&](int thread) {
    Share& share = shares[thread];
    for (int64_t i = share.begin; i < share.end; ++i) {
      const int64_t place = share.next[block_of(i)]++;
      out.user[place] = in.user[i];
      out.item[place] = in.item[i];
      out.rating[place] = in.rating[i];
    }
  });
}

// Puts the ratings of every block into runs, where they lie.
void put_blocks_in_runs(const Layout& layout, const Columns& out, const uint32_t* begin) {
  const auto begin_of = [&](int64_t block) {
    return block < layout.blocks ? int64_t{begin[block]} : layout.ratings.count;
  };
  std::vector<Scratch> scratches(layout.threads);
  std::atomic<int64_t> next = 0;
  run_threads(layout.threads, [&](int thread) {
    Scratch& scratch = scratches[thread];
    for (int64_t block = next++; block < layout.blocks; block = next++) {
      const int64_t first = begin_of(block), count = begin_of(block + 1) - first;
      const Columns here = from(out, first);
      scratch.user.assign(here.user, here.user + count);
      scratch.item.assign(here.item, here.item + count);
      scratch.rating.assign(here.rating, here.rating + count);
      put_in_runs(layout, {scratch.user.data(), scratch.item.data(), scratch.rating.data(), count},
                  here, scratch);
    }
  });
}

}  // namespace

void lay_out(const Layout& layout, const Columns& out, uint32_t* begin) {
  if (layout.blocks == 1 && layout.longest_run != 0) {  // without a copy of them all
    Scratch scratch;
    begin[0] = 0;
    put_in_runs(layout, layout.ratings, out, scratch);
    return;
  }
  put_in_blocks(layout, out, begin);
  if (layout.longest_run != 0) put_blocks_in_runs(layout, out, begin);
}

}  // namespace mascot

#include "core/tables.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstring>
#include <vector>

#include "core/parallel.h"

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace mascot {
namespace {

constexpr int64_t kRowsPerTurn = 4096;

// True if no value has an exponent of all ones.
// Integer arithmetic, which every compiler vectorises.
template <class Bits>
bool all_finite(const void* data, int64_t count, Bits exponent) {
  const Bits* values = static_cast<const Bits*>(data);
  bool bad = false;
  for (int64_t i = 0; i < count; ++i) bad |= (values[i] & exponent) == exponent;
  return !bad;
}

bool row_range_finite(const Side& side, Storage storage, int64_t begin, int64_t end,
                      int64_t factors) {
  const Table& table = side.table(storage);
  const char* data = static_cast<const char*>(side.row(storage, static_cast<uint32_t>(begin)));
  // Padding is zero, so whole rows can be scanned.
  const int64_t count = (end - begin) * table.stride;
  const auto [name, bytes, exponent, scaled] = traits(storage);
  if (!scaled && bytes == 2) return all_finite(data, count, static_cast<uint16_t>(exponent));
  if (!scaled) return all_finite(data, count, exponent);
  const int64_t chunks = chunk_count(factors);
  const int64_t scales = scale_count(chunks, table.scale_chunks);
  bool finite = true;
  for (int64_t row = begin; row < end; ++row, data += table.stride) {
    finite &= all_finite(data + chunks * kLanes, scales, exponent);
  }
  return finite;
}

struct RowRange {
  int64_t group;
  int64_t begin;
  int64_t end;
};

// Calls work(range) on ranges of at most kRowsPerTurn rows that cover every group.
template <class Work>
void for_row_ranges(const Groups& groups, int threads, const Work& work) {
  std::vector<RowRange> ranges;
  for (int64_t g = 0; g < groups.size(); ++g) {
    for (int64_t row = groups.begin(g); row < groups.end(g); row += kRowsPerTurn) {
      ranges.push_back({g, row, std::min(row + kRowsPerTurn, groups.end(g))});
    }
  }
  std::atomic<std::size_t> next = 0;
  const auto team = static_cast<int>(std::min<std::size_t>(ranges.size(), threads));
  run_threads(team, [&](int) {
    for (std::size_t i = next++; i < ranges.size(); i = next++) work(ranges[i]);
  });
}

}  // namespace

void advise_huge_pages(void* data, int64_t bytes) {
#if defined(__linux__)
  constexpr uintptr_t kHugePage = uintptr_t{2} << 20;
  const auto address = reinterpret_cast<uintptr_t>(data);
  const uintptr_t begin = (address + kHugePage - 1) / kHugePage * kHugePage;
  const uintptr_t end = (address + static_cast<uintptr_t>(bytes)) / kHugePage * kHugePage;
  // Advice only: where the kernel has no huge pages, training is slower and nothing else.
  if (begin < end) (void)madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
#else
  (void)data;
  (void)bytes;
#endif
}

void promote(const Kernel& kernel, const Side& from, const Groups& to, int64_t factors,
             int threads) {
  bool changes = false;
  for (int64_t g = 0; g < to.size(); ++g) changes |= from.groups.storage(g) != to.storage(g);
  if (!changes) return;  // most epochs: no threads for nothing
  for_row_ranges(to, threads, [&](const RowRange& range) {
    const Storage before = from.groups.storage(range.group), after = to.storage(range.group);
    if (before != after) kernel.convert(from, before, after, factors, range.begin, range.end);
  });
}

void check_finite(const Side& side, int64_t factors, int threads, uint8_t* finite) {
  std::memset(finite, 1, static_cast<std::size_t>(side.groups.size()));
  for_row_ranges(side.groups, threads, [&](const RowRange& range) {
    const Storage storage = side.groups.storage(range.group);
    if (!row_range_finite(side, storage, range.begin, range.end, factors)) {
      __atomic_store_n(&finite[range.group], uint8_t{0}, __ATOMIC_RELAXED);
    }
  });
}

}  // namespace mascot

#include "core/exchange.h"

#include <algorithm>
#include <cstring>

#include "core/strata.h"
#include "core/sums.h"

namespace mascot {
namespace {

// Rows that lie one behind the other, of the same storage.
struct Rows {
  uint8_t* first;
  int64_t count;
  int64_t stride;  // bytes from one to the next
  int64_t used;    // bytes of each that are sent
};

// Calls rows(Rows) and then words(place, bytes), of sums, for each range that goes from one worker
// to another, in order.
template <class RowsOf, class Words>
void for_pieces(const Exchange& exchange, const Side& side, int64_t factors, uint32_t* sums,
                const RowsOf& rows, const Words& words) {
  const int64_t width = GroupSums::words(factors);
  for (int64_t range = 0; range < exchange.ranges; ++range) {
    const GroupSpan groups = groups_of(exchange.starts, range, side.groups);
    if (exchange.takes(range)) {
      const int64_t first = exchange.starts[range], end = exchange.starts[range + 1];
      for (int64_t group = groups.first; group < groups.first + groups.count; ++group) {
        const Storage storage = side.groups.storage(group);
        const Table& table = side.table(storage);
        const int64_t begin = std::max(first, side.groups.begin(group));
        const int64_t count = std::min(end, side.groups.end(group)) - begin;
        if (count == 0) continue;
        rows(Rows{static_cast<uint8_t*>(side.row(storage, static_cast<uint32_t>(begin))), count,
                  table.stride * traits(storage).bytes,
                  row_bytes(storage, chunk_count(factors), table.scale_chunks)});
      }
      if (exchange.sums) words(sums, groups.count * width * static_cast<int64_t>(sizeof(uint32_t)));
    }
    if (sums != nullptr) sums += groups.count * width;
  }
}

// Calls copy(place, bytes) for the rows: at once where there is nothing between them.
template <class Copy>
void copy_rows(const Rows& rows, const Copy& copy) {
  if (rows.stride == rows.used) return copy(rows.first, rows.count * rows.used);
  for (int64_t row = 0; row < rows.count; ++row) copy(rows.first + row * rows.stride, rows.used);
}

}  // namespace

int64_t bytes_of(const Exchange& exchange, const Side& side, int64_t factors) {
  int64_t total = 0;
  for_pieces(
      exchange, side, factors, nullptr, [&](const Rows& rows) { total += rows.count * rows.used; },
      [&](const void*, int64_t bytes) { total += bytes; });
  return total;
}

void pack(const Exchange& exchange, const Side& side, int64_t factors, const uint32_t* sums,
          uint8_t* out) {
  const auto write = [&](const void* place, int64_t bytes) {
    std::memcpy(out, place, static_cast<std::size_t>(bytes));
    out += bytes;
  };
  for_pieces(
      exchange, side, factors, const_cast<uint32_t*>(sums),
      [&](const Rows& rows) { copy_rows(rows, write); }, write);
}

void unpack(const Exchange& exchange, const Side& side, int64_t factors, uint32_t* sums,
            const uint8_t* in) {
  const auto read = [&](void* place, int64_t bytes) {
    std::memcpy(place, in, static_cast<std::size_t>(bytes));
    in += bytes;
  };
  for_pieces(exchange, side, factors, sums, [&](const Rows& rows) { copy_rows(rows, read); }, read);
}

}  // namespace mascot

#include "core/exchange.h"

#include <algorithm>
#include <cstring>

#include "core/strata.h"
#include "core/sums.h"

namespace mascot {
namespace {

// Calls visit(place, bytes) for each piece of what goes from one worker to another, in order.
template <class Visit>
void for_pieces(const Exchange& exchange, const Side& side, int64_t factors, uint32_t* sums,
                const Visit& visit) {
  const int64_t words = GroupSums::words(factors);
  for (int64_t range = 0; range < exchange.ranges; ++range) {
    const GroupSpan groups = groups_of(exchange.starts, range, side.groups);
    if (exchange.takes(range)) {
      const int64_t first = exchange.starts[range], end = exchange.starts[range + 1];
      for (int64_t group = groups.first; group < groups.first + groups.count; ++group) {
        const Storage storage = side.groups.storage(group);
        const Table& table = side.table(storage);
        const int64_t used = row_bytes(storage, chunk_count(factors), table.scale_chunks);
        const int64_t last = std::min(end, side.groups.end(group));
        for (int64_t row = std::max(first, side.groups.begin(group)); row < last; ++row) {
          visit(side.row(storage, static_cast<uint32_t>(row)), used);
        }
      }
      visit(sums, groups.count * words * static_cast<int64_t>(sizeof(uint32_t)));
    }
    if (sums != nullptr) sums += groups.count * words;
  }
}

}  // namespace

int64_t bytes_of(const Exchange& exchange, const Side& side, int64_t factors) {
  int64_t total = 0;
  for_pieces(exchange, side, factors, nullptr, [&](const void*, int64_t bytes) { total += bytes; });
  return total;
}

void pack(const Exchange& exchange, const Side& side, int64_t factors, const uint32_t* sums,
          uint8_t* out) {
  for_pieces(exchange, side, factors, const_cast<uint32_t*>(sums),
             [&](const void* place, int64_t bytes) {
               std::memcpy(out, place, static_cast<std::size_t>(bytes));
               out += bytes;
             });
}

void unpack(const Exchange& exchange, const Side& side, int64_t factors, uint32_t* sums,
            const uint8_t* in) {
  for_pieces(exchange, side, factors, sums, [&](void* place, int64_t bytes) {
    std::memcpy(place, in, static_cast<std::size_t>(bytes));
    in += bytes;
  });
}

}  // namespace mascot

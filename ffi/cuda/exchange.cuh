// Ranges of rows on their way between devices, as core/exchange.h has them: the same bytes. Sums do
// not travel.
#pragma once

#include <cstdint>

#include "core/exchange.h"
#include "cuda/groups.cuh"
#include "cuda/hardware.cuh"
#include "cuda/model.h"
#include "cuda/storages/storages.cuh"

namespace mascot::cuda {

inline constexpr unsigned kExchangeThreads = 256;
inline constexpr unsigned kBlocksPerRange = 16;

// Rows that lie one behind the other in a storage, in words of 32 bits.
struct StoredRows {
  uint32_t* first;
  int64_t count;
  int64_t stride;
  int64_t used;  // of each, that are sent

  __device__ int64_t words() const { return count * used; }
};

// One side's rows, by range and group.
class TravellingRows {
 public:
  __device__ TravellingRows(const Side& side, const RowShape& shape, const Exchange& exchange,
                            const GroupTable& groups)
      : side_(side), shape_(shape), exchange_(exchange), groups_(groups) {}

  // Calls body(rows) for each group of a range, in their order.
  template <class Body>
  __device__ void for_groups(int64_t range, const Body& body) const {
    uint32_t row = exchange_.starts[range];
    const uint32_t end = exchange_.starts[range + 1];
    while (row < end) {
      const uint32_t group = groups_.find(row);
      const uint32_t next = min(end, side_.starts[group + 1]);
      body(rows(row, next, static_cast<Storage>(side_.codes[group])));
      row = next;
    }
  }

  __device__ int64_t words(int64_t range) const {
    int64_t words = 0;
    for_groups(range, [&](const StoredRows& rows) { words += rows.words(); });
    return words;
  }

 private:
  __device__ StoredRows rows(uint32_t begin, uint32_t end, Storage storage) const {
    const Table& table = side_.tables[static_cast<int>(storage)];
    const int64_t padded = (shape_.factors + kLanes - 1) / kLanes * kLanes;
    StoredRows rows = {nullptr, int64_t{end} - begin, 0, 0};
    with_storage_in(Storages{}, storage, [&](auto s) {
      using S = decltype(s);
      constexpr int64_t kWord = sizeof(uint32_t);
      rows.stride = table.stride * kBytes<S> / kWord;
      rows.used = padded * kBytes<S> / kWord;
      if (S::kScaled)
        rows.used += (padded + (int64_t{1} << shape_.scale_bits) - 1) >> shape_.scale_bits;
    });
    rows.first = static_cast<uint32_t*>(table.data) + begin * rows.stride;
    return rows;
  }

  const Side& side_;
  const RowShape& shape_;
  const Exchange& exchange_;
  const GroupTable& groups_;
};

// Writes the parcel if kPacks, else reads it into the tables. kBlocksPerRange thread blocks take
// each range, with shared memory for 64 bits of each thread.
template <bool kPacks>
static __global__ void exchange_kernel(const __grid_constant__ Side side, const Moves moves,
                                       const RowShape shape, uint32_t* parcel) {
  MASCOT_SHARED_MEMORY(memory);
  auto* words = reinterpret_cast<int64_t*>(memory);
  const GroupTable groups(side, Lookup::kSearch, nullptr);
  const Exchange exchange = {moves.moves, moves.starts, moves.ranges, moves.pair[0], moves.pair[1]};
  const TravellingRows travelling(side, shape, exchange, groups);
  const int64_t range = blockIdx.x / kBlocksPerRange;
  if (!exchange.takes(range)) return;
  int64_t own = 0;
  for (int64_t earlier = threadIdx.x; earlier < range; earlier += blockDim.x) {
    if (exchange.takes(earlier)) own += travelling.words(earlier);
  }
  words[threadIdx.x] = own;
  __syncthreads();
  for (unsigned thread = 0; thread < blockDim.x; ++thread) parcel += words[thread];
  const int64_t me = int64_t{blockIdx.x % kBlocksPerRange} * blockDim.x + threadIdx.x;
  const int64_t threads = int64_t{kBlocksPerRange} * blockDim.x;
  travelling.for_groups(range, [&](const StoredRows& rows) {
    for (int64_t i = me; i < rows.words(); i += threads) {
      uint32_t* const stored = rows.first + i / rows.used * rows.stride + i % rows.used;
      kPacks ? store_words(parcel + i, load_words<1>(stored))
             : store_words(stored, load_words<1>(parcel + i));
    }
    parcel += rows.words();
  });
}

}  // namespace mascot::cuda

// Kernels that work on whole factor tables between epochs, a tile to a row, and on their sums.
#pragma once

#include "cuda/groups.cuh"
#include "cuda/rows.cuh"
#include "cuda/sums.cuh"

namespace mascot::cuda {

inline constexpr unsigned kTableThreads = 256;

// Rows of any length and storage.
using TableLayout = Layout<kWide, 0, Storages>;

// Calls body(row, group) for every row of a side; all threads of a tile take the same ones. A table
// may have more places than the groups have rows: as many as another device's.
template <class Body>
__device__ void for_rows(const Side& side, const Body& body) {
  const GroupTable groups(side, Lookup::kSearch, nullptr);
  const int64_t tiles = int64_t{gridDim.x} * kTableThreads / kTile;
  const int64_t rows = side.starts[side.groups];
  for (int64_t row = (int64_t{blockIdx.x} * kTableThreads + threadIdx.x) / kTile; row < rows;
       row += tiles) {
    const auto number = static_cast<uint32_t>(row);
    body(number, groups.find(number));
  }
}

static __global__ void metadata_kernel(const __grid_constant__ Side side) {
  const GroupTable groups(side, Lookup::kSearch, nullptr);
  const int64_t threads = int64_t{gridDim.x} * kTableThreads;
  for (int64_t row = int64_t{blockIdx.x} * kTableThreads + threadIdx.x; row < side.rows;
       row += threads) {
    const uint32_t group = groups.find(static_cast<uint32_t>(row));
    side.metadata[row] = group << kCodeBits | side.codes[group];
  }
}

static __global__ void promote_kernel(const __grid_constant__ Side side, const uint8_t* new_codes,
                                      const RowShape shape) {
  for_rows(side, [&](uint32_t row, uint32_t group) {
    if (new_codes[group] == side.codes[group]) return;
    const auto target = static_cast<Storage>(new_codes[group]);
    const Place<TableLayout> from(side, static_cast<Storage>(side.codes[group]), row, shape);
    const Place<TableLayout> to(side, target, row, shape);
    // The padding, too: nobody has written it yet.
    const auto stride = side.tables[static_cast<int>(target)].stride;
    for (int c = 0; TableLayout::component(c) < stride; ++c) {
      const auto v = TableLayout::reaches(shape.factors, c) ? from.read(c) : Vector<kWide>{};
      with_storage<TableLayout>(target, [&](auto s) {
        using S = decltype(s);
        store_words(to.template at<S>(c), OnDevice<S>::template encode<kWide>(v));
      });
    }
  });
}

static __global__ void check_finite_kernel(const __grid_constant__ Side side, const RowShape shape,
                                           uint8_t* finite) {
  for_rows(side, [&](uint32_t row, uint32_t group) {
    const Place<TableLayout> place(side, static_cast<Storage>(side.codes[group]), row, shape);
    bool good = true;
    for (int c = 0; TableLayout::reaches(shape.factors, c); ++c) {
      for (const float x : place.read(c).at) good &= isfinite(x) != 0;
    }
    if (!good) finite[group] = 0;
  });
}

// out: [groups, factors + kStatisticColumns] from sums [groups, width], the squares of whole
// updates added.
static __global__ void finish_sums_kernel(const float* sums, int64_t groups, int64_t factors,
                                          const float* rates, float* out) {
  const int64_t columns = factors + kStatisticColumns, count = groups * columns;
  const int64_t width = sums_width(factors), padded = padded_factors(factors);
  const int64_t threads = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += threads) {
    const int64_t group = i / columns, column = i % columns;
    const float* row = sums + group * width;
    if (column < factors) {
      out[i] = row[column];
    } else if (column <= factors + kLost) {
      out[i] = row[padded + column - factors];
    } else {
      out[i] = rates[0] * rates[0] * row[padded + kSquaredNorms];
    }
  }
}

}  // namespace mascot::cuda

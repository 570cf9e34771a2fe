// Kernels that work on whole factor tables between epochs, a warp to a row, and on their sums.
#pragma once

#include "cuda/groups.cuh"
#include "cuda/storages.cuh"
#include "cuda/sums.cuh"

namespace mascot::cuda {

inline constexpr unsigned kTableThreads = 256;

__device__ inline int64_t first_row() {
  return (int64_t{blockIdx.x} * kTableThreads + threadIdx.x) / kWarp;
}
__device__ inline int64_t rows_at_once() { return int64_t{gridDim.x} * kTableThreads / kWarp; }

template <class S>
__device__ typename S::Element* row_of(const Side& side, int64_t row) {
  const Table& table = side.tables[static_cast<int>(S::kStorage)];
  return static_cast<typename S::Element*>(table.data) + row * table.stride;
}

static __global__ void metadata_kernel(const Side side) {
  const GroupTable groups(side, Lookup::kSearch, nullptr);
  const int64_t threads = int64_t{gridDim.x} * kTableThreads;
  for (int64_t row = int64_t{blockIdx.x} * kTableThreads + threadIdx.x; row < side.rows;
       row += threads) {
    const uint32_t group = groups.find(static_cast<uint32_t>(row));
    side.metadata[row] = group << kCodeBits | side.codes[group];
  }
}

static __global__ void promote_kernel(const Side side, const uint8_t* new_codes, int64_t factors) {
  const GroupTable groups(side, Lookup::kSearch, nullptr);
  const int64_t lane = threadIdx.x % kWarp;
  for (int64_t row = first_row(); row < side.rows; row += rows_at_once()) {
    const uint32_t group = groups.find(static_cast<uint32_t>(row));
    if (new_codes[group] == side.codes[group]) continue;
    const uint16_t* from = row_of<Float16>(side, row);
    float* to = row_of<Float32>(side, row);
    // Whole vectors: the padding is zero in both.
    for (int64_t c = lane * 4; c < factors; c += kWarp * 4) {
      Float32::store(to + c, Float16::load<4>(from + c));
    }
  }
}

template <class S>
__device__ bool row_is_finite(const Side& side, int64_t row, int64_t factors) {
  const auto* data = row_of<S>(side, row);
  bool finite = true;
  for (int64_t c = threadIdx.x % kWarp * int64_t{4}; c < factors; c += kWarp * 4) {
    const Vector<4> v = S::template load<4>(data + c);
    for (int i = 0; i < 4; ++i) finite &= isfinite(v.at[i]);
  }
  return finite;
}

static __global__ void check_finite_kernel(const Side side, int64_t factors, uint8_t* finite) {
  const GroupTable groups(side, Lookup::kSearch, nullptr);
  for (int64_t row = first_row(); row < side.rows; row += rows_at_once()) {
    const uint32_t group = groups.find(static_cast<uint32_t>(row));
    const bool good = static_cast<Storage>(side.codes[group]) == Storage::kFloat16
                          ? row_is_finite<Float16>(side, row, factors)
                          : row_is_finite<Float32>(side, row, factors);
    if (!good) finite[group] = 0;
  }
}

// out: [groups, factors + 4] from sums [groups, width], the squares of whole updates added.
static __global__ void finish_sums_kernel(const float* sums, int64_t groups, int64_t factors,
                                          const float* rates, float* out) {
  const int64_t columns = factors + 4, count = groups * columns;
  const int64_t width = sums_width(factors), padded = padded_factors(factors);
  const int64_t threads = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += threads) {
    const int64_t group = i / columns, column = i % columns;
    const float* row = sums + group * width;
    if (column < factors) {
      out[i] = row[column];
    } else if (column < factors + 3) {
      out[i] = row[padded + column - factors];
    } else {
      out[i] = rates[0] * rates[0] * row[padded + kSquaredNorms];
    }
  }
}

}  // namespace mascot::cuda

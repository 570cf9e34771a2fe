// Work on whole factor tables between epochs.
#include <algorithm>

#include "cuda/launch.h"
#include "cuda/tables.cuh"

namespace mascot::cuda {
namespace {

unsigned grid_for(int64_t threads) {
  constexpr int64_t kMost = 4096;
  const int64_t blocks = (threads + kTableThreads - 1) / kTableThreads;
  return static_cast<unsigned>(std::clamp<int64_t>(blocks, 1, kMost));
}

}  // namespace

cudaError_t write_metadata(const Side& side, cudaStream_t stream) {
  metadata_kernel<<<grid_for(side.rows), kTableThreads, 0, stream>>>(side);
  return cudaGetLastError();
}

cudaError_t promote(const Side& side, const uint8_t* new_codes, const RowShape& shape,
                    cudaStream_t stream) {
  promote_kernel<<<grid_for(side.rows * kTile), kTableThreads, 0, stream>>>(side, new_codes, shape);
  return cudaGetLastError();
}

cudaError_t check_finite(const Side& side, const RowShape& shape, uint8_t* finite,
                         cudaStream_t stream) {
  const cudaError_t error = cudaMemsetAsync(finite, 1, static_cast<size_t>(side.groups), stream);
  if (error != cudaSuccess) return error;
  check_finite_kernel<<<grid_for(side.rows * kTile), kTableThreads, 0, stream>>>(side, shape,
                                                                                 finite);
  return cudaGetLastError();
}

cudaError_t finish_sums(const float* sums, int64_t groups, int64_t factors, const float* rates,
                        float* out, cudaStream_t stream) {
  const unsigned grid = grid_for(groups * (factors + kStatisticColumns));
  finish_sums_kernel<<<grid, kTableThreads, 0, stream>>>(sums, groups, factors, rates, out);
  return cudaGetLastError();
}

}  // namespace mascot::cuda

// What an epoch over interactions draws by, made of the items' weights once at its beginning.
#pragma once

#include <cstdint>

#include "cuda/hardware.cuh"
#include "cuda/model.h"

namespace mascot::cuda {

// Fills items_before and ranges: one thread block, with shared memory for a sum of each thread.
static __global__ void ranges_kernel(const __grid_constant__ Interactions work) {
  MASCOT_SHARED_MEMORY(memory);
  auto* sums = reinterpret_cast<uint64_t*>(memory);
  const int64_t me = threadIdx.x, threads = blockDim.x;
  const int64_t items = work.item_starts[work.item_ranges];
  const int64_t begin = me * items / threads, end = (me + 1) * items / threads;
  uint64_t own = 0;
  for (int64_t i = begin; i < end; ++i) own += work.item_weights[i];
  sums[me] = own;
  __syncthreads();
  uint64_t before = 0;
  for (int64_t thread = 0; thread < me; ++thread) before += sums[thread];
  for (int64_t i = begin; i < end; ++i) {
    work.items_before[i] = before;
    before += work.item_weights[i];
  }
  if (me + 1 == threads) work.items_before[items] = before;
  __syncthreads();
  for (int64_t range = me; range < work.item_ranges; range += threads) {
    bool equal = true;
    for (uint32_t i = work.item_starts[range]; i < work.item_starts[range + 1]; ++i) {
      equal = equal && work.item_weights[i] == 1;
    }
    work.ranges[range] =
        drawn_range(work.item_starts, static_cast<uint64_t>(range),
                    static_cast<uint64_t>(work.item_ranges), work.items_before, equal);
  }
}

}  // namespace mascot::cuda

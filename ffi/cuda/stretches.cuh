// Part of an epoch by several devices: the blocks of a list that this one holds, as stretches of
// ratings for a walk.
#pragma once

#include <cstdint>

#include "cuda/hardware.cuh"
#include "cuda/model.h"
#include "cuda/order.cuh"

namespace mascot::cuda {

inline constexpr unsigned kStretchesThreads = 1024;

// The ratings of a turn; none if it is not of the span.
__device__ inline Stretch stretch_of(const BlockList& list, int64_t turn) {
  if (turn < list.span[0] || turn >= list.span[1]) return {0, 0, 0, 0};
  const uint32_t* ranges = list.turns + 2 * turn;
  const int64_t block = ranges[0] * list.item_ranges + ranges[1];
  const uint32_t begin = list.begin[block];
  const uint32_t end = block + 1 < list.blocks ? list.begin[block + 1] : *list.ratings;
  return {0, begin, end, list.numbers[block] - begin};
}
__device__ inline uint32_t pieces_in(const Stretch& stretch) {
  return (stretch.end - stretch.begin + kPiece - 1) / kPiece;
}

// Fills the stretches: one thread block, with shared memory for a number of each thread.
static __global__ void stretches_kernel(const __grid_constant__ BlockList list) {
  MASCOT_SHARED_MEMORY(memory);
  auto* pieces = reinterpret_cast<uint32_t*>(memory);
  const int64_t me = threadIdx.x, threads = blockDim.x;
  const int64_t begin = me * list.count / threads, end = (me + 1) * list.count / threads;
  uint32_t own = 0;
  for (int64_t turn = begin; turn < end; ++turn) own += pieces_in(stretch_of(list, turn));
  pieces[me] = own;
  __syncthreads();
  uint32_t before = 0;
  for (int64_t thread = 0; thread < me; ++thread) before += pieces[thread];
  for (int64_t turn = begin; turn < end; ++turn) {
    Stretch stretch = stretch_of(list, turn);
    stretch.pieces_before = before;
    before += pieces_in(stretch);
    list.stretches[turn] = stretch;
  }
  if (me + 1 == threads) list.stretches[list.count] = {before, 0, 0, 0};
}

}  // namespace mascot::cuda

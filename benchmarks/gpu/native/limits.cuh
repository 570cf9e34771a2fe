// What a card can do at most, each alone: read and add in L2, and issue instructions.
#pragma once

#include <cstdint>

#include "core/random.h"
#include "cuda/storages/storages.cuh"
#include "cuda/walk.cuh"

namespace mascot::cuda {

enum class Limit {
  kRead,          // 16 bytes a lane
  kReduceFloats,  // zeros are added, 16 bytes a lane
  kReduceHalves,  // the same
  kInstructions,  // fused multiply-adds
};

// Accesses of a thread, or instructions, that do not wait for each other.
inline constexpr int kAtOnce = 8;

// Bytes, or instructions of a warp, in a turn of a thread block.
constexpr int64_t per_turn(Limit limit) {
  return limit == Limit::kInstructions ? int64_t{kAtOnce} * kAtOnce * kWarps
                                       : int64_t{kAtOnce} * kThreads * 16;
}

// Each warp visits pseudo-random places of 512 bytes. places: a power of two of them. The buffer
// holds zeros.
template <Limit kLimit>
__global__ void __launch_bounds__(kThreads, 4)
    limit_kernel(char* buffer, uint32_t places, int turns, uint32_t* scratch) {
  const uint32_t warp = (blockIdx.x * kThreads + threadIdx.x) / kWarp;
  const int64_t lane = threadIdx.x % kWarp * int64_t{16};
  uint32_t at = warp * 0x9e3779b9u, seen = 0;
  for (int turn = 0; turn < turns; ++turn) {
    Words<4> words[kAtOnce] = {};
#pragma unroll
    for (Words<4>& some : words) {
      at = at * 1664525u + 1013904223u;
      char* const place = buffer + int64_t{(at >> 8) & (places - 1)} * (kWarp * 16) + lane;
      if constexpr (kLimit == Limit::kRead) some = load_words<4>(place);
      if constexpr (kLimit == Limit::kReduceFloats) {
        add_floats(reinterpret_cast<float*>(place), {});
      }
      if constexpr (kLimit == Limit::kReduceHalves) add_halves(place, Words<4>{});
    }
#pragma unroll
    for (const Words<4>& some : words) seen ^= some.at[0] ^ some.at[1] ^ some.at[2] ^ some.at[3];
  }
  if (seen != 0) *scratch = seen;
}

template <>
__global__ void __launch_bounds__(kThreads, 4)
    limit_kernel<Limit::kInstructions>(char*, uint32_t places, int turns, uint32_t* scratch) {
  const float factor = float_of(places);  // unknown to the compiler
  float sums[kAtOnce];
#pragma unroll
  for (int i = 0; i < kAtOnce; ++i)
    sums[i] = static_cast<float>(threadIdx.x) + static_cast<float>(i);
#pragma unroll 1
  for (int turn = 0; turn < turns; ++turn) {
#pragma unroll
    for (int again = 0; again < kAtOnce; ++again) {
#pragma unroll
      for (float& sum : sums) sum = fmaf(sum, factor, 1.0f);
    }
  }
  float all = 0;
#pragma unroll
  for (const float sum : sums) all += sum;
  if (all == 0x1.8p-100f) *scratch = bits_of(all);
}

}  // namespace mascot::cuda

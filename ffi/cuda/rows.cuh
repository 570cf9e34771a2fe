// A tile's view of a row: vectors of components spread over its lanes, and what tiles do with them.
#pragma once

#include <cstdint>
#include <type_traits>

#include "cuda/model.h"
#include "cuda/walk.cuh"

namespace mascot::cuda {

// How a pair of rows is spread over a tile. Lane l holds kVector consecutive components of every
// chunk: 16 bytes of each row, or of the wider one where they differ. C is k in units of 32,
// rounded up to 2, 4 or 8 (k = 256), and rows are held in registers; 0 leaves it to run time, and
// them in memory.
template <class U, class I, int C>
struct Layout {
  static constexpr bool kHalves = std::is_same_v<U, Float16> && std::is_same_v<I, Float16>;
  static constexpr int kVector = kHalves ? 8 : 4;
  static constexpr int kChunk = kTile * kVector;
  static constexpr int kHeld = C / (kVector / 4);

  // Calls body(chunk) for each chunk of a row.
  template <class Body>
  static __device__ void for_chunks(int64_t factors, const Body& body) {
    if constexpr (C > 0) {
#pragma unroll
      for (int c = 0; c < kHeld; ++c) body(c);
    } else {
      const int chunks = static_cast<int>((factors + kChunk - 1) / kChunk);
      for (int c = 0; c < chunks; ++c) body(c);
    }
  }

  // Whether k reaches this lane's components of a chunk.
  static __device__ bool reaches(int64_t factors, int chunk) {
    return chunk * kChunk < static_cast<int>(factors) - component(0);
  }

  // This lane's first component of a chunk.
  static __device__ int component(int chunk) {
    return chunk * kChunk + static_cast<int>(threadIdx.x) % kTile * kVector;
  }
};

// A row, held in registers where k is known, read again where not. Components beyond k are zero and
// are not read: rows of different storages have different padding.
template <class S, class L>
class Row {
 public:
  using Element = typename S::Element;
  using Components = Vector<L::kVector>;

  __device__ Row(const Side& side, uint32_t row, int64_t factors) : factors_(factors) {
    const Table& table = side.tables[static_cast<int>(S::kStorage)];
    data_ = static_cast<Element*>(table.data) + static_cast<int64_t>(row) * table.stride +
            L::component(0);
    if constexpr (L::kHeld > 0) {
      L::for_chunks(factors, [&](int c) { held_[c] = load(c); });
    }
  }

  __device__ Components operator[](int chunk) const {
    if constexpr (L::kHeld > 0) return held_[chunk];
    return load(chunk);
  }
  __device__ Element* at(int chunk) const { return data_ + chunk * L::kChunk; }

 private:
  __device__ Components load(int chunk) const {
    if (L::reaches(factors_, chunk)) return S::template load<L::kVector>(at(chunk));
    return {};
  }

  Element* data_;  // the lane's first component: one addition then finds each of the others
  int64_t factors_;
  Components held_[L::kHeld > 0 ? L::kHeld : 1];
};

// The sum of a value over a tile's lanes, in each of them.
__device__ inline float tile_sum(float value) {
#pragma unroll
  for (int distance = kTile / 2; distance > 0; distance /= 2) {
    value += __shfl_xor_sync(kAllLanes, value, distance);
  }
  return value;
}

// p.q: each lane sums its components in four parts (component v of a vector in part v mod 4) by
// fused multiply-add, then adds parts 0 + 2 to 1 + 3; then lanes are added in pairs.
template <class L, class P, class Q>
__device__ float dot(const P& p, const Q& q, int64_t factors) {
  float part[4] = {};
  L::for_chunks(factors, [&](int c) {
    const auto x = p[c], y = q[c];
#pragma unroll
    for (int v = 0; v < L::kVector; ++v) part[v % 4] = fmaf(x.at[v], y.at[v], part[v % 4]);
  });
  return tile_sum((part[0] + part[2]) + (part[1] + part[3]));
}

}  // namespace mascot::cuda

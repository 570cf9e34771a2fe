// A tile's view of a row: vectors of components spread over its lanes, and what tiles do with them.
#pragma once

#include <cstdint>
#include <type_traits>

#include "core/model.h"
#include "cuda/model.h"
#include "cuda/storages/storages.cuh"
#include "cuda/walk.cuh"

namespace mascot::cuda {

// How rows are spread over a tile: lane l holds V consecutive components of every chunk. C is k in
// units of 32, rounded up to 2, 4 or 8 (k = 256), and rows are held in registers; 0 leaves it to
// run time, and them in memory. List: the storages that there are.
template <int V, int C, class List>
struct Layout {
  using Stored = Fitting<V, List>;
  static constexpr int kVector = V;
  static constexpr int kChunk = kTile * V;
  static constexpr int kHeld = C / (V / 4);

  // Calls body(chunk) for each chunk of a row.
  template <class Body>
  static __device__ void for_chunks(int factors, const Body& body) {
    if constexpr (C > 0) {
#pragma unroll
      for (int c = 0; c < kHeld; ++c) body(c);
    } else {
      const int chunks = (factors + kChunk - 1) / kChunk;
      for (int c = 0; c < chunks; ++c) body(c);
    }
  }

  // Whether k reaches this lane's components of a chunk.
  static __device__ bool reaches(int factors, int chunk) {
    return chunk * kChunk < factors - component(0);
  }

  // This lane's first component of a chunk.
  static __device__ int component(int chunk) {
    return chunk * kChunk + static_cast<int>(threadIdx.x) % kTile * V;
  }
};

// Calls body(S) with the type of the storage of a row.
template <class L, class Body>
__device__ void with_storage(Storage storage, const Body& body) {
  with_storage_in(typename L::Stored{}, storage, body);
}

// Where a lane finds its components of a row.
template <class L>
class Place {
 public:
  using Components = Vector<L::kVector>;
  template <class S>
  using Packed = Words<L::kVector * kBytes<S> / 4>;

  __device__ Place(const Side& side, Storage storage, uint32_t row, const RowShape& shape)
      : storage_(storage_among(typename L::Stored{}, storage)), shape_(shape) {
    const Table& table = side.tables[static_cast<int>(storage_)];
    const int64_t element = static_cast<int64_t>(row) * table.stride + L::component(0);
    data_ = static_cast<char*>(table.data) + (element << byte_bits(storage_));
  }

  __device__ Storage storage() const { return storage_; }

  template <class S>
  __device__ char* at(int chunk) const {
    return data_ + chunk * L::kChunk * kBytes<S>;
  }
  template <class S>
  __device__ Packed<S> load(int chunk) const {
    return load_words<L::kVector * kBytes<S> / 4>(at<S>(chunk));
  }
  // Where the scale of this lane's components of a chunk of a scaled row lies.
  __device__ float* scale(int chunk) const {
    constexpr int kMultiple = kLanes;
    const int padded = (shape_.factors + kMultiple - 1) / kMultiple * kMultiple;
    auto* scales = reinterpret_cast<float*>(data_ + (padded - L::component(0)));
    return scales + (L::component(chunk) >> shape_.scale_bits);
  }
  __device__ float load_scale(int chunk) const {
    return float_of(load_words<1>(scale(chunk)).at[0]);
  }

  // A chunk of a row that is not held.
  __device__ Components read(int chunk) const {
    Components v;
    with_storage<L>(storage_, [&](auto s) {
      using S = decltype(s);
      v = OnDevice<S>::template decode<L::kVector>(load<S>(chunk));
      if constexpr (S::kScaled) {
        v = scaled(v, load_scale(chunk));
      }
    });
    return v;
  }

 private:
  char* data_;  // the lane's first component: one addition then finds each of the others
  Storage storage_;
  const RowShape& shape_;
};

// A row on its way into registers, as it lies in memory. Components beyond k are zero and are not
// read: rows of different storages have different padding.
template <class L>
struct Loaded {
  Words<4> words[L::kHeld];
  float scales[L::kHeld];  // if scaled: of this lane's components

  template <class S>
  __device__ typename Place<L>::template Packed<S> chunk(int c) const {
    typename Place<L>::template Packed<S> packed;
    std::memcpy(packed.at, words[c].at, sizeof packed);
    return packed;
  }
};

// Asks for a row if there is one, without waiting for it.
template <class L>
__device__ Loaded<L> load_row(const Place<L>& place, const RowShape& shape, bool exists) {
  Loaded<L> row = {};
  with_storage<L>(place.storage(), [&](auto s) {
    using S = decltype(s);
    L::for_chunks(shape.factors, [&](int c) {
      if (!exists || !L::reaches(shape.factors, c)) return;
      const auto packed = place.template load<S>(c);
      std::memcpy(row.words[c].at, packed.at, sizeof packed);
      if constexpr (S::kScaled) row.scales[c] = place.load_scale(c);
    });
  });
  return row;
}

// A row that a tile holds in registers, as numbers.
template <class L>
struct HeldRow {
  Vector<L::kVector> chunks[L::kHeld];

  __device__ const Vector<L::kVector>& operator[](int chunk) const { return chunks[chunk]; }
  __device__ Vector<L::kVector>& operator[](int chunk) { return chunks[chunk]; }
};

template <class L>
__device__ HeldRow<L> decode(const Loaded<L>& row, Storage storage, const RowShape& shape) {
  HeldRow<L> held;
  with_storage<L>(storage, [&](auto s) {
    using S = decltype(s);
    L::for_chunks(shape.factors, [&](int c) {
      held[c] = OnDevice<S>::template decode<L::kVector>(row.template chunk<S>(c));
      if constexpr (S::kScaled) held[c] = scaled(held[c], row.scales[c]);
    });
  });
  return held;
}

// A row that is read again wherever it is needed.
template <class L>
class UnheldRow {
 public:
  using Components = Vector<L::kVector>;

  __device__ UnheldRow(const Place<L>& place, const RowShape& shape)
      : place_(place), shape_(shape) {}
  __device__ Components operator[](int chunk) const {
    return L::reaches(shape_.factors, chunk) ? place_.read(chunk) : Components{};
  }

 private:
  const Place<L>& place_;
  const RowShape& shape_;
};

// In place of a user's row, where it is not held.
template <class L>
struct Nothing {};

// What combine makes of the values of a tile's lanes, two at a time: in each of them.
template <class T, class Combine>
__device__ T over_tile(T value, const Combine& combine) {
#pragma unroll
  for (int distance = kTile / 2; distance > 0; distance /= 2) {
    value = combine(value, __shfl_xor_sync(kAllLanes, value, distance));
  }
  return value;
}
__device__ inline float tile_sum(float value) {
  return over_tile(value, [](float a, float b) { return a + b; });
}

// p.q: each lane sums its components in four parts (component v of a vector in part v mod 4) by
// fused multiply-add, then adds parts 0 + 2 to 1 + 3; then lanes are added in pairs.
template <class L, class P, class Q>
__device__ float dot(const P& p, const Q& q, int factors) {
  float part[4] = {};
  L::for_chunks(factors, [&](int c) {
    const auto x = p[c], y = q[c];
#pragma unroll
    for (int v = 0; v < L::kVector; ++v) part[v % 4] = fmaf(x.at[v], y.at[v], part[v % 4]);
  });
  return tile_sum((part[0] + part[2]) + (part[1] + part[3]));
}

}  // namespace mascot::cuda

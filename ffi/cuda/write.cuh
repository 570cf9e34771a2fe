// Writing a row after its update, in the ways of model.h.
#pragma once

#include <cstdint>

#include "cuda/rounding.cuh"
#include "cuda/rows.cuh"

namespace mascot::cuda {

// A chunk of a row that is not scaled. before: as it was when it was loaded. offset: as Rounding
// takes it.
template <class S, RatedSide Rated, int V, class Rounding>
__device__ void write_chunk(char* row, const Vector<V>& before, Vector<V> after, bool add,
                            const Rounding& rounding, int offset) {
  if (!add) {
    if constexpr (S::kRounds) after = rounding.template value<S, Rated>(after, offset);
    return store_words(row, OnDevice<S>::template encode<V>(after));
  }
  Vector<V> change;
#pragma unroll
  for (int v = 0; v < V; ++v) change.at[v] = after.at[v] - before.at[v];
  if constexpr (S::kRounds) change = rounding.template change<S, Rated>(before, change, offset);
  OnDevice<S>::add(row, change);
}

// The largest magnitude in each block of 2^scale_bits components, as bits: in every lane and chunk
// that has some of it.
template <class L>
__device__ void spread_maxima(int scale_bits, uint32_t (&largest)[L::kHeld]) {
  const int block = 1 << scale_bits;
#pragma unroll
  for (int distance = 1; distance < L::kHeld; distance *= 2) {
    if (block <= distance * L::kChunk) break;
#pragma unroll
    for (int c = 0; c < L::kHeld; ++c) {
      if ((c & distance) != 0) continue;
      largest[c] = largest[c ^ distance] = max(largest[c], largest[c ^ distance]);
    }
  }
#pragma unroll
  for (int distance = 1; distance < kTile; distance *= 2) {
    if (block <= distance * L::kVector) break;
#pragma unroll
    for (uint32_t& mine : largest) mine = max(mine, __shfl_xor_sync(kAllLanes, mine, distance));
  }
}

// Calls body(chunk, words, scale) with what a row is stored as in int8. All lanes of a warp take
// part, be their row's storage what it may.
template <class L, RatedSide Rated, class Rounding, class Body>
__device__ void for_int8(const HeldRow<L>& row, const RowShape& shape, const Rounding& rounding,
                         const Body& body) {
  uint32_t largest[L::kHeld];
#pragma unroll
  for (int c = 0; c < L::kHeld; ++c) {
    largest[c] = 0;
#pragma unroll
    for (const float x : row[c].at) largest[c] = max(largest[c], bits_of(x) & 0x7fffffffu);
  }
  spread_maxima<L>(shape.scale_bits, largest);
#pragma unroll
  for (int c = 0; c < L::kHeld; ++c) {
    const float scale = OnDevice<Int8>::scale_for(largest[c]);
    const float per_unit = OnDevice<Int8>::steps_per_unit(scale);
    auto v = rounding.template int8_offsets<Rated>(c * L::kChunk);
#pragma unroll
    for (int i = 0; i < L::kVector; ++i) v.at[i] = fmaf(row[c].at[i], per_unit, v.at[i]);
    body(c, OnDevice<Int8>::encode<L::kVector>(v), scale);
  }
}

// Stores a row, if it is there and in int8. All lanes of a warp take part.
template <class L, RatedSide Rated, class Rounding>
__device__ void store_int8(const Place<L>& place, const HeldRow<L>& row, const RowShape& shape,
                           const Rounding& rounding, bool exists) {
  if constexpr (!kHas<Int8, typename L::Stored>) return;
  const bool stored = exists && place.storage() == kCode<Int8>;
  if (!__any_sync(kAllLanes, stored)) return;
  for_int8<L, Rated>(row, shape, rounding, [&](int c, auto words, float scale) {
    if (!stored || !L::reaches(shape.factors, c)) return;
    store_words(place.template at<Int8>(c), words);
    const int in_block = L::component(c) & ((1 << shape.scale_bits) - 1);
    if (in_block == 0) store_words(place.scale(c), Words<1>{{bits_of(scale)}});
  });
}

}  // namespace mascot::cuda

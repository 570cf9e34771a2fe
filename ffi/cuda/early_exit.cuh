// An update that ends at the first component near zero (core/update/early_exit.h), the published
// method of dynamic pruning, to compare with.
//
// A tile reads two rows chunk by chunk. Each lane compares its components, a ballot finds the first
// lane that has one near zero, and what lies behind it is not read: that is all that this method
// saves. So rows are not held, and a user's row is written after each rating, also in a run. The
// update reads the visited chunks again. Scaled rows are not trained so: their scale takes all
// components of a block.
#pragma once

#include <cstdint>

#include "cuda/update.cuh"

namespace mascot::cuda {

// p.q over the components before the stop: the first of which either row's is near zero, or k.
struct UpToStop {
  float product;
  int stop;
};

// This lane's first component of a chunk that is near zero in either row; k if there is none.
template <class L>
__device__ int first_small(const Vector<L::kVector>& x, const Vector<L::kVector>& y, int chunk,
                           const Thresholds& thresholds, int factors) {
#pragma unroll
  for (int v = 0; v < L::kVector; ++v) {
    const bool small = fabsf(x.at[v]) < thresholds.user || fabsf(y.at[v]) < thresholds.item;
    if (small) return min(L::component(chunk) + v, factors);
  }
  return factors;
}

// All lanes of a warp take part; without a rating, a tile reads nothing. Sums are those of dot().
template <class L, class Row>
__device__ UpToStop dot_to_stop(const Row& p, const Row& q, const Thresholds& thresholds,
                                int factors, bool active) {
  const int tile = static_cast<int>(threadIdx.x) % kWarp / kTile * kTile;  // its first lane
  constexpr unsigned kOfTile = (1u << kTile) - 1;
  float part[4] = {};
  int stop = active ? factors : 0;
  for (int c = 0; __any_sync(kAllLanes, c * L::kChunk < stop); ++c) {
    const bool on = c * L::kChunk < stop;
    Vector<L::kVector> x = {}, y = {};
    int own = factors;
    if (on) {
      x = p[c];
      y = q[c];
      own = first_small<L>(x, y, c, thresholds, factors);
    }
    const unsigned small = __ballot_sync(kAllLanes, own < factors) >> tile & kOfTile;
    const int lane = small == 0 ? 0 : __ffs(static_cast<int>(small)) - 1;
    const int first = __shfl_sync(kAllLanes, own, tile + lane);
    if (small != 0) stop = first;
#pragma unroll
    for (int v = 0; v < L::kVector; ++v) {
      if (L::component(c) + v < stop) part[v % 4] = fmaf(x.at[v], y.at[v], part[v % 4]);
    }
  }
  return {tile_sum((part[0] + part[2]) + (part[1] + part[3])), stop};
}

// What a lane updates of a chunk: the components before the stop; the others stay as they were.
template <class L>
__device__ Vector<L::kVector> before_stop(const Vector<L::kVector>& after,
                                          const Vector<L::kVector>& before, int chunk, int stop) {
  Vector<L::kVector> v;
#pragma unroll
  for (int i = 0; i < L::kVector; ++i) {
    v.at[i] = L::component(chunk) + i < stop ? after.at[i] : before.at[i];
  }
  return v;
}

// A row of which nothing is seen behind the stop.
template <class L>
struct CutOff {
  const UnheldRow<L>& row;
  int stop;
  __device__ Vector<L::kVector> operator[](int chunk) const {
    if (L::component(chunk) >= stop) return {};
    return before_stop<L>(row[chunk], {}, chunk, stop);
  }
};

// Visits ratings to train on them. List, Rounding, Samples: as in UpdateRows.
template <class List, template <int> class Rounding, class Samples>
struct UpdateToStop : UpdateRows<0, List, Rounding, Samples> {
  using Whole = UpdateRows<0, List, Rounding, Samples>;

  Thresholds thresholds;

  template <class L>
  __device__ void rating(Nothing<L>, const Planned& planned, const Piece& piece, const Turn& turn) {
    const RowShape& shape = this->pass.shape;
    const Place<L> user = user_place<L>(this->pass, planned, shape),
                   item = item_place<L>(this->pass, planned, shape);
    const UnheldRow<L> p(user, shape), q(item, shape);
    const auto [product, stop] = dot_to_stop<L>(p, q, thresholds, shape.factors, turn.active);
    const float error = planned.rating - product;
    const Rounding<L::kVector> rounding(this->common, planned.draw(piece), L::component(0));
    Whole::template sample<L>(planned, shape, CutOff<L>{p, stop}, CutOff<L>{q, stop}, rounding,
                              error, turn.active);
    const Steps by(this->common.rates, error);
    for (int c = 0; L::component(c) < stop; ++c) {
      const auto x = p[c], y = q[c];
      Whole::template write_unheld<L, RatedSide::kUser>(
          user, c, x, before_stop<L>(updated(x, y, by.step, by.user_decay), x, c, stop), rounding);
      Whole::template write_unheld<L, RatedSide::kItem>(
          item, c, y, before_stop<L>(updated(y, x, by.step, by.item_decay), y, c, stop), rounding);
    }
  }
};

// Visits ratings to predict them.
template <class List>
struct PredictToStop {
  using Stored = List;
  template <int V>
  using User = Nothing<Layout<V, 0, List>>;

  const Pass& pass;
  Thresholds thresholds;
  float* predictions;  // [ratings], in their order
  uint32_t* stops;     // alike

  template <class L>
  __device__ void rating(Nothing<L>, const Planned& planned, const Piece& piece, const Turn& turn) {
    const RowShape& shape = pass.shape;
    const Place<L> user = user_place<L>(pass, planned, shape),
                   item = item_place<L>(pass, planned, shape);
    const UnheldRow<L> p(user, shape), q(item, shape);
    const auto [product, stop] = dot_to_stop<L>(p, q, thresholds, shape.factors, turn.active);
    if (!turn.active || threadIdx.x % kTile != 0) return;
    predictions[planned.number(piece)] = product;
    stops[planned.number(piece)] = static_cast<uint32_t>(stop);
  }
};

}  // namespace mascot::cuda

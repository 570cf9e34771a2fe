// The update of one rating (the paper's Eq. 2 and 3) and its sample (lines 9-11 of Algorithm 1).
//
//   e         r - p.q
//   kStore    p' = fma(eta e, q, fma(-eta lambda_P, p, p)), rounded by the store, as on the CPU
//   kAdd      p' = p + d, d = fma(eta e, q, -eta lambda_P p), rounded to the storage before and
//             after the addition; p here is the row as it is when the change arrives
//   rounding  of FP16 rows (rounding.cuh): if stochastic, p' is rounded for kStore, d for kAdd
//   gradient  fma(e, q, -(lambda_P p)), of samples only
// q alike, from the old p.
#pragma once

#include <cstdint>

#include "cuda/rounding.cuh"
#include "cuda/rows.cuh"
#include "cuda/sums.cuh"

namespace mascot::cuda {

// One epoch's constants, read from device memory by every thread.
struct Rates {
  float learning_rate;
  float user_reg;
  float item_reg;
};

// How a row is written (model.h). Rated: whose row it is; offset: as Rounding takes it.
struct Add {
  template <class S, RatedSide Rated, class Rounding, int V>
  static __device__ void write(typename S::Element* row, const Vector<V>& own,
                               const Vector<V>& other, float step, float decay,
                               const Rounding& rounding, int offset) {
    Vector<V> change;
#pragma unroll
    for (int v = 0; v < V; ++v) change.at[v] = fmaf(step, other.at[v], decay * own.at[v]);
    if constexpr (S::kRounds) {
      change = rounding.template change<Rated>(own, change, offset);
    }
    S::template add<V>(row, change);
  }
};

struct Store {
  template <class S, RatedSide Rated, class Rounding, int V>
  static __device__ void write(typename S::Element* row, const Vector<V>& own,
                               const Vector<V>& other, float step, float decay,
                               const Rounding& rounding, int offset) {
    Vector<V> fresh;
#pragma unroll
    for (int v = 0; v < V; ++v) {
      fresh.at[v] = fmaf(step, other.at[v], fmaf(decay, own.at[v], own.at[v]));
    }
    if constexpr (S::kRounds) fresh = rounding.template value<Rated>(fresh, offset);
    S::template store<V>(row, fresh);
  }
};

// Adds a row's part in a sampled rating to its group's sums. All lanes of a warp take part.
template <class S, class L, RatedSide Rated, class Own, class Other, class Rounding>
__device__ void add_to_sums(const Collector::Row& sums, const Own& own, const Other& other,
                            const Rounding& rounding, float error, float rate, float reg,
                            int64_t factors, bool sampled) {
  float norm = 0, lost = 0;
  L::for_chunks(factors, [&](int c) {
    const auto x = own[c], y = other[c];
    Vector<L::kVector> gradient, unrounded;
#pragma unroll
    for (int v = 0; v < L::kVector; ++v) {
      gradient.at[v] = fmaf(error, y.at[v], -reg * x.at[v]);
      norm = fmaf(gradient.at[v], gradient.at[v], norm);
      unrounded.at[v] = fmaf(rate * error, y.at[v], fmaf(-(rate * reg), x.at[v], x.at[v]));
    }
    if constexpr (S::kRounds) {
      const auto rounded = rounding.template value<Rated>(unrounded, c * L::kChunk);
#pragma unroll
      for (int v = 0; v < L::kVector; ++v) {
        const float loss = S::rounded(rounded.at[v]) - unrounded.at[v];
        lost = fmaf(loss, loss, lost);
      }
    }
    if (sampled) sums.add_gradient(L::component(c), gradient);
  });
  norm = tile_sum(norm);
  lost = tile_sum(lost);
  if (sampled && threadIdx.x % kTile == 0) sums.add_statistics(norm, lost);
}

// In place of a Collector, in an epoch that does not measure.
struct NoSamples {};

// Visits ratings to train on them. C: as in Layout. Writes: Add or Store. Rounding: Nearest or
// Stochastic. Samples: Collector or NoSamples.
template <int C, class Writes, template <int> class Rounding, class Samples>
struct UpdateRating {
  const Pass& pass;
  Rates rates;
  const Common& common;
  Samples samples;

  template <class U, class I>
  __device__ void rating(const Planned& planned, const Piece& piece, bool active) {
    using L = Layout<U, I, C>;
    const int64_t factors = pass.factors;
    const Row<U, L> p(pass.users, planned.user, factors);
    const Row<I, L> q(pass.items, planned.item, factors);
    const float error = planned.rating - dot<L>(p, q, factors);
    const auto [eta, user_reg, item_reg] = rates;
    const Rounding<L::kVector> rounding(common, planned.number(piece), opaque(L::component(0)));
    if constexpr (std::is_same_v<Samples, Collector>) {
      const bool sampled = planned.sampled() && active;
      if (__any_sync(kAllLanes, sampled)) {
        add_to_sums<U, L, RatedSide::kUser>(samples.user(common.users.find(planned.user)), p, q,
                                            rounding, error, eta, user_reg, factors, sampled);
        add_to_sums<I, L, RatedSide::kItem>(samples.item(common.items.find(planned.item)), q, p,
                                            rounding, error, eta, item_reg, factors, sampled);
      }
    }
    if (!active) return;
    const float step = eta * error;
    const float user_decay = -(eta * user_reg), item_decay = -(eta * item_reg);
    L::for_chunks(factors, [&](int c) {
      if (!L::reaches(factors, c)) return;
      const auto x = p[c], y = q[c];
      Writes::template write<U, RatedSide::kUser>(p.at(c), x, y, step, user_decay, rounding,
                                                  c * L::kChunk);
      Writes::template write<I, RatedSide::kItem>(q.at(c), y, x, step, item_decay, rounding,
                                                  c * L::kChunk);
    });
  }
};

// Visits ratings to predict them.
template <int C>
struct PredictRating {
  const Pass& pass;
  float* predictions;  // [ratings], in their order

  template <class U, class I>
  __device__ void rating(const Planned& planned, const Piece& piece, bool active) {
    using L = Layout<U, I, C>;
    const Row<U, L> p(pass.users, planned.user, pass.factors);
    const Row<I, L> q(pass.items, planned.item, pass.factors);
    const float prediction = dot<L>(p, q, pass.factors);
    if (active && threadIdx.x % kTile == 0) predictions[planned.number(piece)] = prediction;
  }
};

// Visits ratings to load and store their rows, with no arithmetic: the memory system's bound.
template <int C>
struct StreamRating {
  const Pass& pass;

  template <class U, class I>
  __device__ void rating(const Planned& planned, const Piece&, bool active) {
    using L = Layout<U, I, C>;
    const int64_t factors = pass.factors;
    const Row<U, L> p(pass.users, planned.user, factors);
    const Row<I, L> q(pass.items, planned.item, factors);
    if (!active) return;
    L::for_chunks(factors, [&](int c) {
      if (!L::reaches(factors, c)) return;
      U::template store<L::kVector>(p.at(c), p[c]);
      I::template store<L::kVector>(q.at(c), q[c]);
    });
  }
};

}  // namespace mascot::cuda

// The update of one rating (the paper's Eq. 2 and 3) and its sample (lines 9-11 of Algorithm 1).
//
//   e         r - p.q
//   p'        fma(eta e, q, fma(-eta lambda_P, p, p)); q' alike, from the old p: as on the CPU
//   written   of the item's row after each rating; of the user's after the last of a run, by the
//             draws of that one
//   kAdd      row + (p' - p), p as it was when it was loaded and the row as it is when the change
//             arrives; the change is rounded to the storage before the addition, the sum after it
//   kStore, int8   p', rounded by the store, as on the CPU
//   rounding  (rounding.cuh): if stochastic, p' is rounded so for a store, p' - p for an addition
//   gradient  fma(e, q, -(lambda_P p)), of samples only
#pragma once

#include <cstdint>
#include <type_traits>

#include "cuda/sums.cuh"
#include "cuda/write.cuh"

namespace mascot::cuda {

template <int V>
__device__ Vector<V> updated(const Vector<V>& own, const Vector<V>& other, float step,
                             float decay) {
  Vector<V> v;
#pragma unroll
  for (int i = 0; i < V; ++i) {
    v.at[i] = fmaf(step, other.at[i], fmaf(decay, own.at[i], own.at[i]));
  }
  return v;
}

// What moves both rows of a rating, as updated() takes it.
struct Steps {
  float step = 0;
  float user_decay = 0;
  float item_decay = 0;

  Steps() = default;
  __device__ Steps(const Rates& rates, float error)
      : step(rates.learning_rate * error),
        user_decay(-(rates.learning_rate * rates.user_reg)),
        item_decay(-(rates.learning_rate * rates.item_reg)) {}
};

template <int V>
__device__ float add_squares(float sum, const Vector<V>& a, const Vector<V>& b) {
#pragma unroll
  for (int i = 0; i < V; ++i) sum = fmaf(a.at[i] - b.at[i], a.at[i] - b.at[i], sum);
  return sum;
}

// The lane's part of the squared norm of what a store of chunks would change: of a row in int8 all
// lanes of a warp take part. after: chunk -> the components to be stored.
template <class L, RatedSide Rated, class After, class Rounding>
__device__ float lost_by_store(Storage storage, const After& after, const Rounding& rounding,
                               const RowShape& shape) {
  float lost = 0;
  with_storage<L>(storage, [&](auto s) {
    using S = decltype(s);
    if constexpr (S::kRounds && !S::kScaled) {
      L::for_chunks(shape.factors, [&](int c) {
        const auto exact = after(c);
        const auto rounded = rounding.template value<S, Rated>(exact, c * L::kChunk);
        const auto words = OnDevice<S>::encode(rounded);
        lost = add_squares(lost, OnDevice<S>::template decode<L::kVector>(words), exact);
      });
    }
  });
  if constexpr (L::kHeld > 0 && kHas<Int8, typename L::Stored>) {
    const bool is_int8 = storage == kCode<Int8>;
    if (!__any_sync(kAllLanes, is_int8)) return lost;
    HeldRow<L> exact;
    L::for_chunks(shape.factors, [&](int c) { exact[c] = after(c); });
    for_int8<L, Rated>(exact, shape, rounding, [&](int c, auto words, float scale) {
      const auto stored = scaled(OnDevice<Int8>::decode<L::kVector>(words), scale);
      if (is_int8) lost = add_squares(lost, stored, exact[c]);
    });
  }
  return lost;
}

// Adds a row's part in a sampled rating to its group's sums. All lanes of a warp take part.
template <class L, RatedSide Rated, class Own, class Other, class Rounding>
__device__ void add_to_sums(const Collector::Row& sums, Storage storage, const Own& own,
                            const Other& other, const Rounding& rounding, float error, float rate,
                            float reg, const RowShape& shape, bool sampled) {
  float norm = 0;
  L::for_chunks(shape.factors, [&](int c) {
    const auto x = own[c], y = other[c];
    Vector<L::kVector> gradient;
#pragma unroll
    for (int v = 0; v < L::kVector; ++v) {
      gradient.at[v] = fmaf(error, y.at[v], -reg * x.at[v]);
      norm = fmaf(gradient.at[v], gradient.at[v], norm);
    }
    if (sampled) sums.add_gradient(L::component(c), gradient);
  });
  const auto after = [&](int c) { return updated(own[c], other[c], rate * error, -(rate * reg)); };
  const float lost = tile_sum(lost_by_store<L, Rated>(storage, after, rounding, shape));
  norm = tile_sum(norm);
  if (sampled && threadIdx.x % kTile == 0) sums.add_statistics(norm, lost);
}

// In place of a Collector, in an epoch that does not measure.
struct NoSamples {};

template <class L, class What>
__device__ Place<L> user_place(const Pass& pass, const What& planned, const RowShape& shape) {
  return Place<L>(pass.users, planned.user_storage(), planned.user, shape);
}
template <class L, class What>
__device__ Place<L> item_place(const Pass& pass, const What& planned, const RowShape& shape) {
  return Place<L>(pass.items, planned.item_storage(), planned.item, shape);
}

// Loads a rating's rows: the user's where a run begins. It is then handed to keep, too. The item's
// is asked for first, so that both are on their way.
template <class L, class What, class Keep>
__device__ void load_rows(const Pass& pass, const What& planned, const Turn& turn,
                          const RowShape& shape, const Place<L>& item, HeldRow<L>& p, HeldRow<L>& q,
                          const Keep& keep) {
  const Loaded<L> loaded = load_row(item, shape, turn.active);
  if (turn.first) {
    const Loaded<L> user = load_row(user_place<L>(pass, planned, shape), shape, true);
    keep(user);
    p = decode(user, planned.user_storage(), shape);
  }
  q = decode(loaded, planned.item_storage(), shape);
}

// Updates rows by one visit after the other. C and List: as in Layout. Rounding: Nearest or
// Stochastic. Samples: Collector or NoSamples. What a visit has to be told is in Planned, or alike.
template <int C, class List, template <int> class Rounding, class Samples>
struct UpdateRows {
  using Stored = List;
  template <int V>
  using User =
      std::conditional_t<(C > 0), HeldRow<Layout<V, C, List>>, Nothing<Layout<V, C, List>>>;

  const Pass& pass;
  bool add;
  Words<4>* begin;  // this thread's place in shared memory for its part of a row
  const Common& common;
  Samples samples;

  // Both rows of a visit, of which the user's stays in registers. number: of its draws; error_of:
  // p.q -> error. Returns by what the visit is rounded.
  template <class L, class What, class ErrorOf>
  __device__ Rounding<L::kVector> visit(HeldRow<L>& p, const What& planned, int64_t number,
                                        const Turn& turn, const ErrorOf& error_of) {
    const RowShape& shape = pass.shape;
    const Place<L> item = item_place<L>(pass, planned, shape);
    HeldRow<L> q;
    // Added is what a run has changed: the row as it was waits in shared memory for the run's end.
    load_rows(pass, planned, turn, shape, item, p, q, [&](const Loaded<L>& user) {
      if (add) L::for_chunks(shape.factors, [&](int c) { begin[c * kThreads] = user.words[c]; });
    });
    const float error = error_of(dot<L>(p, q, shape.factors));
    const auto rounding = rounding_of(p, number);
    sample<L>(planned, shape, p, q, rounding, error, turn.active);
    // A tile that has no visit just now, but more of its user to come, leaves the row as it is.
    const bool still = What::kHoldsOn && !turn.active;
    const Steps by = still ? Steps() : Steps(common.rates, error);
    update(item, shape, p, q, rounding, by, turn.active);
    store_int8<L, RatedSide::kItem>(item, q, shape, rounding, turn.active);
    return rounding;
  }

  // By what a row like this is rounded at a visit.
  template <class L>
  __device__ Rounding<L::kVector> rounding_of(const HeldRow<L>&, int64_t number) const {
    return Rounding<L::kVector>(common, number, L::component(0));
  }

  // Writes the user's row where a run ends. All lanes of a warp take part.
  template <class L>
  __device__ void finish(const Place<L>& user, const HeldRow<L>& p,
                         const Rounding<L::kVector>& rounding, bool last) const {
    const RowShape& shape = pass.shape;
    if (last) write_user(user, shape, p, rounding);
    store_int8<L, RatedSide::kUser>(user, p, shape, rounding, last);
  }

  // Rows that are not held are written after each visit.
  template <class L, class What, class ErrorOf>
  __device__ void visit_unheld(const What& planned, int64_t number, bool active,
                               const ErrorOf& error_of) {
    const RowShape& shape = pass.shape;
    const Place<L> user = user_place<L>(pass, planned, shape),
                   item = item_place<L>(pass, planned, shape);
    const UnheldRow<L> p(user, shape), q(item, shape);
    const float error = error_of(dot<L>(p, q, shape.factors));
    const Rounding<L::kVector> rounding(common, number, L::component(0));
    sample<L>(planned, shape, p, q, rounding, error, active);
    if (!active) return;
    const Steps by(common.rates, error);
    L::for_chunks(shape.factors, [&](int c) {
      if (!L::reaches(shape.factors, c)) return;
      const auto x = p[c], y = q[c];
      write_unheld<L, RatedSide::kUser>(user, c, x, updated(x, y, by.step, by.user_decay),
                                        rounding);
      write_unheld<L, RatedSide::kItem>(item, c, y, updated(y, x, by.step, by.item_decay),
                                        rounding);
    });
  }

 protected:
  // Updates both rows, and writes the item's unless it is scaled.
  template <class L>
  __device__ void update(const Place<L>& item, const RowShape& shape, HeldRow<L>& p, HeldRow<L>& q,
                         const Rounding<L::kVector>& rounding, const Steps& by, bool active) const {
    with_storage<L>(item.storage(), [&](auto s) {
      using S = decltype(s);
      L::for_chunks(shape.factors, [&](int c) {
        const auto x = p[c], y = q[c];
        p[c] = updated(x, y, by.step, by.user_decay);
        q[c] = updated(y, x, by.step, by.item_decay);
        if constexpr (!S::kScaled) {
          if (!active || !L::reaches(shape.factors, c)) return;
          write_chunk<S, RatedSide::kItem>(item.template at<S>(c), y, q[c], add, rounding,
                                           c * L::kChunk);
        }
      });
    });
  }

  // A chunk of a row that is not held: not scaled, the host sees to that.
  template <class L, RatedSide Rated>
  __device__ void write_unheld(const Place<L>& place, int chunk, const Vector<L::kVector>& before,
                               const Vector<L::kVector>& after,
                               const Rounding<L::kVector>& rounding) const {
    with_storage<L>(place.storage(), [&](auto s) {
      using S = decltype(s);
      if constexpr (!S::kScaled) {
        write_chunk<S, Rated>(place.template at<S>(chunk), before, after, add, rounding,
                              chunk * L::kChunk);
      }
    });
  }

  // A user's row that is not scaled, at the end of a run.
  template <class L>
  __device__ void write_user(const Place<L>& user, const RowShape& shape, const HeldRow<L>& p,
                             const Rounding<L::kVector>& rounding) const {
    with_storage<L>(user.storage(), [&](auto s) {
      using S = decltype(s);
      if constexpr (!S::kScaled) {
        L::for_chunks(shape.factors, [&](int c) {
          if (!L::reaches(shape.factors, c)) return;
          typename Place<L>::template Packed<S> packed;
          std::memcpy(packed.at, begin[c * kThreads].at, sizeof packed);
          const auto before = OnDevice<S>::template decode<L::kVector>(packed);
          write_chunk<S, RatedSide::kUser>(user.template at<S>(c), before, p[c], add, rounding,
                                           c * L::kChunk);
        });
      }
    });
  }

  template <class L, class What, class Row>
  __device__ void sample(const What& planned, const RowShape& shape, const Row& p, const Row& q,
                         const Rounding<L::kVector>& rounding, float error, bool active) {
    if constexpr (std::is_same_v<Samples, Collector>) {
      const bool sampled = planned.sampled() && active;
      if (!__any_sync(kAllLanes, sampled)) return;
      const auto [eta, user_reg, item_reg] = common.rates;
      add_to_sums<L, RatedSide::kUser>(samples.user(common.users.find(planned.user)),
                                       planned.user_storage(), p, q, rounding, error, eta, user_reg,
                                       shape, sampled);
      add_to_sums<L, RatedSide::kItem>(samples.item(common.items.find(planned.item)),
                                       planned.item_storage(), q, p, rounding, error, eta, item_reg,
                                       shape, sampled);
    }
  }
};

// Visits ratings to train on them. Rows: an UpdateRows.
template <class Rows>
struct UpdateRating : Rows {
  template <class L>
  __device__ void rating(HeldRow<L>& p, const Planned& planned, const Piece& piece,
                         const Turn& turn) {
    const auto rounding = this->visit(p, planned, planned.draw(piece), turn,
                                      [&](float product) { return planned.rating - product; });
    this->finish(user_place<L>(this->pass, planned, this->pass.shape), p, rounding, turn.last);
  }
  template <class L>
  __device__ void rating(Nothing<L>, const Planned& planned, const Piece& piece, const Turn& turn) {
    this->template visit_unheld<L>(planned, planned.draw(piece), turn.active,
                                   [&](float product) { return planned.rating - product; });
  }
};

// Visits ratings to predict them.
template <int C, class List>
struct PredictRating {
  using Stored = List;
  template <int V>
  using User =
      std::conditional_t<(C > 0), HeldRow<Layout<V, C, List>>, Nothing<Layout<V, C, List>>>;

  const Pass& pass;
  float* predictions;  // [ratings], in their order

  template <class L>
  __device__ void rating(HeldRow<L>& p, const Planned& planned, const Piece& piece,
                         const Turn& turn) {
    const RowShape& shape = pass.shape;
    HeldRow<L> q;
    load_rows(pass, planned, turn, shape, item_place<L>(pass, planned, shape), p, q,
              [](const Loaded<L>&) {});
    write(planned, piece, turn, dot<L>(p, q, shape.factors));
  }
  template <class L>
  __device__ void rating(Nothing<L>, const Planned& planned, const Piece& piece, const Turn& turn) {
    const RowShape& shape = pass.shape;
    const Place<L> user = user_place<L>(pass, planned, shape),
                   item = item_place<L>(pass, planned, shape);
    const UnheldRow<L> p(user, shape), q(item, shape);
    write(planned, piece, turn, dot<L>(p, q, shape.factors));
  }

 private:
  __device__ void write(const Planned& planned, const Piece& piece, const Turn& turn,
                        float prediction) const {
    if (turn.active && threadIdx.x % kTile == 0) predictions[planned.number(piece)] = prediction;
  }
};

// Visits ratings to load and store their rows, with no arithmetic: the memory system's bound.
template <int C, class List>
struct StreamRating {
  using Stored = List;
  template <int V>
  using User = std::conditional_t<(C > 0), Loaded<Layout<V, C, List>>, Nothing<Layout<V, C, List>>>;

  const Pass& pass;

  template <class L>
  __device__ void rating(Loaded<L>& p, const Planned& planned, const Piece&, const Turn& turn) {
    const RowShape& shape = pass.shape;
    const Place<L> item = item_place<L>(pass, planned, shape);
    const Loaded<L> q = load_row(item, shape, turn.active);
    if (turn.first) p = load_row(user_place<L>(pass, planned, shape), shape, true);
    if (!turn.active) return;
    write_back(item, shape, [&](auto s, int c) { return q.template chunk<decltype(s)>(c); });
    if (!turn.last) return;
    write_back(user_place<L>(pass, planned, shape), shape,
               [&](auto s, int c) { return p.template chunk<decltype(s)>(c); });
  }
  template <class L>
  __device__ void rating(Nothing<L>, const Planned& planned, const Piece&, const Turn& turn) {
    if (!turn.active) return;
    const RowShape& shape = pass.shape;
    const auto pass_through = [&](const Place<L>& place) {
      write_back(place, shape, [&](auto s, int c) { return place.template load<decltype(s)>(c); });
    };
    pass_through(user_place<L>(pass, planned, shape));
    pass_through(item_place<L>(pass, planned, shape));
  }

 private:
  template <class L, class Words>
  __device__ void write_back(const Place<L>& place, const RowShape& shape,
                             const Words& words) const {
    with_storage<L>(place.storage(), [&](auto s) {
      L::for_chunks(shape.factors, [&](int c) {
        if (!L::reaches(shape.factors, c)) return;
        store_words(place.template at<decltype(s)>(c), words(s, c));
      });
    });
  }
};

}  // namespace mascot::cuda

// The update of one rating in another arithmetic than FP32, and the kernel of such an epoch. Rows
// come, stay and are written as in update.cuh; all are in one storage, and nothing is sampled.
#pragma once

#include <type_traits>

#include "cuda/arithmetic.cuh"
#include "cuda/kernels.cuh"

namespace mascot::cuda {

// Visits ratings to train on them. C: as in Layout, but not 0. A: a type of arithmetic.cuh.
template <int C, class A>
struct UpdateByArithmetic {
  using Stored = StorageList<typename A::Stored>;
  template <int V>
  using User = Loaded<Layout<V, C, Stored>>;
  static constexpr int kHeld = Layout<A::kVector, C, Stored>::kHeld;

  const Pass& pass;
  bool add;
  Words<4>* begin;  // this thread's place in shared memory for its part of a row
  A arithmetic;

  template <class L>
  __device__ void rating(Loaded<L>& p, const Planned& planned, const Piece&, const Turn& turn) {
    const RowShape& shape = pass.shape;
    const Place<L> item = item_place<L>(pass, planned, shape);
    const Loaded<L> before = load_row(item, shape, turn.active);
    if (turn.first) {
      p = load_row(user_place<L>(pass, planned, shape), shape, true);
      if (add) L::for_chunks(shape.factors, [&](int c) { begin[c * kThreads] = p.words[c]; });
    }
    Loaded<L> q = before;
    const bool counts = arithmetic.update(p, q, planned.rating, shape.factors);
    if (turn.active && counts) {
      write(item, shape, q, [&](int c) { return before.words[c]; });
    }
    if (!turn.last) return;
    const Place<L> user = user_place<L>(pass, planned, shape);
    write(user, shape, p, [&](int c) { return begin[c * kThreads]; });
  }

 private:
  template <class L, class Before>
  __device__ void write(const Place<L>& place, const RowShape& shape, const Loaded<L>& after,
                        const Before& before) const {
    L::for_chunks(shape.factors, [&](int c) {
      if (!L::reaches(shape.factors, c)) return;
      char* const row = place.template at<typename A::Stored>(c);
      add ? A::add(row, before(c), after.words[c]) : store_words(row, after.words[c]);
    });
  }
};

// As resident().
template <int C, class A>
constexpr int resident_in() {
  if (std::is_same_v<A, InHalf>) return C == 8 ? 3 : 4;
  return 8 / C;
}

template <int C, class A>
__global__ void __launch_bounds__(kThreads, resident_in<C, A>())
    arithmetic_kernel(const __grid_constant__ Pass pass, const Training training) {
  using Visit = UpdateByArithmetic<C, A>;
  MASCOT_SHARED_MEMORY(memory);
  const Shared shared(memory, pass, Visit::kHeld);
  prepare(pass, shared, {epoch_key(training, Stream::kBlockOrder), 0, training.stretches}, {}, {});
  Visit visit = {pass, training.writes == Writes::kAdd, shared.begin_of_runs(), A(training.rates)};
  walk(pass, *shared.common(), shared.walk(), visit);
}

}  // namespace mascot::cuda

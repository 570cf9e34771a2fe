// The CUDA kernels, compiled for the host and called from tests through C: tests/cuda_on_host.py
// fills in a Pass and its Sides, and passes numbers as 64 bits.
#include "cuda/exchange.cuh"
#include "cuda/kernels.cuh"
#include "cuda/stretches.cuh"
#include "cuda/tables.cuh"
#include "cuda/update_arithmetic.cuh"

namespace {

using namespace mascot;
using namespace mascot::cuda;

template <template <int> class Rounding>
void update(const Pass& pass, const Training& training, const Held& held, int64_t grid) {
  with_chunks(pass.shape.factors, [&](auto chunks) {
    with_storages(pass, [&](auto list) {
      constexpr int C = decltype(chunks)::value;
      using List = decltype(list);
      fibres::launch(static_cast<unsigned>(grid), kThreads,
                     [&] { update_kernel<C, List, Rounding, false>(pass, training, held); });
      fibres::launch(static_cast<unsigned>(grid), kThreads,
                     [&] { update_kernel<C, List, Rounding, true>(pass, training, held); });
    });
  });
}

template <template <int> class Rounding>
void update_to_stop(const Pass& pass, const Training& training, const Held& held, int64_t grid) {
  with_storages(pass, [&](auto list) {
    using List = decltype(list);
    if constexpr (!kHas<Int8, List>) {
      fibres::launch(static_cast<unsigned>(grid), kThreads,
                     [&] { update_to_stop_kernel<List, Rounding, false>(pass, training, held); });
      fibres::launch(static_cast<unsigned>(grid), kThreads,
                     [&] { update_to_stop_kernel<List, Rounding, true>(pass, training, held); });
    }
  });
}

template <class A>
void update_by_arithmetic(const Pass& pass, const Training& training, int64_t grid) {
  with_chunks(pass.shape.factors, [&](auto chunks) {
    constexpr int C = decltype(chunks)::value;
    if constexpr (C > 0) {
      fibres::launch(static_cast<unsigned>(grid), kThreads,
                     [&] { arithmetic_kernel<C, A>(pass, training); });
    }
  });
}

}  // namespace

extern "C" {

void mascot_set_schedule(int64_t seed) { fibres::schedule = static_cast<uint64_t>(seed); }

int64_t mascot_sums_width(int64_t factors) { return sums_width(factors); }

// early: rates hold two thresholds more.
void mascot_update(const Pass* pass, const float* rates, const uint32_t* counters, float* sums,
                   int64_t held_users, int64_t held_items, int64_t store, int64_t stochastic,
                   int64_t early, int64_t grid) {
  const Training training = {rates, counters, sums, store ? Writes::kStore : Writes::kAdd,
                             early ? rates + 5 : nullptr};
  const Held held = {static_cast<uint32_t>(held_users), static_cast<uint32_t>(held_items)};
  const auto run = [&](auto update) { update(*pass, training, held, grid); };
  stochastic ? run(update<Stochastic>) : run(update<Nearest>);
  if (!early) return;
  stochastic ? run(update_to_stop<Stochastic>) : run(update_to_stop<Nearest>);
}

void mascot_update_by_arithmetic(const Pass* pass, int64_t arithmetic, const float* rates,
                                 const uint32_t* counters, int64_t store, int64_t grid) {
  const Training training = {rates, counters, nullptr, store ? Writes::kStore : Writes::kAdd};
  const auto run = [&](auto update) { update(*pass, training, grid); };
  switch (static_cast<Arithmetic>(arithmetic)) {
    case Arithmetic::kFloat16:
      return run(update_by_arithmetic<InHalf>);
    case Arithmetic::kMixed:
      return run(update_by_arithmetic<InMixed>);
    default:
      return run(update_by_arithmetic<InFixed>);
  }
}

// Values that each have a largest magnitude of their own.
void mascot_quantise(const float* values, const float* largest, int64_t count, int64_t bits,
                     float* out) {
  for (int64_t i = 0; i < count; ++i)
    out[i] = Quantiser(largest[i], static_cast<int>(bits))(values[i]);
}

// out: sum, difference, product and fma(a, b, c) of pairs of FP16 numbers, [4, count].
void mascot_half_arithmetic(const uint32_t* a, const uint32_t* b, const uint32_t* c, int64_t count,
                            uint32_t* out) {
  for (int64_t i = 0; i < count; ++i) {
    out[i] = sum_of_halves(a[i], b[i]);
    out[count + i] = difference_of_halves(a[i], b[i]);
    out[2 * count + i] = multiply_halves(a[i], b[i]);
    out[3 * count + i] = fma_halves(a[i], b[i], c[i]);
  }
}

// A part of an epoch, nearest or stochastic, or half in FP16. blocks: with their scratch.
void mascot_hogwild_turns(const Pass* pass, const BlockList* blocks, const float* rates,
                          const uint32_t* counters, float* sums, int64_t stochastic, int64_t half,
                          int64_t grid) {
  fibres::launch(1, kStretchesThreads, [&] { stretches_kernel(*blocks); });
  const Training training = {rates,        counters, sums,
                             Writes::kAdd, nullptr,  {blocks->stretches, blocks->count}};
  if (half) return update_by_arithmetic<InHalf>(*pass, training, grid);
  stochastic ? update<Stochastic>(*pass, training, {}, grid)
             : update<Nearest>(*pass, training, {}, grid);
}

// The first rating of each piece in the order of visiting, and how many it has, pieces [n, 2];
// returns n, at most so many.
int64_t mascot_order(const BlockList* blocks, int64_t key, int64_t most, int64_t* pieces) {
  fibres::launch(1, kStretchesThreads, [&] { stretches_kernel(*blocks); });
  const Order order(0, kPiece, static_cast<uint64_t>(key), {blocks->stretches, blocks->count});
  for (int64_t i = 0; i < std::min(order.pieces(), most); ++i) {
    const Piece piece = order(i);
    pieces[2 * i] = piece.begin;
    pieces[2 * i + 1] = piece.size;
  }
  return order.pieces();
}

void mascot_exchange(const cuda::Side* side, const Moves* moves, const RowShape* shape,
                     uint32_t* parcel, int64_t packs) {
  const auto run = [&](auto kernel) {
    fibres::launch(static_cast<unsigned>(moves->ranges) * kBlocksPerRange, kExchangeThreads,
                   [&] { kernel(*side, *moves, *shape, parcel); });
  };
  packs ? run(exchange_kernel<true>) : run(exchange_kernel<false>);
}

void mascot_stream(const Pass* pass, const float* rates, const uint32_t* counters, int64_t grid) {
  with_chunks(pass->shape.factors, [&](auto chunks) {
    with_storages(*pass, [&](auto list) {
      fibres::launch(static_cast<unsigned>(grid), kThreads, [&] {
        stream_kernel<decltype(chunks)::value, decltype(list)>(*pass,
                                                               {rates, counters, nullptr, {}});
      });
    });
  });
}

void mascot_predict(const Pass* pass, float* predictions, int64_t grid) {
  with_chunks(pass->shape.factors, [&](auto chunks) {
    fibres::launch(static_cast<unsigned>(grid), kThreads,
                   [&] { predict_kernel<decltype(chunks)::value>(*pass, predictions); });
  });
}

void mascot_predict_to_stop(const Pass* pass, const float* thresholds, float* predictions,
                            uint32_t* stops, int64_t grid) {
  fibres::launch(static_cast<unsigned>(grid), kThreads,
                 [&] { predict_to_stop_kernel<Storages>(*pass, thresholds, predictions, stops); });
}

void mascot_write_metadata(const cuda::Side* side) {
  fibres::launch(2, kTableThreads, [&] { metadata_kernel(*side); });
}

void mascot_promote(const cuda::Side* side, const uint8_t* new_codes, const RowShape* shape) {
  fibres::launch(2, kTableThreads, [&] { promote_kernel(*side, new_codes, *shape); });
}

void mascot_check_finite(const cuda::Side* side, const RowShape* shape, uint8_t* finite) {
  fibres::launch(2, kTableThreads, [&] { check_finite_kernel(*side, *shape, finite); });
}

void mascot_finish_sums(const float* sums, int64_t groups, int64_t factors, const float* rates,
                        float* out) {
  fibres::launch(2, kTableThreads, [&] { finish_sums_kernel(sums, groups, factors, rates, out); });
}

}  // extern "C"

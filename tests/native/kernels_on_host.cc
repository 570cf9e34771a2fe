// The CUDA kernels, compiled for the host and called from tests through C.
#include "cuda/kernels.cuh"
#include "cuda/tables.cuh"
#include "cuda/update_in.cuh"

namespace {

using namespace mascot;
using namespace mascot::cuda;

// One side, as tests/cuda_on_host.py fills it in.
struct HostSide {
  void* data[kStorages];  // tables
  int64_t stride[kStorages];
  const uint32_t* starts;
  const uint8_t* codes;
  int64_t groups;
  int64_t rows;
  uint32_t* metadata;
};

struct HostPass {
  const uint32_t* user;
  const uint32_t* item;
  const float* rating;
  int64_t count;
  HostSide users;
  HostSide items;
  RowShape shape;
  int64_t block_size;
  int32_t lookup;
};

cuda::Side side_of(const HostSide& side) {
  cuda::Side result = {{}, side.starts, side.codes, side.groups, side.rows, side.metadata};
  for (int s = 0; s < kStorages; ++s) result.tables[s] = {side.data[s], side.stride[s]};
  return result;
}

Pass pass_of(const HostPass& pass) {
  return {{pass.user, pass.item, pass.rating, pass.count},
          side_of(pass.users),
          side_of(pass.items),
          pass.shape,
          pass.block_size,
          static_cast<Lookup>(pass.lookup)};
}

template <template <int> class Rounding>
void update(const Pass& pass, const Training& training, const Held& held, unsigned grid) {
  with_chunks(pass.shape.factors, [&](auto chunks) {
    constexpr int C = decltype(chunks)::value;
    fibres::launch(grid, kThreads,
                   [&] { update_kernel<C, Rounding, false>(pass, training, held); });
    fibres::launch(grid, kThreads, [&] { update_kernel<C, Rounding, true>(pass, training, held); });
  });
}

template <class A>
void update_in(const Pass& pass, const Training& training, unsigned grid) {
  with_chunks(pass.shape.factors, [&](auto chunks) {
    constexpr int C = decltype(chunks)::value;
    if constexpr (C > 0) {
      fibres::launch(grid, kThreads, [&] { update_in_kernel<C, A>(pass, training); });
    }
  });
}

}  // namespace

extern "C" {

int64_t mascot_sums_width(int64_t factors) { return sums_width(factors); }

void mascot_update(const HostPass* pass, const float* rates, const uint32_t* counters, float* sums,
                   uint32_t held_users, uint32_t held_items, int32_t store, int32_t stochastic,
                   uint32_t grid) {
  const Training training = {rates, counters, sums, store ? Writes::kStore : Writes::kAdd};
  const Held held = {held_users, held_items};
  const auto run = [&](auto update) { update(pass_of(*pass), training, held, grid); };
  stochastic ? run(update<Stochastic>) : run(update<Nearest>);
}

void mascot_update_in(const HostPass* pass, int32_t arithmetic, const float* rates,
                      const uint32_t* counters, int32_t store, uint32_t grid) {
  const Training training = {rates, counters, nullptr, store ? Writes::kStore : Writes::kAdd};
  const auto run = [&](auto update) { update(pass_of(*pass), training, grid); };
  switch (static_cast<Arithmetic>(arithmetic)) {
    case Arithmetic::kFloat16:
      return run(update_in<InHalf>);
    case Arithmetic::kMixed:
      return run(update_in<InMixed>);
    default:
      return run(update_in<InFixed>);
  }
}

// Values that each have a largest magnitude of their own.
void mascot_quantise(const float* values, const float* largest, int64_t count, int32_t bits,
                     float* out) {
  for (int64_t i = 0; i < count; ++i) out[i] = Quantiser(largest[i], bits)(values[i]);
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

void mascot_stream(const HostPass* pass, const float* rates, const uint32_t* counters,
                   uint32_t grid) {
  const Pass view = pass_of(*pass);
  with_chunks(view.shape.factors, [&](auto chunks) {
    fibres::launch(grid, kThreads, [&] {
      stream_kernel<decltype(chunks)::value>(view, {rates, counters, nullptr, {}});
    });
  });
}

void mascot_predict(const HostPass* pass, float* predictions, uint32_t grid) {
  const Pass view = pass_of(*pass);
  with_chunks(view.shape.factors, [&](auto chunks) {
    fibres::launch(grid, kThreads,
                   [&] { predict_kernel<decltype(chunks)::value>(view, predictions); });
  });
}

void mascot_write_metadata(const HostSide* side) {
  fibres::launch(2, kTableThreads, [&] { metadata_kernel(side_of(*side)); });
}

void mascot_promote(const HostSide* side, const uint8_t* new_codes, const RowShape* shape) {
  fibres::launch(2, kTableThreads, [&] { promote_kernel(side_of(*side), new_codes, *shape); });
}

void mascot_check_finite(const HostSide* side, const RowShape* shape, uint8_t* finite) {
  fibres::launch(2, kTableThreads, [&] { check_finite_kernel(side_of(*side), *shape, finite); });
}

void mascot_finish_sums(const float* sums, int64_t groups, int64_t factors, const float* rates,
                        float* out) {
  fibres::launch(2, kTableThreads, [&] { finish_sums_kernel(sums, groups, factors, rates, out); });
}

}  // extern "C"

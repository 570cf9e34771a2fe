// The CUDA kernels of interactions, compiled for the host and called from tests through C:
// tests/support/cuda_interactions.py fills in a Pass and an Interactions.
#include "cuda/interactions.cuh"
#include "cuda/ranges.cuh"
#include "cuda/tables.cuh"

namespace {

using namespace mascot;
using namespace mascot::cuda;

// Every length of rows and choice of storages is a kernel, and takes long to compile.
#if defined(MASCOT_ALL_KERNELS)
constexpr bool kAll = true;
#else
constexpr bool kAll = false;
#endif

template <class Body>
void with_built_chunks(int64_t factors, const Body& body) {
  if constexpr (kAll) {
    with_chunks(factors, body);
  } else {
    if (factors <= 64) body(std::integral_constant<int, 2>{});
  }
}

template <class Body>
void with_built_storages(const Pass& pass, const Body& body) {
  with_storages(pass, [&](auto list) {
    using List = decltype(list);
    if constexpr (kAll || std::is_same_v<List, Storages> ||
                  std::is_same_v<List, StorageList<Float16>>) {
      body(list);
    }
  });
}

template <template <int> class Rounding>
void interact(const Pass& pass, const Interactions& work, const Training& training,
              const Held& held, int64_t grid, int64_t threads) {
  with_built_chunks(pass.shape.factors, [&](auto chunks) {
    with_built_storages(pass, [&](auto list) {
      constexpr int C = decltype(chunks)::value;
      using List = decltype(list);
      const auto run = [&](auto samples) {
        fibres::launch(static_cast<unsigned>(grid), static_cast<unsigned>(threads), [&] {
          interact_kernel<C, List, Rounding, decltype(samples)::value>(pass, work, training, held);
        });
      };
      run(std::false_type{});
      run(std::true_type{});
    });
  });
}

}  // namespace

extern "C" {

void mascot_set_schedule(int64_t seed) { fibres::schedule = static_cast<uint64_t>(seed); }

int64_t mascot_sums_width(int64_t factors) { return sums_width(factors); }

// Of a range, in bytes.
int64_t mascot_range_size() { return sizeof(DrawnRange); }

void mascot_ranges(const Interactions* work, int64_t threads) {
  fibres::launch(1, static_cast<unsigned>(threads), [&] { ranges_kernel(*work); });
}

void mascot_interact(const Pass* pass, const Interactions* work, const float* rates,
                     const uint32_t* counters, float* sums, int64_t held_users, int64_t held_items,
                     int64_t store, int64_t stochastic, int64_t grid, int64_t threads) {
  const Training training = {rates, counters, sums, store ? Writes::kStore : Writes::kAdd};
  const Held held = {static_cast<uint32_t>(held_users), static_cast<uint32_t>(held_items)};
  const auto run = [&](auto interact) { interact(*pass, *work, training, held, grid, threads); };
  stochastic ? run(interact<Stochastic>) : run(interact<Nearest>);
}

// Positions of a walk -> first user, range of items, users, [count, 3].
void mascot_sweeps(int64_t users, int64_t ranges, int64_t at_once, uint64_t key_of_users,
                   uint64_t key_of_ranges, int64_t count, int64_t* out) {
  const Sweeps order(users, ranges, at_once, key_of_users, key_of_ranges);
  for (int64_t i = 0; i < count; ++i) {
    const UserPiece piece = order(i);
    out[3 * i] = piece.first;
    out[3 * i + 1] = piece.range;
    out[3 * i + 2] = piece.users;
  }
}

void mascot_write_metadata(const cuda::Side* side) {
  fibres::launch(2, kTableThreads, [&] { metadata_kernel(*side); });
}

void mascot_finish_sums(const float* sums, int64_t groups, int64_t factors, const float* rates,
                        float* out) {
  fibres::launch(2, kTableThreads, [&] { finish_sums_kernel(sums, groups, factors, rates, out); });
}

}  // extern "C"

// The CUDA kernels of click models' tables, compiled for the host and called from
// tests/support/embedding_on_host.py, which passes numbers as 64 bits.
#include "cuda/embedding.cuh"

namespace {

using namespace mascot;
using namespace mascot::cuda;

template <class Body>
void launch(int64_t grid, const Body& body) {
  fibres::launch(static_cast<unsigned>(grid), kEmbeddingThreads, body);
}

}  // namespace

extern "C" {

void mascot_set_order(int64_t schedule, int64_t backwards) {
  fibres::schedule = static_cast<uint64_t>(schedule);
  fibres::backwards = backwards != 0;
}

void mascot_look_up(const Embedding* tables, const uint32_t* rows, int64_t batch, int64_t fields,
                    float* values, int64_t grid) {
  launch(grid, [&] { lookup_kernel(*tables, {rows, batch, fields}, values); });
}

void mascot_update(const Embedding* tables, const uint32_t* rows, const uint32_t* places,
                   int64_t count, const float* gradients, const float* rate,
                   const uint32_t* counters, int64_t grid) {
  const SortedLookups sorted = {rows, places, count};
  with_quads(tables->dimension, [&](auto quads) {
    constexpr int H = decltype(quads)::value;
    launch(grid, [&] { update_rows_kernel<H>(*tables, sorted, gradients, rate, counters); });
  });
}

void mascot_coalesce(const uint32_t* rows, const uint32_t* places, int64_t count, int64_t dimension,
                     const float* gradients, float* sums, int64_t grid) {
  const SortedLookups sorted = {rows, places, count};
  with_quads(dimension, [&](auto quads) {
    constexpr int H = decltype(quads)::value;
    launch(grid, [&] { coalesce_kernel<H>(sorted, dimension, gradients, sums); });
  });
}

void mascot_store(const Tier* tier, int64_t dimension, const float* values, int64_t count,
                  const uint32_t* counters, int64_t grid) {
  with_quads(dimension, [&](auto quads) {
    constexpr int H = decltype(quads)::value;
    launch(grid, [&] { store_rows_kernel<H>(*tier, dimension, values, count, counters); });
  });
}

}  // extern "C"

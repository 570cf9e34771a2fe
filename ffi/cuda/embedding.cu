// Launches of the kernels of click models' tables.
#include <algorithm>

#include "cuda/embedding.cuh"
#include "cuda/launch_embedding.h"

namespace mascot::cuda {
namespace {

// Thread blocks for so many rows, a tile to each.
unsigned grid_for(int64_t rows, int64_t dimension) {
  constexpr int64_t kMost = 1 << 16;
  const int64_t threads = rows * Tile(dimension).lanes();
  const int64_t blocks = (threads + kEmbeddingThreads - 1) / kEmbeddingThreads;
  return static_cast<unsigned>(std::clamp<int64_t>(blocks, 1, kMost));
}

template <class Kernel, class... Arguments>
cudaError_t launch(Kernel kernel, int64_t rows, int64_t dimension, cudaStream_t stream,
                   const Arguments&... arguments) {
  kernel<<<grid_for(rows, dimension), kEmbeddingThreads, 0, stream>>>(arguments...);
  return cudaGetLastError();
}

}  // namespace

cudaError_t look_up_rows(const Embedding& tables, const Lookups& lookups, float* values,
                         cudaStream_t stream) {
  return launch(lookup_kernel, lookups.batch * lookups.fields, tables.dimension, stream, tables,
                lookups, values);
}

cudaError_t update_rows(const Embedding& tables, const SortedLookups& sorted,
                        const float* gradients, const float* rate, const uint32_t* counters,
                        cudaStream_t stream) {
  return with_quads(tables.dimension, [&](auto quads) {
    return launch(update_rows_kernel<decltype(quads)::value>, sorted.count, tables.dimension,
                  stream, tables, sorted, gradients, rate, counters);
  });
}

cudaError_t coalesce_rows(const SortedLookups& sorted, int64_t dimension, const float* gradients,
                          float* sums, cudaStream_t stream) {
  return with_quads(dimension, [&](auto quads) {
    return launch(coalesce_kernel<decltype(quads)::value>, sorted.count, dimension, stream, sorted,
                  dimension, gradients, sums);
  });
}

cudaError_t store_rows(const Tier& tier, int64_t dimension, const float* values, int64_t count,
                       const uint32_t* counters, cudaStream_t stream) {
  return with_quads(dimension, [&](auto quads) {
    return launch(store_rows_kernel<decltype(quads)::value>, count, dimension, stream, tier,
                  dimension, values, count, counters);
  });
}

}  // namespace mascot::cuda

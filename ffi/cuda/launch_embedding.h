// Tables of click models on the device, as plain C++: each function puts work on a stream and
// returns at once, as those of launch.h do. What rows and counters are: core/embedding/kernel.h.
#pragma once

#include <cuda_runtime_api.h>

#include "core/embedding/kernel.h"
#include "cuda/model.h"

namespace mascot::cuda {

// values: [batch, fields, dimension]; NaN for rows that are beyond the tables.
cudaError_t look_up_rows(const Embedding& tables, const Lookups& lookups, float* values,
                         cudaStream_t stream);

// gradients: [batch, fields, dimension]; rate: [1]; counters: seed, step. Rows beyond the tables
// are left out.
cudaError_t update_rows(const Embedding& tables, const SortedLookups& sorted,
                        const float* gradients, const float* rate, const uint32_t* counters,
                        cudaStream_t stream);

// sums: [batch, fields, dimension], as EmbeddingKernel::coalesce writes them.
cudaError_t coalesce_rows(const SortedLookups& sorted, int64_t dimension, const float* gradients,
                          float* sums, cudaStream_t stream);

// Writes rows of a tier from values [count, dimension]; counters: seed, the first row. Rows beyond
// the tier are left out.
cudaError_t store_rows(const Tier& tier, int64_t dimension, const float* values, int64_t count,
                       const uint32_t* counters, cudaStream_t stream);

}  // namespace mascot::cuda

// The CUDA back end as plain C++: each function puts work on a stream and returns at once, without
// waiting for the device. What it returns is the launch's own error.
#pragma once

#include <cuda_runtime_api.h>

#include "cuda/model.h"

namespace mascot::cuda {

// Hogwild SGD over all ratings, in the epoch's order of blocks; collects sums if rates[3] > 0.
// Where training has thresholds, updates end early if one of them is above zero: no row may then be
// in int8.
// user_sums: [user groups, factors + 4], item_sums alike; zero if nothing is sampled.
// rounding: of rows in fewer than 32 bits.
cudaError_t run_epoch(const Pass& pass, const Training& training, Rounding rounding,
                      float* user_sums, float* item_sums, cudaStream_t stream);

// The same over interactions and the negatives that the epoch draws.
cudaError_t run_interactions(const Pass& pass, const Interactions& work, const Training& training,
                             Rounding rounding, float* user_sums, float* item_sums,
                             cudaStream_t stream);

// run_epoch in another arithmetic than FP32, of at most kMostHeldFactors; all rows are in that
// one's storage. Samples nothing, and needs no scratch for sums.
cudaError_t run_arithmetic_epoch(Arithmetic arithmetic, const Pass& pass, const Training& training,
                                 float* user_sums, float* item_sums, cudaStream_t stream);

// Loads and stores the rows that run_epoch would, in its order: the memory system's bound.
cudaError_t run_stream(const Pass& pass, const Training& training, cudaStream_t stream);

// predictions[i] = p_u . q_i, in the ratings' order. ratings.rating may be null.
cudaError_t run_predict(const Pass& pass, float* predictions, cudaStream_t stream);

// The same up to the first component below thresholds [2], in device memory; its number goes to
// stops [ratings], factors where there is none.
cudaError_t run_predict_to_stop(const Pass& pass, const float* thresholds, float* predictions,
                                uint32_t* stops, cudaStream_t stream);

// Fills side.metadata, which Lookup::kPerRow reads.
cudaError_t write_metadata(const Side& side, cudaStream_t stream);

// Converts the rows of every group whose code is another in new_codes [groups]: a lower one.
cudaError_t promote(const Side& side, const uint8_t* new_codes, const RowShape& shape,
                    cudaStream_t stream);

// finite[g] = 1 where every factor of group g is finite, else 0.
cudaError_t check_finite(const Side& side, const RowShape& shape, uint8_t* finite,
                         cudaStream_t stream);

// Writes sums as the target gives them: out [groups, factors + 4] from sums [groups, width].
cudaError_t finish_sums(const float* sums, int64_t groups, int64_t factors, const float* rates,
                        float* out, cudaStream_t stream);

}  // namespace mascot::cuda

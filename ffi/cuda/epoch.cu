// Passes over the ratings, from launches.
#include "cuda/launch.h"
#include "cuda/launch_update.cuh"

namespace mascot::cuda {

cudaError_t run_epoch(const Pass& pass, const Training& training, Rounding rounding,
                      float* user_sums, float* item_sums, cudaStream_t stream) {
  return run_and_sum(pass, training, user_sums, item_sums, stream, [&] {
    const cudaError_t error = rounding == Rounding::kNearest
                                  ? launch_update<Nearest>(pass, training, stream)
                                  : launch_update<Stochastic>(pass, training, stream);
    if (error != cudaSuccess || training.thresholds == nullptr) return error;
    return run_epoch_to_stop(pass, training, rounding, stream);
  });
}

cudaError_t run_stream(const Pass& pass, const Training& training, cudaStream_t stream) {
  return with_chunks(pass.shape.factors, [&](auto chunks) {
    return with_storages(pass, [&](auto list) {
      return launch(stream_kernel<decltype(chunks)::value, decltype(list)>, pass,
                    shared_bytes(pass, 0, Held{}), pass.ratings.count, stream, training);
    });
  });
}

cudaError_t run_predict(const Pass& pass, float* predictions, cudaStream_t stream) {
  return with_chunks(pass.shape.factors, [&](auto chunks) {
    return launch(predict_kernel<decltype(chunks)::value>, pass, shared_bytes(pass, 0, Held{}),
                  pass.ratings.count, stream, predictions);
  });
}

}  // namespace mascot::cuda

// Passes over the ratings, from launches.
#include "cuda/launch.h"
#include "cuda/launch_update.cuh"

namespace mascot::cuda {

cudaError_t run_epoch(const Pass& pass, const Training& training, Rounding rounding,
                      float* user_sums, float* item_sums, cudaStream_t stream) {
  const int64_t users = pass.users.groups, items = pass.items.groups;
  const int64_t width = sums_width(pass.shape.factors);
  cudaError_t error = cudaMemsetAsync(
      training.sums, 0, static_cast<size_t>((users + items) * width) * sizeof(float), stream);
  if (error != cudaSuccess) return error;
  error = rounding == Rounding::kNearest ? launch_update<Nearest>(pass, training, stream)
                                         : launch_update<Stochastic>(pass, training, stream);
  if (error != cudaSuccess) return error;
  if (training.thresholds != nullptr) error = run_epoch_to_stop(pass, training, rounding, stream);
  if (error != cudaSuccess) return error;
  error = finish_sums(training.sums, users, pass.shape.factors, training.rates, user_sums, stream);
  if (error != cudaSuccess) return error;
  return finish_sums(training.sums + users * width, items, pass.shape.factors, training.rates,
                     item_sums, stream);
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

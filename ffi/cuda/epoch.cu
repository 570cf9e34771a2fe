// Passes over the ratings, from launches.
#include "cuda/launch.h"
#include "cuda/launch_update.cuh"
#include "cuda/launch_update_in.cuh"

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
  error = finish_sums(training.sums, users, pass.shape.factors, training.rates, user_sums, stream);
  if (error != cudaSuccess) return error;
  return finish_sums(training.sums + users * width, items, pass.shape.factors, training.rates,
                     item_sums, stream);
}

cudaError_t run_epoch_in(Arithmetic arithmetic, const Pass& pass, const Training& training,
                         float* user_sums, float* item_sums, cudaStream_t stream) {
  const auto clear = [&](float* sums, int64_t groups) {
    const int64_t floats = groups * (pass.shape.factors + kStatisticColumns);
    return cudaMemsetAsync(sums, 0, static_cast<size_t>(floats) * sizeof(float), stream);
  };
  cudaError_t error = clear(user_sums, pass.users.groups);
  if (error == cudaSuccess) error = clear(item_sums, pass.items.groups);
  if (error != cudaSuccess) return error;
  switch (arithmetic) {
    case Arithmetic::kFloat16:
      return launch_update_in<InHalf>(pass, training, stream);
    case Arithmetic::kMixed:
      return launch_update_in<InMixed>(pass, training, stream);
    case Arithmetic::kFixed:
      return launch_update_in<InFixed>(pass, training, stream);
    default:
      return cudaErrorInvalidValue;
  }
}

cudaError_t run_stream(const Pass& pass, const Training& training, cudaStream_t stream) {
  Device device;
  const cudaError_t error = query(&device);
  if (error != cudaSuccess) return error;
  return with_chunks(pass.shape.factors, [&](auto chunks) {
    return launch(stream_kernel<decltype(chunks)::value>, pass, device,
                  shared_bytes(pass, 0, Held{}), pass.ratings.count, stream, training);
  });
}

cudaError_t run_predict(const Pass& pass, float* predictions, cudaStream_t stream) {
  Device device;
  const cudaError_t error = query(&device);
  if (error != cudaSuccess) return error;
  return with_chunks(pass.shape.factors, [&](auto chunks) {
    return launch(predict_kernel<decltype(chunks)::value>, pass, device,
                  shared_bytes(pass, 0, Held{}), pass.ratings.count, stream, predictions);
  });
}

}  // namespace mascot::cuda

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
  error = finish_sums(training.sums, users, pass.shape.factors, training.rates, user_sums, stream);
  if (error != cudaSuccess) return error;
  return finish_sums(training.sums + users * width, items, pass.shape.factors, training.rates,
                     item_sums, stream);
}

cudaError_t run_stream(const Pass& pass, const Training& training, cudaStream_t stream) {
  Device device;
  cudaError_t error = query(&device);
  if (error != cudaSuccess) return error;
  return with_chunks(pass.shape.factors, [&](auto chunks) {
    const auto kernel = stream_kernel<decltype(chunks)::value>;
    const int64_t shared = shared_bytes(pass, 0, Held{});
    unsigned grid = 0;
    error = grid_of(kernel, pass, device, shared, pass.ratings.count, &grid);
    if (error != cudaSuccess) return error;
    kernel<<<grid, kThreads, static_cast<size_t>(shared), stream>>>(pass, training);
    return cudaGetLastError();
  });
}

cudaError_t run_predict(const Pass& pass, float* predictions, cudaStream_t stream) {
  Device device;
  cudaError_t error = query(&device);
  if (error != cudaSuccess) return error;
  return with_chunks(pass.shape.factors, [&](auto chunks) {
    const auto kernel = predict_kernel<decltype(chunks)::value>;
    const int64_t shared = shared_bytes(pass, 0, Held{});
    unsigned grid = 0;
    error = grid_of(kernel, pass, device, shared, pass.ratings.count, &grid);
    if (error != cudaSuccess) return error;
    kernel<<<grid, kThreads, static_cast<size_t>(shared), stream>>>(pass, predictions);
    return cudaGetLastError();
  });
}

}  // namespace mascot::cuda

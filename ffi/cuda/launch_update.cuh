// Launching the update for one rounding. Instantiated by update_*.cu, so that they compile side by
// side.
#pragma once

#include "cuda/grid.cuh"
#include "cuda/launch.h"

namespace mascot::cuda {

// Ratings per rating in flight, at least: updates that are under way at the same time do not see
// each other, and small data have few enough for that to matter (docs/cuda.md).
constexpr int64_t kRatingsPerFlight = 128;
inline int64_t most_in_flight(const Pass& pass) { return pass.ratings.count / kRatingsPerFlight; }
inline int64_t most_in_flight(const Pass& pass, const Training& training) {
  return std::min(most_in_flight(pass), training.most_in_flight);
}

// Groups whose sums fit into a block's shared memory, beside so many bytes, with two blocks to a
// multiprocessor.
inline Held held_groups(const Pass& pass, int64_t without, const Device& device) {
  const int64_t per_block = std::min(device.shared_bytes / 2 - 1024, device.block_shared_bytes);
  const int64_t row = sums_width(pass.shape.factors) * static_cast<int64_t>(sizeof(float));
  const int64_t rows = std::max<int64_t>(0, (per_block - without) / row);
  const int64_t users = std::min(pass.users.groups, std::max(rows / 2, rows - pass.items.groups));
  return {static_cast<uint32_t>(users),
          static_cast<uint32_t>(std::min(pass.items.groups, rows - users))};
}

// Clears the sums, lets launch() put an epoch on the stream, and gives the sums as the target does.
template <class Launch>
cudaError_t run_and_sum(const Pass& pass, const Training& training, float* user_sums,
                        float* item_sums, cudaStream_t stream, const Launch& launch) {
  const int64_t users = pass.users.groups, items = pass.items.groups;
  const int64_t width = sums_width(pass.shape.factors);
  cudaError_t error = cudaMemsetAsync(
      training.sums, 0, static_cast<size_t>((users + items) * width) * sizeof(float), stream);
  if (error == cudaSuccess) error = launch();
  if (error != cudaSuccess) return error;
  error = finish_sums(training.sums, users, pass.shape.factors, training.rates, user_sums, stream);
  if (error != cudaSuccess) return error;
  return finish_sums(training.sums + users * width, items, pass.shape.factors, training.rates,
                     item_sums, stream);
}

// Launches both variants of an epoch's kernel: that which does not measure, and that which does.
// chunks: of each user's row that is kept in shared memory.
template <class Kernel>
cudaError_t launch_both(Kernel plain, Kernel measuring, int chunks, const Pass& pass,
                        const Training& training, cudaStream_t stream) {
  Device device;
  cudaError_t error = query(&device);
  if (error != cudaSuccess) return error;
  const auto launch_with = [&](Kernel kernel, const Held& held) {
    const int64_t shared = shared_bytes(pass, chunks, held);
    const int64_t most = most_in_flight(pass, training);
    return launch(kernel, pass, shared, most, stream, training, held);
  };
  error = launch_with(plain, Held{});
  if (error != cudaSuccess) return error;
  return launch_with(measuring, held_groups(pass, shared_bytes(pass, chunks, Held{}), device));
}

template <template <int> class Rounding>
cudaError_t launch_update(const Pass& pass, const Training& training, cudaStream_t stream) {
  return with_chunks(pass.shape.factors, [&](auto chunks) {
    return with_storages(pass, [&](auto list) {
      constexpr int C = decltype(chunks)::value;
      using List = decltype(list);
      return launch_both(update_kernel<C, List, Rounding, false>,
                         update_kernel<C, List, Rounding, true>, C, pass, training, stream);
    });
  });
}

// What run_epoch launches besides where training has thresholds.
cudaError_t run_epoch_to_stop(const Pass& pass, const Training& training, Rounding rounding,
                              cudaStream_t stream);

extern template cudaError_t launch_update<Nearest>(const Pass&, const Training&, cudaStream_t);
extern template cudaError_t launch_update<Stochastic>(const Pass&, const Training&, cudaStream_t);

}  // namespace mascot::cuda

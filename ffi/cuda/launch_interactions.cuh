// Launching an epoch over interactions for one rounding. Instantiated by interactions_*.cu, so that
// they compile side by side.
#pragma once

#include "cuda/interactions.cuh"
#include "cuda/launch_update.cuh"

namespace mascot::cuda {

// Tiles at work at a time: of ratings' visits in flight (an epoch has more than interactions), but
// hardly two with one user, whose row a tile changes by many visits before others see it.
inline int64_t most_tiles(const Pass& pass) {
  return std::min(most_in_flight(pass), pass.users.rows);
}

// The users of a piece: so few that a sweep has a piece for each warp.
inline int users_at_once(const Pass& pass, int64_t warps) {
  int users = kWarp;
  while (users > kTiles && Sweeps::of_sweep(pass.users.rows, users) < warps) users /= 2;
  return users;
}

template <class Kernel>
cudaError_t launch_walk(Kernel kernel, const Pass& pass, Interactions work, int64_t shared,
                        const Training& training, const Held& held, cudaStream_t stream) {
  unsigned grid = 0;
  const int64_t pieces = Sweeps::pieces(pass.users.rows, work.item_ranges, kTiles);
  const cudaError_t error = grid_for(kernel, shared, pieces, most_tiles(pass), &grid);
  if (error != cudaSuccess) return error;
  work.users_at_once = users_at_once(pass, int64_t{grid} * kWarps);
  kernel<<<grid, kThreads, static_cast<size_t>(shared), stream>>>(pass, work, training, held);
  return cudaGetLastError();
}

template <int C, class List, template <int> class Rounding>
cudaError_t launch_walks(const Pass& pass, const Interactions& work, const Training& training,
                         cudaStream_t stream) {
  Device device;
  cudaError_t error = query(&device);
  if (error != cudaSuccess) return error;
  const auto launch_with = [&](auto kernel, const Held& held) {
    const int64_t shared = shared_bytes<InteractionsMemory>(pass, C, held);
    return launch_walk(kernel, pass, work, shared, training, held, stream);
  };
  error = launch_with(interact_kernel<C, List, Rounding, false>, Held{});
  if (error != cudaSuccess) return error;
  const int64_t without = shared_bytes<InteractionsMemory>(pass, C, Held{});
  return launch_with(interact_kernel<C, List, Rounding, true>, held_groups(pass, without, device));
}

template <template <int> class Rounding>
cudaError_t launch_interactions(const Pass& pass, const Interactions& work,
                                const Training& training, cudaStream_t stream) {
  return with_chunks(pass.shape.factors, [&](auto chunks) {
    return with_storages(pass, [&](auto list) {
      return launch_walks<decltype(chunks)::value, decltype(list), Rounding>(pass, work, training,
                                                                             stream);
    });
  });
}

extern template cudaError_t launch_interactions<Nearest>(const Pass&, const Interactions&,
                                                         const Training&, cudaStream_t);
extern template cudaError_t launch_interactions<Stochastic>(const Pass&, const Interactions&,
                                                            const Training&, cudaStream_t);

}  // namespace mascot::cuda

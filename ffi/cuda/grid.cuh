// Sizing a launch to the device that it is for. Nothing here waits for the device.
#pragma once

#include <cuda_runtime_api.h>

#include <algorithm>

#include "cuda/kernels.cuh"

namespace mascot::cuda {

inline int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

struct Device {
  int64_t multiprocessors;
  int64_t shared_bytes;        // of a multiprocessor
  int64_t block_shared_bytes;  // that one block may have
};

inline cudaError_t query(Device* device) {
  int id = 0, multiprocessors = 0, shared = 0, block = 0;
  cudaError_t error = cudaGetDevice(&id);
  const auto get = [&](int* value, cudaDeviceAttr attribute) {
    if (error == cudaSuccess) error = cudaDeviceGetAttribute(value, attribute, id);
  };
  get(&multiprocessors, cudaDevAttrMultiProcessorCount);
  get(&shared, cudaDevAttrMaxSharedMemoryPerMultiprocessor);
  get(&block, cudaDevAttrMaxSharedMemoryPerBlockOptin);
  *device = {multiprocessors, shared, block};
  return error;
}

// Thread blocks for so many pieces: as many as run at once, but no more than there is work for.
template <class Kernel>
cudaError_t grid_for(Kernel kernel, int64_t shared, int64_t pieces, int64_t most_in_flight,
                     unsigned* grid) {
  Device device;
  cudaError_t error = query(&device);
  if (error != cudaSuccess) return error;
  // As much as there may be, not as much as is needed: others may launch the same kernel just now.
  error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                               static_cast<int>(device.block_shared_bytes));
  if (error != cudaSuccess) return error;
  int resident = 0;
  error = cudaOccupancyMaxActiveBlocksPerMultiprocessor(&resident, kernel, kThreads,
                                                        static_cast<size_t>(shared));
  if (error != cudaSuccess) return error;
  if (resident == 0) return cudaErrorLaunchOutOfResources;
  const int64_t useful = divide_up(pieces, kWarps);
  const int64_t allowed = std::max<int64_t>(1, most_in_flight / (kWarps * kTiles));
  *grid = static_cast<unsigned>(std::min({resident * device.multiprocessors, useful, allowed}));
  return cudaSuccess;
}

// The same for a pass over ratings.
template <class Kernel>
cudaError_t grid_of(Kernel kernel, const Pass& pass, int64_t shared, int64_t most_in_flight,
                    unsigned* grid) {
  const int64_t pieces = Order(pass.ratings.count, pass.block_size, 0).pieces();
  return grid_for(kernel, shared, pieces, most_in_flight, grid);
}

// Launches a kernel that takes a pass and what follows it. shared: bytes of a block.
template <class Kernel, class... Arguments>
cudaError_t launch(Kernel kernel, const Pass& pass, int64_t shared, int64_t most_in_flight,
                   cudaStream_t stream, const Arguments&... arguments) {
  unsigned grid = 0;
  const cudaError_t error = grid_of(kernel, pass, shared, most_in_flight, &grid);
  if (error != cudaSuccess) return error;
  kernel<<<grid, kThreads, static_cast<size_t>(shared), stream>>>(pass, arguments...);
  return cudaGetLastError();
}

}  // namespace mascot::cuda

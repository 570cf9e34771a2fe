// The variants and limits as a library of C functions: library.py builds and calls
// it. Each function waits for the device; it returns CUDA's error, 0 being none.
#include <algorithm>
#include <cstdint>

#include "cuda/launch_update.cuh"
#include "limits.cuh"
#include "ways.cuh"

namespace {

using namespace mascot;
using namespace mascot::cuda;

cudaError_t finish(cudaError_t error) {
  return error == cudaSuccess ? cudaStreamSynchronize(nullptr) : error;
}

}  // namespace

extern "C" {

const char* mascot_error(int error) { return cudaGetErrorString(static_cast<cudaError_t>(error)); }

// blocks: that a multiprocessor is to hold: 3 or 4, for an update. grid: thread blocks that ran.
int mascot_run_way(const Pass* pass, const float* rates, const uint32_t* counters,
                   uint32_t* scratch, int64_t way, int64_t updates, int64_t prefetch,
                   int64_t blocks, uint32_t* grid) {
  const Training training = {rates, counters, nullptr, Writes::kAdd};
  const Choice choice = {static_cast<Way>(way), updates != 0, prefetch != 0};
  cudaError_t error = cudaErrorInvalidValue;
  with_variant(*pass, choice, [&](auto variant) {
    using V = decltype(variant);
    const auto start = [&](auto kernel) {
      const int64_t shared = V::shared(*pass), most = most_in_flight(*pass);
      error = grid_of(kernel, *pass, shared, most, grid);
      if (error != cudaSuccess) return;
      error = launch(kernel, *pass, shared, most, nullptr, training, uint32_t{0}, scratch);
    };
    if constexpr (V::kHasUpdate) {
      if (blocks == 3) return start(V::template kernel<3>);
    }
    if (blocks == 4) start(V::template kernel<4>);
  });
  return finish(error);
}

// done: bytes, or instructions of warps.
int mascot_run_limit(int64_t which, char* buffer, int64_t bytes, int64_t turns, uint32_t* scratch,
                     int64_t* done) {
  Device device;
  cudaError_t error = query(&device);
  if (error != cudaSuccess) return error;
  const auto limit = static_cast<Limit>(which);
  const auto places = static_cast<uint32_t>(bytes / (kWarp * 16));
  const auto grid = static_cast<unsigned>(device.multiprocessors * 4);
  *done = per_turn(limit) * turns * grid;
  const auto start = [&](auto kernel) {
    kernel<<<grid, kThreads>>>(buffer, places, static_cast<int>(turns), scratch);
    return finish(cudaGetLastError());
  };
  switch (limit) {
    case Limit::kRead:
      return start(limit_kernel<Limit::kRead>);
    case Limit::kReduceFloats:
      return start(limit_kernel<Limit::kReduceFloats>);
    case Limit::kReduceHalves:
      return start(limit_kernel<Limit::kReduceHalves>);
    case Limit::kInstructions:
      return start(limit_kernel<Limit::kInstructions>);
  }
  return cudaErrorInvalidValue;
}
}

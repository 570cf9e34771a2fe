// What the GPU's handlers share: a launch's own error, and XLA's stream.
#pragma once

#include <cuda_runtime_api.h>

#include <stdexcept>
#include <string>

#include "bind/decode.h"

namespace mascot::bind {

// A launch that the CUDA runtime refused.
struct CudaFailure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

inline void check(cudaError_t error) {
  if (error != cudaSuccess) {
    throw CudaFailure(
        std::string("the GPU refused this work, or failed at what it was given before: ") +
        cudaGetErrorName(error) + ": " + cudaGetErrorString(error));
  }
}

// Gives the work of a handler its stream, once everything has been checked.
template <class Work>
ffi::Error guarded_on_device(const ffi::Context& context, const Work& work) {
  return guarded([&] {
    work([&] {
      const auto stream = context.get<ffi::PlatformStream<cudaStream_t>>();
      if (!stream.has_value()) throw CudaFailure(stream.error().message());
      return *stream;
    });
  });
}

}  // namespace mascot::bind

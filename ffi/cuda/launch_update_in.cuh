// Launching the update in one arithmetic. Instantiated by update_in_*.cu, so that they compile side
// by side.
#pragma once

#include "cuda/launch_update.cuh"
#include "cuda/update_in.cuh"

namespace mascot::cuda {

// A: a type of arithmetic.cuh.
template <class A>
cudaError_t launch_update_in(const Pass& pass, const Training& training, cudaStream_t stream) {
  Device device;
  const cudaError_t error = query(&device);
  if (error != cudaSuccess) return error;
  return with_chunks(pass.shape.factors, [&](auto chunks) {
    constexpr int C = decltype(chunks)::value;
    if constexpr (C == 0) {
      return cudaErrorInvalidValue;
    } else {
      const int64_t shared = shared_bytes(pass, UpdateRatingIn<C, A>::kHeld, Held{});
      return launch(update_in_kernel<C, A>, pass, device, shared, most_in_flight(pass), stream,
                    training);
    }
  });
}

extern template cudaError_t launch_update_in<InHalf>(const Pass&, const Training&, cudaStream_t);
extern template cudaError_t launch_update_in<InMixed>(const Pass&, const Training&, cudaStream_t);
extern template cudaError_t launch_update_in<InFixed>(const Pass&, const Training&, cudaStream_t);

}  // namespace mascot::cuda

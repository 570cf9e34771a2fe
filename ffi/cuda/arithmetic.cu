// Epochs in another arithmetic than FP32, from launch.
#include "cuda/launch_update.cuh"
#include "cuda/update_arithmetic.cuh"

namespace mascot::cuda {
namespace {

// A: a type of arithmetic.cuh.
template <class A>
cudaError_t launch_arithmetic(const Pass& pass, const Training& training, cudaStream_t stream) {
  return with_chunks(pass.shape.factors, [&](auto chunks) {
    constexpr int C = decltype(chunks)::value;
    if constexpr (C == 0) {
      return cudaErrorInvalidValue;
    } else {
      const int64_t shared = shared_bytes(pass, UpdateByArithmetic<C, A>::kHeld, Held{});
      const int64_t most = most_in_flight(pass, training);
      return launch(arithmetic_kernel<C, A>, pass, shared, most, stream, training);
    }
  });
}

}  // namespace

cudaError_t run_arithmetic_epoch(Arithmetic arithmetic, const Pass& pass, const Training& training,
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
      return launch_arithmetic<InHalf>(pass, training, stream);
    case Arithmetic::kMixed:
      return launch_arithmetic<InMixed>(pass, training, stream);
    case Arithmetic::kFixed:
      return launch_arithmetic<InFixed>(pass, training, stream);
    default:
      return cudaErrorInvalidValue;
  }
}

}  // namespace mascot::cuda

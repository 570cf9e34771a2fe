// An epoch over interactions, from launches.
#include "cuda/launch.h"
#include "cuda/launch_interactions.cuh"
#include "cuda/ranges.cuh"

namespace mascot::cuda {

cudaError_t run_interactions(const Pass& pass, const Interactions& work, const Training& training,
                             Rounding rounding, float* user_sums, float* item_sums,
                             cudaStream_t stream) {
  return run_and_sum(pass, training, user_sums, item_sums, stream, [&] {
    constexpr unsigned kThreadsOfRanges = 1024;
    ranges_kernel<<<1, kThreadsOfRanges, kThreadsOfRanges * sizeof(uint64_t), stream>>>(work);
    const cudaError_t error = cudaGetLastError();
    if (error != cudaSuccess) return error;
    return rounding == Rounding::kNearest
               ? launch_interactions<Nearest>(pass, work, training, stream)
               : launch_interactions<Stochastic>(pass, work, training, stream);
  });
}

}  // namespace mascot::cuda

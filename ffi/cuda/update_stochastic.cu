#include "cuda/launch_update.cuh"

namespace mascot::cuda {

template cudaError_t launch_update<Stochastic>(const Pass&, const Training&, cudaStream_t);

}  // namespace mascot::cuda

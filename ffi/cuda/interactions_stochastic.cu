#include "cuda/launch_interactions.cuh"

namespace mascot::cuda {

template cudaError_t launch_interactions<Stochastic>(const Pass&, const Interactions&,
                                                     const Training&, cudaStream_t);

}  // namespace mascot::cuda

#include "cuda/launch_update_in.cuh"

namespace mascot::cuda {

template cudaError_t launch_update_in<InHalf>(const Pass&, const Training&, cudaStream_t);

}  // namespace mascot::cuda

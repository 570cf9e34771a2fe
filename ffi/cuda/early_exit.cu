// Passes over the ratings that end at the first component near zero, from launches.
#include "cuda/launch.h"
#include "cuda/launch_update.cuh"

namespace mascot::cuda {
namespace {

template <template <int> class Rounding>
cudaError_t launch_to_stop(const Pass& pass, const Training& training, cudaStream_t stream) {
  return with_storages(pass, [&](auto list) {
    using List = decltype(list);
    if constexpr (kHas<Int8, List>) {
      return cudaErrorInvalidValue;
    } else {
      return launch_both(update_to_stop_kernel<List, Rounding, false>,
                         update_to_stop_kernel<List, Rounding, true>, 0, pass, training, stream);
    }
  });
}

}  // namespace

cudaError_t run_epoch_to_stop(const Pass& pass, const Training& training, Rounding rounding,
                              cudaStream_t stream) {
  return rounding == Rounding::kNearest ? launch_to_stop<Nearest>(pass, training, stream)
                                        : launch_to_stop<Stochastic>(pass, training, stream);
}

cudaError_t run_predict_to_stop(const Pass& pass, const float* thresholds, float* predictions,
                                uint32_t* stops, cudaStream_t stream) {
  return launch(predict_to_stop_kernel<Storages>, pass, shared_bytes(pass, 0, Held{}),
                pass.ratings.count, stream, thresholds, predictions, stops);
}

}  // namespace mascot::cuda

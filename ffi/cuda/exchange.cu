// What several devices do between and before their parts of an epoch, from launches.
#include "cuda/exchange.cuh"
#include "cuda/launch.h"
#include "cuda/stretches.cuh"

namespace mascot::cuda {
namespace {

template <bool kPacks>
cudaError_t launch_exchange(const Side& side, const Moves& moves, const RowShape& shape,
                            uint32_t* parcel, cudaStream_t stream) {
  const auto blocks = static_cast<unsigned>(moves.ranges) * kBlocksPerRange;
  constexpr size_t kShared = kExchangeThreads * sizeof(int64_t);
  exchange_kernel<kPacks>
      <<<blocks, kExchangeThreads, kShared, stream>>>(side, moves, shape, parcel);
  return cudaGetLastError();
}

}  // namespace

cudaError_t find_stretches(const BlockList& list, cudaStream_t stream) {
  stretches_kernel<<<1, kStretchesThreads, kStretchesThreads * sizeof(uint32_t), stream>>>(list);
  return cudaGetLastError();
}

cudaError_t pack(const Side& side, const Moves& moves, const RowShape& shape, uint32_t* parcel,
                 cudaStream_t stream) {
  return launch_exchange<true>(side, moves, shape, parcel, stream);
}

cudaError_t unpack(const Side& side, const Moves& moves, const RowShape& shape,
                   const uint32_t* parcel, cudaStream_t stream) {
  return launch_exchange<false>(side, moves, shape, const_cast<uint32_t*>(parcel), stream);
}

}  // namespace mascot::cuda

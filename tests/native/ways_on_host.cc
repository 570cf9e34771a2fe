// The variants of benchmarks/gpu/native, compiled for the host and called from tests through C.
#include "ways.cuh"

namespace {

using namespace mascot;
using namespace mascot::cuda;

}  // namespace

extern "C" {

// late: additions in bulk are made as late as they may be. backwards: the last lane goes first.
int64_t mascot_run_way(const Pass* pass, const float* rates, const uint32_t* counters, int64_t way,
                       int64_t updates, int64_t prefetch, int64_t late, int64_t backwards,
                       int64_t grid) {
  fibres::backwards = backwards != 0;
  bulk_is_late = late != 0;
  const Choice choice = {static_cast<Way>(way), updates != 0, prefetch != 0};
  const Training training = {rates, counters, nullptr, Writes::kAdd};
  uint32_t scratch = 0;
  return with_variant(*pass, choice, [&](auto variant) {
    fibres::launch(static_cast<unsigned>(grid), kThreads,
                   [&] { decltype(variant)::template kernel<4>(*pass, training, 0, &scratch); });
  });
}
}

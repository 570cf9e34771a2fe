// The variants and limits of benchmarks/gpu/native, compiled for the host: the functions of its
// library.cu, without a device to wait for.
#include "limits.cuh"
#include "ways.cuh"

namespace {

using namespace mascot;
using namespace mascot::cuda;

constexpr unsigned kGrid = 2;

template <Limit kLimit>
int run_limit(char* buffer, uint32_t places, int64_t turns, uint32_t* scratch, int64_t* done) {
  *done = per_turn(kLimit) * turns * kGrid;
  fibres::launch(kGrid, kThreads,
                 [&] { limit_kernel<kLimit>(buffer, places, static_cast<int>(turns), scratch); });
  return 0;
}

}  // namespace

extern "C" {

// late: additions in bulk are made as late as they may be. backwards: the last lane goes first.
void mascot_set_order(int64_t late, int64_t backwards) {
  bulk_is_late = late != 0;
  fibres::backwards = backwards != 0;
}

const char* mascot_error(int) { return "there is no such variant"; }

int mascot_run_way(const Pass* pass, const float* rates, const uint32_t* counters,
                   uint32_t* scratch, int64_t way, int64_t updates, int64_t prefetch, int64_t,
                   uint32_t* grid) {
  const Choice choice = {static_cast<Way>(way), updates != 0, prefetch != 0};
  const Training training = {rates, counters, nullptr, Writes::kAdd};
  *grid = pass->ratings.count <= kPiece ? 1 : kGrid;
  const bool found = with_variant(*pass, choice, [&](auto variant) {
    fibres::launch(*grid, kThreads,
                   [&] { decltype(variant)::template kernel<4>(*pass, training, 0, scratch); });
  });
  return found ? 0 : 1;
}

int mascot_run_limit(int64_t which, char* buffer, int64_t bytes, int64_t turns, uint32_t* scratch,
                     int64_t* done) {
  const auto places = static_cast<uint32_t>(bytes / (kWarp * 16));
  switch (static_cast<Limit>(which)) {
    case Limit::kRead:
      return run_limit<Limit::kRead>(buffer, places, turns, scratch, done);
    case Limit::kReduceFloats:
      return run_limit<Limit::kReduceFloats>(buffer, places, turns, scratch, done);
    case Limit::kReduceHalves:
      return run_limit<Limit::kReduceHalves>(buffer, places, turns, scratch, done);
    default:
      return run_limit<Limit::kInstructions>(buffer, places, turns, scratch, done);
  }
}
}

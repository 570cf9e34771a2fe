// The way of a grid through the ratings, written once for training, prediction and the memory
// bound.
//
// A warp takes pieces of consecutive ratings. Each lane looks two of them up (their rows' storages,
// whether they are sampled); the warp sorts them by pair of storages, so that what follows does not
// diverge, and visits them four at a time: a tile of eight lanes shares one rating, and four
// ratings' rows are on their way before the first is used.
#pragma once

#include <cstdint>

#include "cuda/groups.cuh"
#include "cuda/order.cuh"
#include "cuda/storages.cuh"

namespace mascot::cuda {

inline constexpr int kTile = 8;               // lanes that share a rating
inline constexpr int kTiles = kWarp / kTile;  // ratings that a warp has in flight
inline constexpr int kWarps = 8;              // of a thread block
inline constexpr int kThreads = kWarps * kWarp;
inline constexpr int kPerLane = kPiece / kWarp;
inline constexpr int kPairs = 4;  // of storages

// Which ratings are sampled; a threshold of 0 samples none.
struct Sampling {
  uint64_t key;
  uint64_t threshold;  // of 2^32
};

// What a tile has to know of a rating: 16 bytes of shared memory.
struct alignas(16) Planned {
  uint32_t user;
  uint32_t item;
  float rating;
  uint32_t place;  // in its piece; bit 31: sampled

  static constexpr uint32_t kSampled = 0x80000000u;
  __device__ bool sampled() const { return (place & kSampled) != 0; }
  __device__ int64_t number(const Piece& piece) const {
    return piece.begin + static_cast<int64_t>(place & ~kSampled);
  }
};

// A piece's ratings in a warp's shared memory, by pair of storages.
struct Plan {
  const Planned* ratings;
  int begin[kPairs + 1];  // of each pair's list; pair = user's storage + 2 * item's
};

// What the threads of a block have in common. It lives in shared memory: it is needed once per
// piece, and in registers it would take them from the rows.
struct Common {
  Order order;
  Sampling sampling;
  GroupTable users;
  GroupTable items;
  uint64_t dither_key;
};

__device__ inline Plan make_plan(const Pass& pass, const Common& common, const Piece& piece,
                                 Planned* out) {
  const unsigned lane = threadIdx.x % kWarp;
  Planned mine[kPerLane];
  int pair[kPerLane];
#pragma unroll
  for (int j = 0; j < kPerLane; ++j) {
    const auto place = static_cast<uint32_t>(j * kWarp + lane);
    pair[j] = -1;
    if (place >= static_cast<uint32_t>(piece.size)) continue;
    const int64_t number = piece.begin + place;
    mine[j] = {load_once(pass.ratings.user + number), load_once(pass.ratings.item + number),
               pass.ratings.rating ? load_once(pass.ratings.rating + number) : 0.0f, place};
    const auto [key, threshold] = common.sampling;
    const bool sampled = threshold != 0 && draw32(key, static_cast<uint64_t>(number)) < threshold;
    if (sampled) mine[j].place |= Planned::kSampled;
    pair[j] = static_cast<int>(common.users.storage(mine[j].user)) +
              2 * static_cast<int>(common.items.storage(mine[j].item));
  }
  Plan plan = {out, {}};
  int next = 0;
  __syncwarp();  // the last piece has been read
#pragma unroll
  for (int p = 0; p < kPairs; ++p) {
    plan.begin[p] = next;
#pragma unroll
    for (int j = 0; j < kPerLane; ++j) {
      const unsigned same = __ballot_sync(kAllLanes, pair[j] == p);
      if (pair[j] == p) out[next + __popc(same & ((1u << lane) - 1))] = mine[j];
      next += __popc(same);
    }
  }
  plan.begin[kPairs] = next;
  __syncwarp();
  return plan;
}

// Calls visit.template rating<user storage, item storage>(planned, piece, active) for one list;
// towards its end, tiles without a rating repeat the last one, not active: they write nothing.
template <class U, class I, class Visit>
__device__ void visit_list(const Plan& plan, int pair, const Piece& piece, Visit& visit) {
  const int tile = static_cast<int>(threadIdx.x) % kWarp / kTile;
  const int end = plan.begin[pair + 1];
  for (int first = plan.begin[pair]; first < end; first += kTiles) {
    const int at = first + tile;
    visit.template rating<U, I>(plan.ratings[at < end ? at : end - 1], piece, at < end);
  }
}

// Takes this thread's warp through its share of the pieces. plans: [kWarps, kPiece].
template <class Visit>
__device__ void walk(const Pass& pass, const Common& common, Planned* plans, Visit& visit) {
  const int64_t warps = int64_t{gridDim.x} * kWarps;
  const int64_t warp = int64_t{blockIdx.x} * kWarps + threadIdx.x / kWarp;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  Planned* const own = plans + threadIdx.x / kWarp * kPiece;
  for (int64_t first = warp; first < common.order.pieces(); first += warps * kWarp) {
    // The warp's next pieces, worked out at once, one by each lane.
    const Piece mine = common.order(first + lane * warps);
    for (int turn = 0; turn < kWarp; ++turn) {
      const Piece piece = {__shfl_sync(kAllLanes, mine.begin, turn),
                           __shfl_sync(kAllLanes, mine.size, turn)};
      if (piece.size == 0) continue;
      const Plan plan = make_plan(pass, common, piece, own);
      visit_list<Float32, Float32>(plan, 0, piece, visit);
      visit_list<Float16, Float32>(plan, 1, piece, visit);
      visit_list<Float32, Float16>(plan, 2, piece, visit);
      visit_list<Float16, Float16>(plan, 3, piece, visit);
    }
  }
}

}  // namespace mascot::cuda

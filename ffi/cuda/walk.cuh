// The way of a grid through the ratings, written once for training, prediction and the memory
// bound.
//
// A warp takes pieces of consecutive ratings. Each lane looks two of them up (their rows' storages,
// whether they are sampled); the warp lists those with a row of FP32 apart from the others, whose
// rows are spread in wider vectors. A tile of eight lanes goes through a quarter of a list, one
// rating after the other, and holds the user's row for as long as that stays the same: a run. So
// four ratings' rows are on their way before the first is used, and tiles part only where a run
// ends, or storages differ.
#pragma once

#include <cstdint>
#include <type_traits>

#include "cuda/groups.cuh"
#include "cuda/order.cuh"

namespace mascot::cuda {

inline constexpr int kTile = 8;               // lanes that share a rating
inline constexpr int kTiles = kWarp / kTile;  // ratings that a warp has in flight
inline constexpr int kWarps = 8;              // of a thread block
inline constexpr int kThreads = kWarps * kWarp;
inline constexpr int kPerLane = kPiece / kWarp;

// Components that a lane holds side by side, in ratings with a row of FP32 and in others: up to 16
// bytes.
inline constexpr int kWide = 4;
inline constexpr int kNarrow = 8;

// What a tile has to know of a rating: 16 bytes of shared memory.
struct alignas(16) Planned {
  uint32_t user;
  uint32_t item;
  float rating;
  uint32_t bits;  // from the lowest: 8 of its place in its piece, each row's storage, sampled

  static constexpr int kUserStorage = 8, kItemStorage = kUserStorage + kCodeBits;
  static constexpr int kSampled = kItemStorage + kCodeBits;
  __device__ int64_t number(const Piece& piece) const {
    return piece.begin + static_cast<int64_t>(bits & 0xffu);
  }
  __device__ Storage user_storage() const { return code_at(kUserStorage); }
  __device__ Storage item_storage() const { return code_at(kItemStorage); }
  __device__ bool sampled() const { return (bits >> kSampled & 1) != 0; }
  __device__ bool wide() const {
    return user_storage() == kCode<Float32> || item_storage() == kCode<Float32>;
  }

 private:
  __device__ Storage code_at(int bit) const {
    return static_cast<Storage>(bits >> bit & ((1u << kCodeBits) - 1));
  }
};

// A piece's ratings in a warp's shared memory: the wide ones, then the others.
struct Plan {
  const Planned* ratings;
  int wide;         // how many
  int size;         // all of them
  uint64_t starts;  // of runs, a bit for each place: one user's ratings that follow one another

  __device__ bool is_start(int place) const { return (starts >> place & 1) != 0; }
  // The first start of a run from a place on, or end.
  __device__ int next_start(int place, int end) const {
    if (place >= end) return end;
    const int distance = __ffsll(static_cast<long long>(starts >> place)) - 1;
    return distance < 0 ? end : min(place + distance, end);
  }
};

// What the threads of a block have in common. It lives in shared memory: in registers it would
// take them from the rows.
struct Common {
  Order order;
  Sampling sampling;
  GroupTable users;
  GroupTable items;
  uint64_t dither_key;
  Rates rates;
};

// Two of a piece's ratings as a lane looks them up; there is none at a place beyond its size.
__device__ inline Planned look_up(const Pass& pass, const Common& common, const Piece& piece,
                                  uint32_t place) {
  const int64_t number = piece.begin + place;
  Planned planned = {load_once(pass.ratings.user + number), load_once(pass.ratings.item + number),
                     pass.ratings.rating ? load_once(pass.ratings.rating + number) : 0.0f, place};
  planned.bits |= static_cast<uint32_t>(common.users.storage(planned.user))
                  << Planned::kUserStorage;
  planned.bits |= static_cast<uint32_t>(common.items.storage(planned.item))
                  << Planned::kItemStorage;
  const auto [key, threshold] = common.sampling;
  const bool sampled = threshold != 0 && draw32(key, static_cast<uint64_t>(number)) < threshold;
  planned.bits |= static_cast<uint32_t>(sampled) << Planned::kSampled;
  return planned;
}

__device__ inline Plan make_plan(const Pass& pass, const Common& common, const Piece& piece,
                                 Planned* out) {
  const auto lane = static_cast<int>(threadIdx.x % kWarp);
  Planned mine[kPerLane];
  bool exists[kPerLane];
#pragma unroll
  for (int j = 0; j < kPerLane; ++j) {
    const int place = j * kWarp + lane;
    exists[j] = place < piece.size;
    if (exists[j]) mine[j] = look_up(pass, common, piece, static_cast<uint32_t>(place));
  }
  Plan plan = {out, 0, 0, 0};
  __syncwarp();  // the last piece has been read
#pragma unroll
  for (const bool wide : {true, false}) {
#pragma unroll
    for (int j = 0; j < kPerLane; ++j) {
      const bool listed = exists[j] && mine[j].wide() == wide;
      const unsigned same = __ballot_sync(kAllLanes, listed);
      if (listed) out[plan.size + __popc(same & ((1u << lane) - 1))] = mine[j];
      plan.size += __popc(same);
    }
    if (wide) plan.wide = plan.size;
  }
  __syncwarp();
#pragma unroll
  for (int j = 0; j < kPerLane; ++j) {
    const int at = j * kWarp + lane;
    const bool first = at == 0 || at == plan.wide;
    const bool start = at < plan.size && (first || out[at].user != out[at - 1].user);
    plan.starts |= uint64_t{__ballot_sync(kAllLanes, start)} << j * kWarp;
  }
  return plan;
}

// A tile's turn: without a rating it is not active, and writes nothing.
struct Turn {
  bool active;
  bool first;  // of a run
  bool last;
};

// Calls visit.rating(user, planned, piece, turn) for the list begin .. end - 1. user: the tile's,
// for as long as it goes through the list.
template <int V, class Visit>
__device__ void visit_list(const Plan& plan, int begin, int end, const Piece& piece, Visit& visit) {
  if (begin == end) return;
  const int tile = static_cast<int>(threadIdx.x) % kWarp / kTile, size = end - begin;
  // A tile begins where a run does.
  const auto border = [&](int number) {
    return plan.next_start(begin + (size * number + kTiles - 1) / kTiles, end);
  };
  const int own_end = border(tile + 1);
  typename Visit::template User<V> user;
#pragma unroll 1
  for (int at = border(tile); __any_sync(kAllLanes, at < own_end); ++at) {
    const bool active = at < own_end;
    // A tile that is through goes on counting, past the places that there are.
    const bool first = active && plan.is_start(at);
    const bool last = active && (at + 1 == own_end || plan.is_start(at + 1));
    visit.rating(user, plan.ratings[active ? at : begin], piece, Turn{active, first, last});
  }
}

// Whether a visit meets ratings in the layout of V components; else its User is void there.
template <class Visit, int V>
inline constexpr bool kMeets = !std::is_void_v<typename Visit::template User<V>>;

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
      if constexpr (kMeets<Visit, kWide>) visit_list<kWide>(plan, 0, plan.wide, piece, visit);
      if constexpr (kMeets<Visit, kNarrow>) {
        visit_list<kNarrow>(plan, plan.wide, plan.size, piece, visit);
      }
    }
  }
}

}  // namespace mascot::cuda

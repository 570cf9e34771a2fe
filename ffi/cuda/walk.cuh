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
#include "cuda/storages/storages.cuh"

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
static_assert(kSize<Fitting<kWide, Storages>> == kStorages &&
                  kSize<Fitting<kNarrow, Storages>> == kStorages - 1,
              "FP32 is the only storage whose rows need the layout of kWide components");

// What a tile has to know of a rating: 16 bytes of shared memory.
struct alignas(16) Planned {
  uint32_t user;
  uint32_t item;
  float rating;
  uint32_t bits;  // from the lowest: 8 of its place in its piece, each row's storage, flags

  // Whether a tile may be without a rating while it holds a user's row.
  static constexpr bool kHoldsOn = false;
  static constexpr int kUserStorage = 8, kItemStorage = kUserStorage + kCodeBits;
  static constexpr int kSampled = kItemStorage + kCodeBits;
  static constexpr int kFirst = kSampled + 1, kLast = kFirst + 1;  // of a run
  __device__ int64_t number(const Piece& piece) const {
    return piece.begin + static_cast<int64_t>(bits & 0xffu);
  }
  // The number of its draws: in all of the training, also where a device holds only some of it.
  __device__ int64_t draw(const Piece& piece) const { return number(piece) + piece.moved; }
  __device__ Storage user_storage() const { return code_at(kUserStorage); }
  __device__ Storage item_storage() const { return code_at(kItemStorage); }
  __device__ bool sampled() const { return flag(kSampled); }
  __device__ bool first() const { return flag(kFirst); }
  __device__ bool last() const { return flag(kLast); }
  __device__ bool wide() const {
    return user_storage() == kCode<Float32> || item_storage() == kCode<Float32>;
  }

 private:
  __device__ bool flag(int bit) const { return (bits >> bit & 1) != 0; }
  __device__ Storage code_at(int bit) const {
    return static_cast<Storage>(bits >> bit & ((1u << kCodeBits) - 1));
  }
};

// A piece's ratings in a warp's shared memory: the wide ones, then the others.
struct Plan {
  const Planned* ratings;
  int wide;  // how many
  int size;  // all of them
};

// A warp's shared memory: its plan, and the pieces that it is to plan next.
struct WarpMemory {
  Planned planned[kPiece];
  Piece pieces[kWarp];
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

// A row's storage, looked up where there is more than one.
template <class List>
__device__ Storage storage_of(const GroupTable& groups, uint32_t row) {
  if constexpr (kSize<List> == 1) return storage_among(List{}, {});
  return groups.storage(row);
}

// Whether ratings of rows in these storages are met in the layout of V components.
template <int V, class List>
inline constexpr bool kMeets =
    V == kWide ? kHas<Float32, List> : !std::is_same_v<Fitting<V, List>, StorageList<>>;

// One of a piece's ratings.
template <class List>
__device__ Planned look_up(const Pass& pass, const Common& common, const Piece& piece,
                           uint32_t place) {
  const int64_t number = piece.begin + place;
  Planned planned = {load_once(pass.ratings.user + number), load_once(pass.ratings.item + number),
                     pass.ratings.rating ? load_once(pass.ratings.rating + number) : 0.0f, place};
  const auto user = storage_of<List>(common.users, planned.user);
  const auto item = storage_of<List>(common.items, planned.item);
  planned.bits |= static_cast<uint32_t>(user) << Planned::kUserStorage;
  planned.bits |= static_cast<uint32_t>(item) << Planned::kItemStorage;
  const auto [key, threshold] = common.sampling;
  const auto draw = static_cast<uint64_t>(number + piece.moved);
  const bool sampled = threshold != 0 && draw32(key, draw) < threshold;
  planned.bits |= static_cast<uint32_t>(sampled) << Planned::kSampled;
  return planned;
}

template <class List>
__device__ Plan make_plan(const Pass& pass, const Common& common, const Piece& piece,
                          Planned* out) {
  const auto lane = static_cast<int>(threadIdx.x % kWarp);
  // Each lane looks up two of the ratings; there is none at a place beyond the piece's size.
  Planned mine[kPerLane] = {};  // without, registers would keep the last piece's until then
  bool exists[kPerLane];
#pragma unroll
  for (int j = 0; j < kPerLane; ++j) {
    const int place = j * kWarp + lane;
    exists[j] = place < piece.size;
    if (exists[j]) mine[j] = look_up<List>(pass, common, piece, static_cast<uint32_t>(place));
  }
  Plan plan = {out, 0, 0};
  __syncwarp();  // the last piece has been read
#pragma unroll
  for (const bool wide : {true, false}) {
    if (!(wide ? kMeets<kWide, List> : kMeets<kNarrow, List>)) continue;
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
    if (at >= plan.size) continue;
    const auto is_start = [&](int place) {
      return place == 0 || place == plan.wide || out[place].user != out[place - 1].user;
    };
    const bool last = at + 1 == plan.size || is_start(at + 1);
    out[at].bits |= static_cast<uint32_t>(is_start(at)) << Planned::kFirst |
                    static_cast<uint32_t>(last) << Planned::kLast;
  }
  __syncwarp();
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
    int place = begin + (size * number + kTiles - 1) / kTiles;
    while (place < end && !plan.ratings[place].first()) ++place;
    return place;
  };
  const int own_end = border(tile + 1);
  typename Visit::template User<V> user = {};  // without, it would live on in the other list's loop
#pragma unroll 1
  for (int at = border(tile); __any_sync(kAllLanes, at < own_end); ++at) {
    const bool active = at < own_end;
    const Planned& planned = plan.ratings[min(at, own_end - 1)];
    visit.rating(user, planned, piece,
                 Turn{active, active && planned.first(), active && planned.last()});
  }
}

// Takes this thread's warp through its share of the pieces. What waits for its turn, waits in
// shared memory: a loop over ratings needs the registers.
template <class Visit>
__device__ void walk(const Pass& pass, const Common& common, WarpMemory* memory, Visit& visit) {
  using List = typename Visit::Stored;
  const int64_t warps = int64_t{gridDim.x} * kWarps;
  const int64_t warp = int64_t{blockIdx.x} * kWarps + threadIdx.x / kWarp;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  auto& [planned, pieces] = memory[threadIdx.x / kWarp];
  for (int64_t first = warp; first < common.order.pieces(); first += warps * kWarp) {
    // The warp's next pieces, worked out at once, one by each lane.
    pieces[lane] = common.order(first + lane * warps);
    __syncwarp();
    for (int turn = 0; turn < kWarp; ++turn) {
      const Piece& piece = pieces[turn];
      if (piece.size == 0) continue;
      const Plan plan = make_plan<List>(pass, common, piece, planned);
      if constexpr (kMeets<kWide, List>) visit_list<kWide>(plan, 0, plan.wide, piece, visit);
      if constexpr (kMeets<kNarrow, List>) {
        visit_list<kNarrow>(plan, plan.wide, plan.size, piece, visit);
      }
    }
    __syncwarp();
  }
}

}  // namespace mascot::cuda

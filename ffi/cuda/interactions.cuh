// An epoch over interactions and the negatives that it draws: the visits of core/interactions, by
// many warps at once.
//
// A warp takes pieces: a few users and a range of items. A lane looks up each user: where its
// interactions with the range lie, and how many draws it has there. A tile of eight lanes then goes
// through every fourth of these users. It plans eight visits at a time, one by each lane, and holds
// the user's row in registers until the last of its visits to the range. Rows come, change and are
// written as those of ratings (update.cuh), the user's by the draws of that last visit.
#pragma once

#include <cstdint>

#include "core/interactions/visits.h"
#include "cuda/kernels.cuh"

namespace mascot::cuda {

// Users first .. first + users - 1 and a range of items; without users, there is no such piece.
struct UserPiece {
  uint32_t first;
  uint32_t range;
  int32_t users;
};

// The order of an epoch's pieces. A sweep takes all users, each with one range: of the pieces that
// are under way at a time, hardly two have users in common, and all ranges have equally many.
class Sweeps {
 public:
  MASCOT_HD Sweeps(int64_t users, int64_t ranges, int64_t at_once, uint64_t key_of_users,
                   uint64_t key_of_ranges)
      : users_(users),
        ranges_(ranges),
        at_once_(at_once),
        pieces_(of_sweep(users, at_once)),
        order_of_users_(key_of_users, static_cast<uint64_t>(pieces_)),
        order_of_ranges_(key_of_ranges, static_cast<uint64_t>(ranges)) {}

  MASCOT_HD static int64_t of_sweep(int64_t users, int64_t at_once) {
    return (users + at_once - 1) / at_once;
  }
  MASCOT_HD static int64_t pieces(int64_t users, int64_t ranges, int64_t at_once) {
    return of_sweep(users, at_once) * ranges;
  }

  MASCOT_HD UserPiece operator()(int64_t position) const {
    const int64_t sweep = position / pieces_;
    if (sweep >= ranges_) return {0, 0, 0};
    // A sweep begins a little further on than the one before: a warp whose turn comes once a sweep
    // else had the same users in each, and others would wait for that of the busiest.
    const int64_t place = (position + sweep * (pieces_ / ranges_ + 1)) % pieces_;
    const auto group = static_cast<int64_t>(order_of_users_(static_cast<uint64_t>(place)));
    const auto range = order_of_ranges_(static_cast<uint64_t>((sweep + place) % ranges_));
    const int64_t first = group * at_once_;
    const int64_t left = users_ - first;
    return {static_cast<uint32_t>(first), static_cast<uint32_t>(range),
            static_cast<int32_t>(left < at_once_ ? left : at_once_)};
  }

 private:
  int64_t users_, ranges_, at_once_;
  int64_t pieces_;  // of a sweep
  Permutation order_of_users_, order_of_ranges_;
};

// A user of a piece.
struct PlannedUser {
  Turns turns;
  uint64_t key;   // of its draws
  uint64_t last;  // number of the last visit that was made
  uint32_t row;
  Storage storage;
  bool visited;  // whether one was
};

// What a tile has to know of a visit.
struct alignas(16) PlannedVisit {
  uint64_t number;  // of its draws
  uint32_t user;
  uint32_t item;
  float target;
  float weight;
  uint32_t bits;  // from the lowest: each row's storage, whether it is sampled

  static constexpr bool kHoldsOn = true;
  static constexpr int kSampled = 2 * kCodeBits;
  __device__ Storage user_storage() const { return code_at(0); }
  __device__ Storage item_storage() const { return code_at(kCodeBits); }
  __device__ bool sampled() const { return (bits >> kSampled & 1) != 0; }

 private:
  __device__ Storage code_at(int bit) const {
    return static_cast<Storage>(bits >> bit & ((1u << kCodeBits) - 1));
  }
};

// A warp's shared memory.
struct alignas(16) InteractionsMemory {
  PlannedUser users[kWarp];
  PlannedVisit visits[kWarp];  // of each tile in turn
  UserPiece pieces[kWarp];     // those that it is to take next
};

// Looks up the users of a piece.
template <class List>
__device__ void plan_users(const Pass& pass, const Common& common, const Interactions& work,
                           const UserPiece& piece, uint64_t negatives_key, PlannedUser* users) {
  const auto lane = static_cast<int>(threadIdx.x % kWarp);
  __syncwarp();  // the last piece is done
  if (lane < piece.users) {
    const uint32_t row = piece.first + static_cast<uint32_t>(lane);
    const int64_t range = first_from(work.user_starts, 0, work.user_ranges + 1, row + 1) - 1;
    const int64_t block = range * work.item_ranges + piece.range;
    const bool last = block + 1 == work.user_ranges * work.item_ranges;
    const int64_t block_end = last ? pass.ratings.count : work.begin[block + 1];
    const int64_t begin = first_from(pass.ratings.user, work.begin[block], block_end, row);
    const int64_t end = first_from(pass.ratings.user, begin, block_end, row + 1);
    const UserDraws draws(negatives_key, row, work.user_draws[row], work.ranges[piece.range]);
    users[lane] = {Turns(begin, end, draws.count),      draws.key, 0, row,
                   storage_of<List>(common.users, row), false};
  }
  __syncwarp();
}

// A visit of a user, or of nobody: an item of the range all the same, whose row may be looked at.
// Returns whether there is one.
template <class List>
__device__ bool plan_visit(const Pass& pass, const Common& common, const Interactions& work,
                           const DrawnRange& range, const PlannedUser& user, bool exists,
                           const Turns::Step& step, PlannedVisit* out) {
  PlannedVisit visit = {0, user.row, range.first, 0, 0, 0};
  if (exists && step.met) {
    visit.number = static_cast<uint64_t>(step.number);
    visit.item = pass.ratings.item[step.number];
    visit.target = 1;
    visit.weight = pass.ratings.rating[step.number];
    exists = visit.weight != 0;
  } else if (exists) {
    visit.number = draw64(user.key, static_cast<uint64_t>(step.number));
    visit.item = drawn_item(visit.number, range, work.items_before);
    visit.weight = *work.negative_weight;
    exists = !has_met(pass.ratings.item, user.turns.begin(), user.turns.end(), visit.item);
  }
  const auto [key, threshold] = common.sampling;
  const bool sampled = threshold != 0 && draw32(key, visit.number) < threshold;
  const auto item_storage = storage_of<List>(common.items, visit.item);
  visit.bits = static_cast<uint32_t>(user.storage) |
               static_cast<uint32_t>(item_storage) << kCodeBits |
               static_cast<uint32_t>(sampled) << PlannedVisit::kSampled;
  *out = visit;
  return exists;
}

// A tile's next visits of its user.
struct Batch {
  unsigned visits;  // a bit for each lane that has planned one
  bool first;       // the user's row is still to be loaded
  bool over;        // there are none behind them
};

// Plans up to eight visits of a tile's user, if it has one.
template <class List>
__device__ Batch plan_visits(const Pass& pass, const Common& common, const Interactions& work,
                             const DrawnRange& range, PlannedUser& user, bool has_user,
                             PlannedVisit* visits) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp, place = lane % kTile;
  // Every lane goes through all eight, and keeps its own.
  Turns turns = user.turns;
  Turns::Step own = {false, 0};
  bool exists = false;
  for (int i = 0; i < kTile && has_user && !turns.over(); ++i) {
    const Turns::Step step = turns.step();
    if (i != place) continue;
    own = step;
    exists = true;
  }
  const Batch batch = {0, !user.visited, has_user && turns.over()};
  exists = plan_visit<List>(pass, common, work, range, user, exists, own, visits + lane);
  const unsigned all = __ballot_sync(kAllLanes, exists);
  __syncwarp();  // everybody has read the user, and written a visit
  if (has_user && place == 0) user.turns = turns;
  constexpr unsigned kLanesOfTile = (1u << kTile) - 1;
  return {all >> (lane - place) & kLanesOfTile, batch.first, batch.over};
}

// Trains on visits. Rows: an UpdateRows.
template <class Rows>
struct UpdateVisits : Rows {
  Loss loss;

  template <class L>
  __device__ void visit_planned(HeldRow<L>& p, const PlannedVisit& planned, const Turn& turn) {
    this->visit(p, planned, static_cast<int64_t>(planned.number), turn, error_of(planned));
  }
  template <class L>
  __device__ void visit_planned(Nothing<L>, const PlannedVisit& planned, const Turn& turn) {
    this->template visit_unheld<L>(planned, static_cast<int64_t>(planned.number), turn.active,
                                   error_of(planned));
  }

  // Writes a user's row after its last visit. All lanes of a warp take part.
  template <class L>
  __device__ void finish_user(const HeldRow<L>& p, const PlannedUser& user, bool last) const {
    if (!__any_sync(kAllLanes, last)) return;
    const Place<L> place(this->pass.users, user.storage, user.row, this->pass.shape);
    this->finish(place, p, this->rounding_of(p, static_cast<int64_t>(user.last)), last);
  }
  template <class L>
  __device__ void finish_user(Nothing<L>, const PlannedUser&, bool) const {}

 private:
  __device__ auto error_of(const PlannedVisit& planned) const {
    return [this, &planned](float score) {
      return planned.weight * shortfall(loss, planned.target, score);
    };
  }
};

// Takes a warp's tiles through the users of a piece.
template <int V, class Visit>
__device__ void visit_users(const Pass& pass, const Common& common, const Interactions& work,
                            const UserPiece& piece, InteractionsMemory& memory, Visit& visit) {
  using List = typename Visit::Stored;
  const int tile = static_cast<int>(threadIdx.x) % kWarp / kTile;
  const DrawnRange& range = work.ranges[piece.range];
  typename Visit::template User<V> p = {};
  for (int place = tile; __any_sync(kAllLanes, place < piece.users);) {
    const bool has_user = place < piece.users;
    PlannedUser& user = memory.users[min(place, piece.users - 1)];
    const Batch batch = plan_visits<List>(pass, common, work, range, user, has_user, memory.visits);
    const PlannedVisit* planned = memory.visits + tile * kTile;
    bool first = batch.first;
#pragma unroll 1
    for (unsigned left = batch.visits; __any_sync(kAllLanes, left != 0); left &= left - 1) {
      const bool active = left != 0;
      if (active) planned = memory.visits + tile * kTile + (__ffs(static_cast<int>(left)) - 1);
      visit.visit_planned(p, *planned, Turn{active, active && first, false});
      first = first && !active;
    }
    if (batch.visits != 0 && threadIdx.x % kTile == 0) {
      user.last = planned->number;
      user.visited = true;
    }
    __syncwarp();
    visit.finish_user(p, user, batch.over && user.visited);
    if (batch.over) place += kTiles;
  }
}

// Whether a piece has a row of FP32, and is visited in the layout for these.
template <class List>
__device__ bool is_wide(const Common& common, const UserPiece& piece, const DrawnRange& range,
                        const PlannedUser* users) {
  if constexpr (kSize<List> == 1) return kHas<Float32, List>;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const bool wide = lane < piece.users && users[lane].storage == kCode<Float32>;
  return __any_sync(kAllLanes, wide) ||
         common.items.may_have(kCode<Float32>, range.first, range.last);
}

// Takes this thread's warp through its share of the pieces.
template <class Visit>
__device__ void walk_users(const Pass& pass, const Common& common, const Interactions& work,
                           const Training& training, InteractionsMemory* memories, Visit& visit) {
  using List = typename Visit::Stored;
  const int64_t own_warps = blockDim.x / kWarp, warps = gridDim.x * own_warps;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  InteractionsMemory& memory = memories[threadIdx.x / kWarp];
  const int64_t pieces = Sweeps::pieces(pass.users.rows, work.item_ranges, work.users_at_once);
  for (int64_t first = blockIdx.x * own_warps + threadIdx.x / kWarp; first < pieces;
       first += warps * kWarp) {
    const Sweeps order(pass.users.rows, work.item_ranges, work.users_at_once,
                       epoch_key(training, Stream::kLongSide),
                       epoch_key(training, Stream::kShortSide));
    memory.pieces[lane] = order(first + lane * warps);
    __syncwarp();
    for (int turn = 0; turn < kWarp; ++turn) {
      const UserPiece& piece = memory.pieces[turn];
      const DrawnRange& range = work.ranges[piece.range];
      if (piece.users == 0 || range.first == range.last) continue;
      plan_users<List>(pass, common, work, piece, epoch_key(training, Stream::kNegatives),
                       memory.users);
      const bool wide = is_wide<List>(common, piece, range, memory.users);
      if constexpr (kMeets<kWide, List>) {
        if (wide) visit_users<kWide>(pass, common, work, piece, memory, visit);
      }
      if constexpr (kMeets<kNarrow, List>) {
        if (!wide) visit_users<kNarrow>(pass, common, work, piece, memory, visit);
      }
    }
    __syncwarp();
  }
}

// Thread blocks that a multiprocessor should hold at once: one fewer than of the ratings' kernel
// where planning visits takes the registers that this one has left.
template <int C, class List, bool Samples, bool kStochastic>
constexpr int resident_at_visits() {
  constexpr bool kInHalf = std::is_same_v<List, StorageList<Float16>>;
  constexpr bool kTight = (C == 4 && kInHalf) || (C == 8 && kSize<List> == 2);
  const int blocks = resident<C, List, Samples, kStochastic>();
  return blocks > 1 && kTight && !Samples ? blocks - 1 : blocks;
}

template <int C, class List, template <int> class Rounding, bool Samples>
__global__ void __launch_bounds__(kThreads,
                                  resident_at_visits<C, List, Samples, Rounding<kWide>::kDraws>())
    interact_kernel(const __grid_constant__ Pass pass, const __grid_constant__ Interactions work,
                    const Training training, const Held held) {
  update_rows<InteractionsMemory, C, List, Rounding, Samples>(
      pass, training, held, [&](const auto& rows, InteractionsMemory* memory) {
        UpdateVisits<std::decay_t<decltype(rows)>> visit = {rows, work.loss};
        walk_users(pass, rows.common, work, training, memory, visit);
      });
}

}  // namespace mascot::cuda

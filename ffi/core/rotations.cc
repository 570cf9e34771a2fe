#include "core/rotations.h"

#include <algorithm>
#include <array>

#include "core/random.h"

namespace mascot {
namespace {

using Order = std::vector<uint32_t>;
using Tiles = std::array<Order, kTiles>;  // ranges of each

int64_t octets(int64_t ranges) { return (ranges + kTiles - 1) / kTiles; }

// The tiles of the side that stays, the same in every epoch. Ranges are dealt out forwards and
// backwards in turn: their rows and ratings become more or fewer from one to the next.
Tiles fixed_tiles(int64_t ranges) {
  Tiles tiles;
  for (int64_t range = 0; range < ranges; ++range) {
    const int64_t octet = range / kTiles, place = range % kTiles;
    tiles[octet % 2 == 0 ? place : kTiles - 1 - place].push_back(static_cast<uint32_t>(range));
  }
  return tiles;
}

// The tiles of the side that travels: one of every eight neighbours to each, at random.
Tiles drawn_tiles(int64_t ranges, uint64_t key) {
  Tiles tiles;
  for (int64_t octet = 0; octet < octets(ranges); ++octet) {
    const Permutation places(draw64(key, static_cast<uint64_t>(octet)), kTiles);
    for (uint64_t tile = 0; tile < kTiles; ++tile) {
      const auto range = octet * kTiles + static_cast<int64_t>(places(tile));
      if (range < ranges) tiles[tile].push_back(static_cast<uint32_t>(range));
    }
  }
  return tiles;
}

// The steps of a rotation: in step s tile t meets tile t ^ s. Those of a half of all numbers come
// before the others, and so on within the halves: whichever share of the tiles in a row a worker
// keeps, it meets such a share of the others before it meets another one.
Order drawn_steps(uint64_t key) {
  Order steps = {0};
  for (uint32_t half = kTiles / 2; half > 0; half /= 2) {
    Order finer;
    for (const uint32_t first : steps) {
      const uint32_t swapped = draw32(key, first + half) % 2 * half;
      finer.push_back(first + swapped);
      finer.push_back(first + half - swapped);
    }
    steps = finer;
  }
  return steps;
}

// In which round which places of two tiles meet: as ranges do in draw_list.
class Meeting {
 public:
  Meeting(uint32_t seed, uint32_t epoch, uint64_t number, uint64_t places)
      : stay_(draw64(stream_key(seed, epoch, Stream::kShortSide), number), places),
        travel_(draw64(stream_key(seed, epoch, Stream::kLongSide), number), places),
        rounds_(draw64(stream_key(seed, epoch, Stream::kRounds), number), places),
        places_(places) {}

  // Calls visit for the places, that stay and that travel, of the pairs of a round.
  template <class Visit>
  void round(uint64_t number, const Visit& visit) const {
    const uint64_t shift = rounds_(number);
    for (uint64_t i = 0; i < places_; ++i) visit(stay_(i), travel_((i + shift) % places_));
  }

 private:
  Permutation stay_, travel_, rounds_;
  uint64_t places_;
};

}  // namespace

std::vector<RangePair> draw_rotations(int64_t user_ranges, int64_t item_ranges, int64_t rotations,
                                      bool users_stay, uint32_t seed, uint32_t epoch) {
  if (rotations == 0) return draw_list(user_ranges, item_ranges, seed, epoch);
  const uint64_t key = stream_key(seed, epoch, Stream::kTiles);
  const Tiles stay = fixed_tiles(users_stay ? user_ranges : item_ranges);
  const Tiles travel = drawn_tiles(users_stay ? item_ranges : user_ranges, draw64(key, 0));
  const int64_t rounds = octets(std::max(user_ranges, item_ranges));
  Order steps = drawn_steps(draw64(key, 1));
  std::vector<RangePair> list;
  list.reserve(static_cast<std::size_t>(user_ranges * item_ranges));
  for (int64_t rotation = 0; rotation < rotations; ++rotation) {
    for (const uint32_t step : steps) {
      for (int64_t round = rounds * rotation / rotations;
           round < rounds * (rotation + 1) / rotations; ++round) {
        for (uint32_t tile = 0; tile < kTiles; ++tile) {
          const Order &staying = stay[tile], &travelling = travel[tile ^ step];
          const Meeting meeting(seed, epoch, step * kTiles + tile, static_cast<uint64_t>(rounds));
          meeting.round(static_cast<uint64_t>(round), [&](uint64_t a, uint64_t b) {
            if (a >= staying.size() || b >= travelling.size()) return;
            list.push_back(users_stay ? RangePair{staying[a], travelling[b]}
                                      : RangePair{travelling[b], staying[a]});
          });
        }
      }
    }
    std::reverse(steps.begin(), steps.end());  // the next rotation begins where this one ended
  }
  return list;
}

}  // namespace mascot

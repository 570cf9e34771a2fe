// The order of an epoch on the device: the core's seeded order of blocks, cut into pieces for
// warps; or pieces of some stretches of ratings.
#pragma once

#include <cstdint>

#include "core/random.h"
#include "cuda/hardware.cuh"
#include "cuda/model.h"

namespace mascot::cuda {

// Consecutive ratings that a warp plans at a time.
inline constexpr int kPiece = 64;

struct Piece {
  int64_t begin;   // place of its first rating
  int32_t size;    // up to kPiece; 0: there is no such piece
  uint32_t moved;  // from a rating's place to its number in all of the training
};

// Pieces in the order of visiting, one position at a time and without memory.
class Order {
 public:
  // With stretches: of their pieces, all in random order. The rows of one are few, and all threads
  // would meet there.
  MASCOT_HD Order(int64_t ratings, int64_t block_size, uint64_t key, Stretches stretches = {})
      : ratings_(stretches.at == nullptr ? ratings : kPiece * pieces_of(stretches)),
        block_size_(stretches.at == nullptr ? block_size : kPiece),
        pieces_per_block_((block_size_ + kPiece - 1) / kPiece),
        blocks_((ratings_ + block_size_ - 1) / block_size_),
        order_(key, static_cast<uint64_t>(blocks_)),
        stretches_(stretches) {}

  MASCOT_HD int64_t pieces() const { return blocks_ * pieces_per_block_; }

  MASCOT_HD Piece operator()(int64_t position) const {
    if (position >= pieces()) return {0, 0, 0};
    const auto block =
        static_cast<int64_t>(order_(static_cast<uint64_t>(position / pieces_per_block_)));
    if (stretches_.at != nullptr) return of_stretches(static_cast<uint32_t>(block));
    const int64_t begin = block * block_size_ + position % pieces_per_block_ * kPiece;
    const int64_t block_end = (block + 1) * block_size_;
    return piece(begin, block_end < ratings_ ? block_end : ratings_, 0);
  }

 private:
  static MASCOT_HD int64_t pieces_of(const Stretches& stretches) {
    return stretches.at[stretches.count].pieces_before;
  }
  static MASCOT_HD Piece piece(int64_t begin, int64_t end, uint32_t moved) {
    const int64_t size = end - begin < kPiece ? end - begin : kPiece;
    return {begin, static_cast<int32_t>(size < 0 ? 0 : size), moved};
  }

  // By bisection: the last stretch with no more pieces before it has the piece.
  MASCOT_HD Piece of_stretches(uint32_t number) const {
    uint32_t low = 0, high = static_cast<uint32_t>(stretches_.count);
#pragma unroll 1
    while (high - low > 1) {
      const uint32_t middle = (low + high) / 2;
      (stretches_.at[middle].pieces_before <= number ? low : high) = middle;
    }
    const Stretch& found = stretches_.at[low];
    const int64_t begin = found.begin + int64_t{number - found.pieces_before} * kPiece;
    return piece(begin, found.end, found.moved);
  }

  int64_t ratings_;
  int64_t block_size_;
  int64_t pieces_per_block_;
  int64_t blocks_;
  Permutation order_;
  Stretches stretches_;
};

}  // namespace mascot::cuda

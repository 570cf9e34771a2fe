// The order of an epoch on the device: the core's seeded order of blocks, cut into pieces for
// warps.
#pragma once

#include <cstdint>

#include "core/random.h"
#include "cuda/hardware.cuh"

namespace mascot::cuda {

// Consecutive ratings that a warp plans at a time.
inline constexpr int kPiece = 64;

struct Piece {
  int64_t begin;  // number of its first rating
  int32_t size;   // up to kPiece; 0: there is no such piece
};

// Pieces in the order of visiting, one position at a time and without memory.
class Order {
 public:
  MASCOT_HD Order(int64_t ratings, int64_t block_size, uint64_t key)
      : ratings_(ratings),
        block_size_(block_size),
        pieces_per_block_((block_size + kPiece - 1) / kPiece),
        blocks_((ratings + block_size - 1) / block_size),
        order_(key, static_cast<uint64_t>(blocks_)) {}

  MASCOT_HD int64_t pieces() const { return blocks_ * pieces_per_block_; }

  MASCOT_HD Piece operator()(int64_t position) const {
    if (position >= pieces()) return {0, 0};
    const auto block =
        static_cast<int64_t>(order_(static_cast<uint64_t>(position / pieces_per_block_)));
    const int64_t begin = block * block_size_ + position % pieces_per_block_ * kPiece;
    const int64_t block_end = (block + 1) * block_size_;
    const int64_t end = block_end < ratings_ ? block_end : ratings_;
    const int64_t size = end - begin < kPiece ? end - begin : kPiece;
    return {begin, static_cast<int32_t>(size < 0 ? 0 : size)};
  }

 private:
  int64_t ratings_;
  int64_t block_size_;
  int64_t pieces_per_block_;
  int64_t blocks_;
  Permutation order_;
};

}  // namespace mascot::cuda

// Finding a row's group on the device.
#pragma once

#include <cstdint>

#include "cuda/hardware.cuh"
#include "cuda/model.h"

namespace mascot::cuda {

// Cells that the rows of a side are divided into: 4 KiB, and seldom a group's start within one.
inline constexpr int kCells = 2048;
// Group tables up to this size are copied to shared memory; longer ones stay in global memory.
inline constexpr int64_t kMostSharedGroups = 1024;

// Bytes of shared memory for one side's table, a multiple of 16.
MASCOT_HD inline int64_t shared_bytes(const Side& side, Lookup lookup) {
  const int64_t cells = lookup == Lookup::kDirect ? kCells * int64_t{2} : 0;
  const bool shared = lookup != Lookup::kPerRow && side.groups <= kMostSharedGroups;
  const int64_t table = shared ? (side.groups + 1) * 4 + side.groups : 0;
  return (cells + table + 15) / 16 * 16;
}

// One side's groups, as a thread block sees them; some may have no rows.
class GroupTable {
 public:
  // All threads of a block make it together. shared holds shared_bytes(side, lookup); null leaves
  // the table where it is, which kDirect cannot do with.
  __device__ GroupTable(const Side& side, Lookup lookup, char* shared)
      : starts_(side.starts),
        codes_(side.codes),
        metadata_(side.metadata),
        groups_(static_cast<uint32_t>(side.groups)),
        lookup_(lookup) {
    const uint32_t me = threadIdx.x, threads = blockDim.x;
    int different = 0;
    code_ = codes_[search(0)];
    for (uint32_t g = me; g < groups_; g += threads) {
      different |= codes_[g] != code_ && starts_[g] != starts_[g + 1];
    }
    uniform_ = __syncthreads_or(different) == 0;
    if (lookup == Lookup::kPerRow) return;
    while ((side.rows - 1) >> shift_ >= kCells) ++shift_;
    auto* cells = reinterpret_cast<uint16_t*>(shared);
    if (lookup == Lookup::kDirect) {
      shared += kCells * 2;
      for (uint32_t cell = me; cell <= (side.rows - 1) >> shift_; cell += threads) {
        cells[cell] = static_cast<uint16_t>(search(cell << shift_));
      }
      cells_ = cells;
    }
    if (shared != nullptr && side.groups <= kMostSharedGroups) {
      auto* starts = reinterpret_cast<uint32_t*>(shared);
      auto* codes = reinterpret_cast<uint8_t*>(starts + groups_ + 1);
      for (uint32_t g = me; g <= groups_; g += threads) starts[g] = side.starts[g];
      for (uint32_t g = me; g < groups_; g += threads) codes[g] = side.codes[g];
      starts_ = starts;
      codes_ = codes;
    }
    __syncthreads();
  }

  __device__ uint32_t find(uint32_t row) const {
    switch (lookup_) {
      case Lookup::kDirect: {
        uint32_t group = cells_[row >> shift_];
        while (row >= starts_[group + 1]) ++group;
        return group;
      }
      case Lookup::kSearch:
        return search(row);
      default:
        return metadata_[row] >> kCodeBits;
    }
  }

  __device__ Storage storage(uint32_t row) const {
    if (uniform_) return static_cast<Storage>(code_);
    if (lookup_ == Lookup::kPerRow)
      return static_cast<Storage>(metadata_[row] & ((1u << kCodeBits) - 1));
    return static_cast<Storage>(codes_[find(row)]);
  }

  // Whether a row of first .. last - 1 may be in this storage.
  __device__ bool may_have(Storage storage, uint32_t first, uint32_t last) const {
    const uint32_t end = find(last - 1);
    for (uint32_t group = find(first); group <= end; ++group) {
      if (static_cast<Storage>(codes_[group]) == storage) return true;
    }
    return false;
  }

 private:
  // In steps that double, from the most-rated group on, then by bisection: few steps for the rows
  // that are met most.
  __device__ uint32_t search(uint32_t row) const {
    uint32_t low = 0, step = 1;
    while (low + step < groups_ && row >= starts_[low + step]) {
      low += step;
      step *= 2;
    }
    uint32_t high = min(low + step, groups_);  // starts[low] <= row < starts[high]
    while (high - low > 1) {
      const uint32_t middle = (low + high) / 2;
      (row >= starts_[middle] ? low : high) = middle;
    }
    return low;
  }

  const uint32_t* starts_;
  const uint8_t* codes_;
  const uint32_t* metadata_;
  const uint16_t* cells_ = nullptr;
  uint32_t groups_;
  int shift_ = 0;
  Lookup lookup_;
  bool uniform_;  // all rows are in one storage:
  uint8_t code_;
};

}  // namespace mascot::cuda

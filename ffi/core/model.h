// What an epoch works on: ratings, and for each side its factor tables and groups.
// Plain views; nothing is owned.
#pragma once

#include <array>
#include <cstdint>

#include "core/groups.h"

namespace mascot {

// Components handled at a time; every stride is a multiple of it.
inline constexpr int64_t kLanes = 16;

// Chunks of kLanes components in a row of k factors;
// the padding of the last one is zero and stays zero.
inline int64_t chunk_count(int64_t factors) { return (factors + kLanes - 1) / kLanes; }

// What a store does with the bits that do not fit.
enum class Rounding : uint8_t { kNearest = 0, kStochastic = 1 };

// Rows of one storage: element (row, component) lies at row * stride + component.
// Rows begin at 64-byte boundaries.
struct Table {
  void* data = nullptr;  // null where no group is in this storage
  int64_t stride = 0;    // in elements
};

struct Side {
  std::array<Table, kStorages> tables;
  Groups groups;
};

struct Ratings {
  const uint32_t* user;
  const uint32_t* item;
  const float* rating;
  int64_t count;
};

}  // namespace mascot

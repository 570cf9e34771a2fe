// What an epoch works on: ratings, and for each side its factor tables and groups.
// Plain views; nothing is owned.
#pragma once

#include <array>
#include <cstddef>
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

// What an update is computed in. All but kFloat32 are other people's methods, for comparison: see
// kernel_quantised.h.
enum class Arithmetic : uint8_t {
  kFloat32,  // rows in any storage
  kFloat16,  // rows in float16: the paper's FP16 baseline
  kMixed,    // rows in float32: MPT
  kFixed,    // rows in float32: MuPPET and AFP
};

// From this word length on, in bits, fixed point would round nothing that float32 holds.
inline constexpr float kFullWord = 24;

// Bytes of an element.
constexpr int64_t width_of(Storage storage) {
  return storage == Storage::kFloat32 ? 4 : storage == Storage::kFloat16 ? 2 : 1;
}

// Rows of one storage: element (row, component) lies at row * stride + component.
// Rows begin at 64-byte boundaries. Behind a row's last chunk, int8 has its float32 scales: one for
// every scale_chunks chunks, and for the rest.
struct Table {
  void* data = nullptr;  // null where no group is in this storage
  int64_t stride = 0;    // in elements
  int64_t scale_chunks = 0;
};

// A scale is rounded to 17 bits of 24: a component's multiple of it, up to 127, is then exact.
inline constexpr uint32_t kScaleRounding = 0x40;
inline constexpr uint32_t kScaleMask = ~uint32_t{0x7f};
// Below this largest magnitude a block is stored as zeros: 1 / scale might overflow.
inline constexpr float kSmallestBlock = 0x1p-100f;

// Scales in a row of so many chunks.
inline int64_t scale_count(int64_t chunks, int64_t scale_chunks) {
  return (chunks + scale_chunks - 1) / scale_chunks;
}

struct Side {
  std::array<Table, kStorages> tables;
  Groups groups;

  const Table& table(Storage storage) const { return tables[static_cast<std::size_t>(storage)]; }
  void* row(Storage storage, uint32_t number) const {
    const Table& rows = table(storage);
    return static_cast<char*>(rows.data) +
           static_cast<int64_t>(number) * rows.stride * width_of(storage);
  }
};

struct Ratings {
  const uint32_t* user;
  const uint32_t* item;
  const float* rating;
  int64_t count;
};

}  // namespace mascot

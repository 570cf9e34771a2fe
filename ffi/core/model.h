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

// What an update is computed in. All but kFloat32 are other people's methods, for comparison:
// update/arithmetic.h.
enum class Arithmetic : uint8_t {
  kFloat32,  // rows in any storage
  kFloat16,  // rows in float16: the paper's FP16 baseline
  kMixed,    // rows in float32: MPT
  kFixed,    // rows in float32: MuPPET and AFP
};

// The storage that all rows must be in, for another arithmetic than kFloat32.
constexpr Storage storage_for(Arithmetic arithmetic) {
  return arithmetic == Arithmetic::kFloat16 ? kCode<Float16> : kCode<Float32>;
}

// From this word length on, in bits, fixed point would round nothing that float32 holds.
inline constexpr float kFullWord = 24;

// Rows of one storage: element (row, component) lies at row * stride + component.
// Rows begin at 64-byte boundaries. Behind a row's last chunk, a scaled storage has its float32
// scales: one for every scale_chunks chunks, and for the rest.
struct Table {
  void* data = nullptr;  // null where no group is in this storage
  int64_t stride = 0;    // in elements
  int64_t scale_chunks = 0;
};

// Scales in a row of so many chunks.
inline int64_t scale_count(int64_t chunks, int64_t scale_chunks) {
  return (chunks + scale_chunks - 1) / scale_chunks;
}

// Bytes of a row that are in use.
inline int64_t row_bytes(Storage storage, int64_t chunks, int64_t scale_chunks) {
  const int64_t components = chunks * kLanes * traits(storage).bytes;
  if (!traits(storage).scaled) return components;
  return components + scale_count(chunks, scale_chunks) * static_cast<int64_t>(sizeof(float));
}

struct Side {
  std::array<Table, kStorages> tables;
  Groups groups;

  const Table& table(Storage storage) const { return tables[static_cast<std::size_t>(storage)]; }
  void* row(Storage storage, uint32_t number) const {
    const Table& rows = table(storage);
    return static_cast<char*>(rows.data) +
           static_cast<int64_t>(number) * rows.stride * traits(storage).bytes;
  }
};

// One epoch's constants: eta, lambda_P, lambda_Q.
struct Rates {
  float learning_rate;
  float user_reg;
  float item_reg;
};

// Magnitudes below which a component of a user's or an item's row ends an update; 0 ends none.
struct Thresholds {
  float user = 0;
  float item = 0;
};

struct Sampling {
  uint64_t key;
  uint64_t threshold;  // of 2^32: a rating is sampled if its draw is below; 0 samples none
};

struct Ratings {
  const uint32_t* user;
  const uint32_t* item;
  const float* rating;
  int64_t count;
};

}  // namespace mascot

// Tables of embeddings: rows of a click model's fields, looked up and updated in batches.
//
// All fields' rows are numbered together. The first ones, those visited often, are the wide tier,
// the others the narrow one; a tier has one storage. A row belongs to one field.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "core/host_device.h"
#include "core/model.h"
#include "core/random.h"
#include "core/storages/int4.h"

namespace mascot {

enum class RowStorage : uint8_t { kFloat32, kFloat16, kInt8, kInt4, kInt4Table };

struct RowTraits {
  const char* name;
  int64_t bits;   // of a component
  int64_t bytes;  // of a row's scale
};
inline constexpr std::array<RowTraits, 5> kRowTraits = {{{"float32", 32, 0},
                                                         {"float16", 16, 0},
                                                         {"int8-row", 8, 4},
                                                         {"int4-row", 4, Int4::kScaleBytes},
                                                         {"int4-table", 4, 0}}};
constexpr const RowTraits& traits(RowStorage storage) {
  return kRowTraits[static_cast<std::size_t>(storage)];
}
constexpr int64_t row_bytes(RowStorage storage, int64_t dimension) {
  return dimension * traits(storage).bits / 8 + traits(storage).bytes;
}

inline constexpr int64_t kMostComponents = 1024;

struct Tier {
  uint8_t* rows;  // [count, row_bytes]
  int64_t count;
  RowStorage storage;
};

struct Embedding {
  Tier wide, narrow;
  int64_t dimension;    // a multiple of kLanes
  const float* scales;  // [fields]: of kInt4Table, and of levels
  // Rows in FP32 are rounded to levels * scale at most when they are looked up, one level less
  // below; 0: they are used as they are.
  float levels;

  MASCOT_HD int64_t rows() const { return wide.count + narrow.count; }
};

// The keys of the draws that rows are rounded by: in training, of a seed and the number of the
// step; at the start.
MASCOT_HD inline uint64_t rows_key(const uint32_t* counters) {
  return stream_key(counters[0], counters[1], Stream::kRows);
}
MASCOT_HD inline uint64_t first_rows_key(const uint32_t* counters) {
  return stream_key(counters[0], 0, Stream::kFirstRows);
}

struct Lookups {
  const uint32_t* rows;  // [batch, fields], each below Embedding::rows()
  int64_t batch;
  int64_t fields;
};

// The rows of one field in a batch, each once, with the places where they occur.
class UniqueRows {
 public:
  explicit UniqueRows(int64_t batch);
  void find(const Lookups& lookups, int64_t field);
  int64_t size() const { return size_; }
  uint32_t row(int64_t i) const { return unique_[static_cast<std::size_t>(i)].row; }
  int32_t first(int64_t i) const { return unique_[static_cast<std::size_t>(i)].first; }
  // The next place of the row at this one; -1: there is none.
  int32_t next(int32_t place) const { return next_[static_cast<std::size_t>(place)]; }

 private:
  struct Unique {
    uint32_t row;
    int32_t first, last;  // places
  };
  struct Slot {
    uint32_t row;
    int32_t index;  // of unique_; -1: an empty slot
  };
  std::vector<Slot> slots_;  // a hash table
  std::vector<Unique> unique_;
  int64_t size_ = 0;
  std::vector<int32_t> next_;  // by place
};

struct EmbeddingKernel {
  const char* name;
  // Entries begin .. end - 1 of rows [batch * fields] as FP32, [batch, fields, dimension].
  void (*lookup)(const Embedding&, const Lookups&, int64_t begin, int64_t end, float* values);
  // w <- w - rate * (sum of the row's gradients, in the batch's order), by one fused multiply-add,
  // for each row of a field, rounded once, stochastically, by draws of (key, row).
  // gradients: [batch, fields, dimension].
  void (*update)(const Embedding&, const Lookups&, const UniqueRows&, int64_t field,
                 const float* gradients, float rate, uint64_t key);
  // For each row of a field, the sum of its gradients at the first place where it occurs, and 0 at
  // the others. sums: [batch, fields, dimension].
  void (*coalesce)(const Lookups&, const UniqueRows&, int64_t field, int64_t dimension,
                   const float* gradients, float* sums);
  // Rows first .. first + count - 1 of a tier from FP32 values [count, dimension], rounded alike.
  void (*store)(const Tier&, int64_t dimension, int64_t first, int64_t count, const float* values,
                uint64_t key);
};

// By the name of an instruction set, as find_kernel; null: not known, or not supported here.
const EmbeddingKernel* find_embedding_kernel(std::string_view name);

void run_lookup(const EmbeddingKernel&, const Embedding&, const Lookups&, int threads,
                float* values);
void run_update(const EmbeddingKernel&, const Embedding&, const Lookups&, int threads,
                const float* gradients, float rate, uint64_t key);
void run_coalesce(const EmbeddingKernel&, const Lookups&, int64_t dimension, int threads,
                  const float* gradients, float* sums);

extern const EmbeddingKernel kPortableEmbedding;
#if defined(__x86_64__)
extern const EmbeddingKernel kAvx2Embedding;
extern const EmbeddingKernel kAvx512Embedding;
#elif defined(__aarch64__)
extern const EmbeddingKernel kNeonEmbedding;
#endif

}  // namespace mascot

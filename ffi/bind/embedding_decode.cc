#include "bind/embedding_decode.h"

#include <limits>
#include <string>

namespace mascot::bind {
namespace {

RowStorage decode_row_storage(std::string_view name) {
  return decode_choice<RowStorage>(name, "storage",
                                   {{kRowTraits[0].name, RowStorage::kFloat32},
                                    {kRowTraits[1].name, RowStorage::kFloat16},
                                    {kRowTraits[2].name, RowStorage::kInt8},
                                    {kRowTraits[3].name, RowStorage::kInt4},
                                    {kRowTraits[4].name, RowStorage::kInt4Table}});
}

struct Elements {
  ffi::DataType type;
  int64_t bytes;
};
Elements elements_of(RowStorage storage) {
  switch (storage) {
    case RowStorage::kFloat32:
      return {ffi::F32, 4};
    case RowStorage::kFloat16:
      return {ffi::F16, 2};
    case RowStorage::kInt8:
      return {ffi::S8, 1};
    default:
      return {ffi::U8, 1};
  }
}

// Checked to have rows of as many bytes as the dimension takes.
Tier decode_tier(const Stored& tier, int64_t dimension) {
  const RowStorage storage = decode_row_storage(tier.storage);
  const std::string name = traits(storage).name;
  const auto [type, bytes] = elements_of(storage);
  require(tier.rows.element_type() == type, "a table in " + name + " has another element type");
  const auto size = tier.rows.dimensions();
  require(size.size() == 2, "a table must be [rows, elements]");
  const int64_t elements = row_bytes(storage, dimension) / bytes;
  require(size[1] == elements, "rows in " + name + " of dimension " + std::to_string(dimension) +
                                   " have " + std::to_string(elements) + " elements, not " +
                                   std::to_string(size[1]));
  return {static_cast<uint8_t*>(tier.rows.untyped_data()), size[0], storage};
}

void require_written(std::string_view storage) {
  require(storage != traits(RowStorage::kInt4Table).name, "int4-table is only looked up");
}

Embedding decode_embedding(const Stored& wide, const Stored& narrow, int64_t dimension) {
  checked_dimension(dimension);
  const Embedding embedding = {decode_tier(wide, dimension), decode_tier(narrow, dimension),
                               dimension, nullptr, 0};
  require(embedding.rows() <= int64_t{1} << 32, "tables have at most 2^32 rows together");
  return embedding;
}

}  // namespace

int64_t checked_dimension(int64_t dimension) {
  require(dimension > 0 && dimension <= kMostComponents && dimension % kLanes == 0,
          "the dimension of tables must be a multiple of " + std::to_string(kLanes) + " up to " +
              std::to_string(kMostComponents) + ", not " + std::to_string(dimension));
  return dimension;
}

Embedding decode_scaled(const Stored& wide, const Stored& narrow, int64_t dimension,
                        const Vector& scales, int64_t levels, int64_t fields) {
  Embedding embedding = decode_embedding(wide, narrow, dimension);
  require(static_cast<int64_t>(scales.element_count()) == fields,
          "there must be a scale for each field");
  require(levels >= 0 && levels <= 127, "levels must lie between 0 and 127");
  embedding.scales = scales.typed_data();
  embedding.levels = static_cast<float>(levels);
  return embedding;
}

Embedding decode_written(const Stored& wide, const Stored& narrow, int64_t dimension) {
  require_written(wide.storage);
  require_written(narrow.storage);
  return decode_embedding(wide, narrow, dimension);
}

Tier decode_written(const Stored& tier, int64_t dimension) {
  require_written(tier.storage);
  return decode_tier(tier, checked_dimension(dimension));
}

Lookups decode_batch(const LookedUp& rows) {
  const Lookups lookups = {rows.typed_data(), rows.dimensions()[0], rows.dimensions()[1]};
  require(lookups.batch < std::numeric_limits<int32_t>::max(),
          "a batch has fewer than 2^31 impressions");
  return lookups;
}

void require_values(const Values& values, int64_t batch, int64_t fields, int64_t dimension) {
  const auto size = values.dimensions();
  require(size[0] == batch && size[1] == fields && size[2] == dimension,
          "values and gradients must be [batch, fields, dimension]");
}

void require_counters(const Counters& counters) {
  require(counters.element_count() == 2, "there must be two counters");
}

}  // namespace mascot::bind

#include "bind/embedding_decode.h"

#include <limits>
#include <string>

namespace mascot::bind {
namespace {

Narrow decode_narrow(std::string_view name) {
  return decode_choice<Narrow>(name, "storage",
                               {{kNarrow[0].name, Narrow::kFloat16},
                                {kNarrow[1].name, Narrow::kInt8},
                                {kNarrow[2].name, Narrow::kInt4},
                                {kNarrow[3].name, Narrow::kInt4Table}});
}

ffi::DataType element_type(Narrow storage) {
  if (storage == Narrow::kFloat16) return ffi::F16;
  return storage == Narrow::kInt8 ? ffi::S8 : ffi::U8;
}

// The narrow rows' table, checked to have rows of that many bytes.
void check_narrow(const ffi::AnyBuffer& table, Narrow storage, int64_t dimension) {
  const std::string name = traits(storage).name;
  require(table.element_type() == element_type(storage),
          "a table in " + name + " has another element type");
  require(table.dimensions().size() == 2, "a table must be [rows, elements]");
  const int64_t elements = row_bytes(storage, dimension) / (storage == Narrow::kFloat16 ? 2 : 1);
  require(table.dimensions()[1] == elements,
          "rows in " + name + " of dimension " + std::to_string(dimension) + " have " +
              std::to_string(elements) + " elements, not " + std::to_string(table.dimensions()[1]));
}

void require_written(Narrow storage) {
  require(storage != Narrow::kInt4Table, "int4-table is only looked up");
}

}  // namespace

int64_t checked_dimension(int64_t dimension) {
  require(dimension > 0 && dimension <= kMostComponents && dimension % kLanes == 0,
          "the dimension of tables must be a multiple of " + std::to_string(kLanes) + " up to " +
              std::to_string(kMostComponents) + ", not " + std::to_string(dimension));
  return dimension;
}

Embedding decode_embedding(const Matrix& wide, const ffi::AnyBuffer& narrow,
                           std::string_view storage) {
  const int64_t dimension = checked_dimension(wide.dimensions()[1]);
  const Narrow decoded = decode_narrow(storage);
  check_narrow(narrow, decoded, dimension);
  const int64_t rows = wide.dimensions()[0] + narrow.dimensions()[0];
  require(rows <= int64_t{1} << 32, "tables have at most 2^32 rows together");
  return {wide.typed_data(),
          wide.dimensions()[0],
          static_cast<uint8_t*>(narrow.untyped_data()),
          decoded,
          narrow.dimensions()[0],
          dimension,
          nullptr,
          0};
}

Embedding decode_scaled(const Matrix& wide, const ffi::AnyBuffer& narrow, std::string_view storage,
                        const Vector& scales, int64_t levels, int64_t fields) {
  Embedding embedding = decode_embedding(wide, narrow, storage);
  require(static_cast<int64_t>(scales.element_count()) == fields,
          "there must be a scale for each field");
  require(levels >= 0 && levels <= 127, "levels must lie between 0 and 127");
  embedding.scales = scales.typed_data();
  embedding.levels = static_cast<float>(levels);
  return embedding;
}

Embedding decode_written(const Matrix& wide, const ffi::AnyBuffer& narrow,
                         std::string_view storage) {
  const Embedding embedding = decode_embedding(wide, narrow, storage);
  require_written(embedding.storage);
  return embedding;
}

Embedding decode_stored(const Matrix& values, const ffi::AnyBuffer& narrow,
                        std::string_view storage) {
  const int64_t dimension = checked_dimension(values.dimensions()[1]);
  const Narrow decoded = decode_narrow(storage);
  require_written(decoded);
  check_narrow(narrow, decoded, dimension);
  return {nullptr,
          0,
          static_cast<uint8_t*>(narrow.untyped_data()),
          decoded,
          narrow.dimensions()[0],
          dimension,
          nullptr,
          0};
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

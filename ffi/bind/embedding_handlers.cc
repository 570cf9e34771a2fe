// XLA FFI handlers of embedding tables on the CPU. Rows are checked, too.
#include <algorithm>
#include <limits>

#include "bind/cpu_handlers.h"
#include "bind/decode.h"
#include "bind/signatures.h"
#include "core/embedding/kernel.h"

namespace mascot::bind {
namespace {

using Rows = ffi::BufferR2<ffi::U32>;
using Matrix = ffi::BufferR2<ffi::F32>;
using Vector = ffi::BufferR1<ffi::F32>;
using Counters = ffi::BufferR1<ffi::U32>;
using Values = ffi::BufferR3<ffi::F32>;

const EmbeddingKernel& decode_kernel(const ExecutionAttribute& execution) {
  const EmbeddingKernel* kernel = find_embedding_kernel(execution.instruction_set);
  require(kernel != nullptr, "instruction set '" + std::string(execution.instruction_set) +
                                 "' is unknown or not supported here");
  require(execution.threads > 0, "threads must be at least 1");
  return *kernel;
}

Narrow decode_narrow(std::string_view name) {
  return decode_choice<Narrow>(name, "storage",
                               {{kNarrow[0].name, Narrow::kFloat16},
                                {kNarrow[1].name, Narrow::kInt8},
                                {kNarrow[2].name, Narrow::kInt4},
                                {kNarrow[3].name, Narrow::kInt4Table}});
}

int64_t checked_dimension(int64_t dimension) {
  require(dimension > 0 && dimension <= kMostComponents && dimension % kLanes == 0,
          "the dimension of tables must be a multiple of " + std::to_string(kLanes) + " up to " +
              std::to_string(kMostComponents) + ", not " + std::to_string(dimension));
  return dimension;
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

Lookups decode_batch(const Rows& rows) {
  const Lookups lookups = {rows.typed_data(), rows.dimensions()[0], rows.dimensions()[1]};
  require(lookups.batch < std::numeric_limits<int32_t>::max(),
          "a batch has fewer than 2^31 impressions");
  return lookups;
}

Lookups decode_lookups(const Rows& rows, const Embedding& embedding) {
  const Lookups lookups = decode_batch(rows);
  const auto count = static_cast<int64_t>(rows.element_count());
  if (count == 0) return lookups;
  uint32_t largest = 0;  // not by max_element, which takes longer than the lookups
  for (int64_t i = 0; i < count; ++i) largest = std::max(largest, lookups.rows[i]);
  const int64_t most = largest;
  require(most < embedding.wide_rows + embedding.narrow_rows,
          "row " + std::to_string(most) + " is beyond the tables, which have " +
              std::to_string(embedding.wide_rows + embedding.narrow_rows));
  return lookups;
}

void require_values(const Values& values, const Lookups& lookups, int64_t dimension) {
  const auto size = values.dimensions();
  require(size[0] == lookups.batch && size[1] == lookups.fields && size[2] == dimension,
          "values and gradients must be [batch, fields, dimension]");
}

uint64_t decode_key(const Counters& counters, Stream stream) {
  require(counters.element_count() == 2, "there must be two counters");
  const uint32_t* counter = counters.typed_data();
  return stream_key(counter[0], stream == Stream::kRows ? counter[1] : 0, stream);
}

ffi::Error lookup(Rows rows, Vector scales, Matrix wide, ffi::AnyBuffer narrow,
                  ffi::Result<Values> values, std::string_view storage, int64_t levels,
                  ExecutionAttribute execution) {
  return guarded([&] {
    Embedding embedding = decode_embedding(wide, narrow, storage);
    const Lookups lookups = decode_lookups(rows, embedding);
    require(static_cast<int64_t>(scales.element_count()) == lookups.fields,
            "there must be a scale for each field");
    require(levels >= 0 && levels <= 127, "levels must lie between 0 and 127");
    embedding.scales = scales.typed_data();
    embedding.levels = static_cast<float>(levels);
    require_values(*values, lookups, embedding.dimension);
    run_lookup(decode_kernel(execution), embedding, lookups, execution.threads,
               values->typed_data());
  });
}

ffi::Error update(Rows rows, Values gradients, ffi::BufferR0<ffi::F32> rate, Counters counters,
                  Matrix, ffi::AnyBuffer, ffi::Result<Matrix> wide,
                  ffi::Result<ffi::AnyBuffer> narrow, std::string_view storage,
                  ExecutionAttribute execution) {
  return guarded([&] {
    const Embedding embedding = decode_embedding(*wide, *narrow, storage);
    require(embedding.storage != Narrow::kInt4Table, "int4-table is only looked up");
    const Lookups lookups = decode_lookups(rows, embedding);
    require_values(gradients, lookups, embedding.dimension);
    run_update(decode_kernel(execution), embedding, lookups, execution.threads,
               gradients.typed_data(), *rate.typed_data(), decode_key(counters, Stream::kRows));
  });
}

ffi::Error coalesce(Rows rows, Values gradients, ffi::Result<Values> sums,
                    ExecutionAttribute execution) {
  return guarded([&] {
    const Lookups lookups = decode_batch(rows);
    const int64_t dimension = checked_dimension(gradients.dimensions()[2]);
    require_values(gradients, lookups, dimension);
    require_values(*sums, lookups, dimension);
    run_coalesce(decode_kernel(execution), lookups, dimension, execution.threads,
                 gradients.typed_data(), sums->typed_data());
  });
}

ffi::Error store(Matrix values, Counters counters, ffi::AnyBuffer,
                 ffi::Result<ffi::AnyBuffer> narrow, std::string_view storage,
                 ExecutionAttribute execution) {
  return guarded([&] {
    const int64_t dimension = checked_dimension(values.dimensions()[1]);
    const Narrow decoded = decode_narrow(storage);
    require(decoded != Narrow::kInt4Table, "int4-table is only looked up");
    check_narrow(*narrow, decoded, dimension);
    const uint64_t key = decode_key(counters, Stream::kFirstRows);
    const int64_t first = counters.typed_data()[1], count = values.dimensions()[0];
    const int64_t rows = narrow->dimensions()[0];
    require(first + count <= rows, "rows " + std::to_string(first) + " to " +
                                       std::to_string(first + count) +
                                       " are beyond the table, which has " + std::to_string(rows));
    const Embedding embedding = {nullptr, 0,    static_cast<uint8_t*>(narrow->untyped_data()),
                                 decoded, rows, dimension,
                                 nullptr, 0};
    decode_kernel(execution).store(embedding, first, count, values.typed_data(), key);
  });
}

XLA_FFI_DEFINE_HANDLER(kLookup, lookup, embedding_lookup_signature());
XLA_FFI_DEFINE_HANDLER(kUpdate, update, embedding_update_signature());
XLA_FFI_DEFINE_HANDLER(kCoalesce, coalesce, embedding_coalesce_signature());
XLA_FFI_DEFINE_HANDLER(kStore, store, embedding_store_signature());

}  // namespace

const std::vector<Target>& embedding_targets() {
  static const std::vector<Target> all = {
      {"mascot_embedding_lookup", kLookup},
      {"mascot_embedding_update", kUpdate},
      {"mascot_embedding_coalesce", kCoalesce},
      {"mascot_embedding_store", kStore},
  };
  return all;
}

}  // namespace mascot::bind

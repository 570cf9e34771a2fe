// XLA FFI handlers of embedding tables on the CPU. Rows are checked, too.
#include <algorithm>

#include "bind/cpu_decode.h"
#include "bind/cpu_handlers.h"
#include "bind/embedding_decode.h"
#include "bind/signatures.h"
#include "core/embedding/kernel.h"

namespace mascot::bind {
namespace {

const EmbeddingKernel& decode_embedding_kernel(const ExecutionAttribute& execution) {
  decode_threads(execution);
  const std::string name = decode_kernel(execution).name;
  const EmbeddingKernel* kernel = find_embedding_kernel(name);
  require(kernel != nullptr, name + " has no kernels of embedding tables");
  return *kernel;
}

Lookups decode_lookups(const LookedUp& rows, const Embedding& embedding) {
  const Lookups lookups = decode_batch(rows);
  const auto count = static_cast<int64_t>(rows.element_count());
  if (count == 0) return lookups;
  uint32_t largest = 0;  // not by max_element, which takes longer than the lookups
  for (int64_t i = 0; i < count; ++i) largest = std::max(largest, lookups.rows[i]);
  const int64_t most = largest;
  require(most < embedding.rows(), "row " + std::to_string(most) +
                                       " is beyond the tables, which have " +
                                       std::to_string(embedding.rows()));
  return lookups;
}

ffi::Error lookup(LookedUp rows, Vector scales, ffi::AnyBuffer wide, ffi::AnyBuffer narrow,
                  ffi::Result<Values> values, std::string_view wide_storage,
                  std::string_view narrow_storage, int64_t levels, ExecutionAttribute execution) {
  return guarded([&] {
    const Embedding embedding =
        decode_scaled({wide, wide_storage}, {narrow, narrow_storage}, values->dimensions()[2],
                      scales, levels, rows.dimensions()[1]);
    const Lookups lookups = decode_lookups(rows, embedding);
    require_values(*values, lookups.batch, lookups.fields, embedding.dimension);
    run_lookup(decode_embedding_kernel(execution), embedding, lookups, execution.threads,
               values->typed_data());
  });
}

ffi::Error update(LookedUp rows, Values gradients, ffi::BufferR0<ffi::F32> rate, Counters counters,
                  ffi::AnyBuffer, ffi::AnyBuffer, ffi::Result<ffi::AnyBuffer> wide,
                  ffi::Result<ffi::AnyBuffer> narrow, std::string_view wide_storage,
                  std::string_view narrow_storage, ExecutionAttribute execution) {
  return guarded([&] {
    const Embedding embedding =
        decode_written({*wide, wide_storage}, {*narrow, narrow_storage}, gradients.dimensions()[2]);
    const Lookups lookups = decode_lookups(rows, embedding);
    require_values(gradients, lookups.batch, lookups.fields, embedding.dimension);
    require_counters(counters);
    run_update(decode_embedding_kernel(execution), embedding, lookups, execution.threads,
               gradients.typed_data(), *rate.typed_data(), rows_key(counters.typed_data()));
  });
}

ffi::Error coalesce(LookedUp rows, Values gradients, ffi::Result<Values> sums,
                    ExecutionAttribute execution) {
  return guarded([&] {
    const Lookups lookups = decode_batch(rows);
    const int64_t dimension = checked_dimension(gradients.dimensions()[2]);
    for (const Values& values : {gradients, *sums}) {
      require_values(values, lookups.batch, lookups.fields, dimension);
    }
    run_coalesce(decode_embedding_kernel(execution), lookups, dimension, execution.threads,
                 gradients.typed_data(), sums->typed_data());
  });
}

ffi::Error store(Matrix values, Counters counters, ffi::AnyBuffer,
                 ffi::Result<ffi::AnyBuffer> table, std::string_view storage,
                 ExecutionAttribute execution) {
  return guarded([&] {
    const int64_t dimension = values.dimensions()[1];
    const Tier tier = decode_written({*table, storage}, dimension);
    require_counters(counters);
    const int64_t first = counters.typed_data()[1], count = values.dimensions()[0];
    require(first + count <= tier.count,
            "rows " + std::to_string(first) + " to " + std::to_string(first + count) +
                " are beyond the table, which has " + std::to_string(tier.count));
    decode_embedding_kernel(execution).store(tier, dimension, first, count, values.typed_data(),
                                             first_rows_key(counters.typed_data()));
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

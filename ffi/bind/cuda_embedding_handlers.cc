// XLA FFI handlers of click models' tables on the GPU. What rows and counters hold is on the
// device: mascot_jax checks ids where it numbers rows, and the kernels leave out what is beyond the
// tables.
#include "bind/cuda_handlers.h"
#include "bind/embedding_decode.h"
#include "bind/on_device.h"
#include "bind/signatures.h"
#include "cuda/launch_embedding.h"

namespace mascot::bind {
namespace {

// Lanes access so many bytes at once: what XLA hands over is aligned to more.
void require_aligned(std::initializer_list<const void*> buffers) {
  constexpr std::uintptr_t kBytes = 16;
  for (const void* buffer : buffers) {
    require(reinterpret_cast<std::uintptr_t>(buffer) % kBytes == 0,
            "tables, values and gradients must begin at a multiple of 16 bytes");
  }
}

cuda::SortedLookups decode_sorted(const Counters& rows, const Counters& places,
                                  const Values& gradients) {
  const auto count = static_cast<int64_t>(rows.element_count());
  const auto size = gradients.dimensions();
  require(static_cast<int64_t>(places.element_count()) == count && size[0] * size[1] == count,
          "there must be a row and a place for each gradient");
  return {rows.typed_data(), places.typed_data(), count};
}

ffi::Error lookup(LookedUp rows, Vector scales, ffi::AnyBuffer wide, ffi::AnyBuffer narrow,
                  ffi::Result<Values> values, std::string_view wide_storage,
                  std::string_view narrow_storage, int64_t levels, ExecutionAttribute,
                  ffi::Context context) {
  return guarded_on_device(context, [&](const auto& get_stream) {
    const Embedding embedding =
        decode_scaled({wide, wide_storage}, {narrow, narrow_storage}, values->dimensions()[2],
                      scales, levels, rows.dimensions()[1]);
    const Lookups lookups = decode_batch(rows);
    require_values(*values, lookups.batch, lookups.fields, embedding.dimension);
    require_aligned({embedding.wide.rows, embedding.narrow.rows, values->untyped_data()});
    check(cuda::look_up_rows(embedding, lookups, values->typed_data(), get_stream()));
  });
}

ffi::Error update(Counters rows, Counters places, Values gradients, ffi::BufferR0<ffi::F32> rate,
                  Counters counters, ffi::AnyBuffer, ffi::AnyBuffer,
                  ffi::Result<ffi::AnyBuffer> wide, ffi::Result<ffi::AnyBuffer> narrow,
                  std::string_view wide_storage, std::string_view narrow_storage,
                  ExecutionAttribute, ffi::Context context) {
  return guarded_on_device(context, [&](const auto& get_stream) {
    const Embedding embedding =
        decode_written({*wide, wide_storage}, {*narrow, narrow_storage}, gradients.dimensions()[2]);
    const cuda::SortedLookups sorted = decode_sorted(rows, places, gradients);
    require_counters(counters);
    require_aligned({embedding.wide.rows, embedding.narrow.rows, gradients.untyped_data()});
    check(cuda::update_rows(embedding, sorted, gradients.typed_data(), rate.typed_data(),
                            counters.typed_data(), get_stream()));
  });
}

ffi::Error coalesce(Counters rows, Counters places, Values gradients, ffi::Result<Values> sums,
                    ExecutionAttribute, ffi::Context context) {
  return guarded_on_device(context, [&](const auto& get_stream) {
    const cuda::SortedLookups sorted = decode_sorted(rows, places, gradients);
    const auto size = gradients.dimensions();
    const int64_t dimension = checked_dimension(size[2]);
    require_values(*sums, size[0], size[1], dimension);
    require_aligned({gradients.untyped_data(), sums->untyped_data()});
    check(cuda::coalesce_rows(sorted, dimension, gradients.typed_data(), sums->typed_data(),
                              get_stream()));
  });
}

ffi::Error store(Matrix values, Counters counters, ffi::AnyBuffer,
                 ffi::Result<ffi::AnyBuffer> table, std::string_view storage, ExecutionAttribute,
                 ffi::Context context) {
  return guarded_on_device(context, [&](const auto& get_stream) {
    const int64_t dimension = values.dimensions()[1];
    const Tier tier = decode_written({*table, storage}, dimension);
    require_counters(counters);
    const int64_t count = values.dimensions()[0];
    require(count <= tier.count, "there are more rows than the table has");
    require_aligned({tier.rows, values.untyped_data()});
    check(cuda::store_rows(tier, dimension, values.typed_data(), count, counters.typed_data(),
                           get_stream()));
  });
}

XLA_FFI_DEFINE_HANDLER(kLookup, lookup, embedding_lookup_signature().Ctx<ffi::Context>());
XLA_FFI_DEFINE_HANDLER(kUpdate, update, embedding_update_sorted_signature().Ctx<ffi::Context>());
XLA_FFI_DEFINE_HANDLER(kCoalesce, coalesce,
                       embedding_coalesce_sorted_signature().Ctx<ffi::Context>());
XLA_FFI_DEFINE_HANDLER(kStore, store, embedding_store_signature().Ctx<ffi::Context>());

}  // namespace

const std::vector<Target>& embedding_targets() {
  static const std::vector<Target> all = {
      {"mascot_embedding_lookup", kLookup},
      {"mascot_embedding_update_sorted", kUpdate},
      {"mascot_embedding_coalesce_sorted", kCoalesce},
      {"mascot_embedding_store", kStore},
  };
  return all;
}

}  // namespace mascot::bind

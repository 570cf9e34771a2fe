// XLA FFI handlers of the GPU: decode and check what the host can see, and put the work on XLA's
// stream. The contents of device memory (ratings' ids, group tables) are checked by mascot_jax when
// it puts them there: a handler could read them only by waiting for the device.
#include "bind/cuda_handlers.h"

#include <utility>

#include "bind/decode.h"
#include "bind/on_device.h"
#include "bind/signatures.h"
#include "cuda/launch.h"

namespace mascot::bind {
namespace {

template <class T>
T* scratch(ffi::ScratchAllocator& allocator, int64_t count) {
  constexpr size_t kAlignment = 256;
  const auto memory = allocator.Allocate(static_cast<size_t>(count) * sizeof(T), kAlignment);
  if (!memory.has_value()) throw std::bad_alloc();
  return static_cast<T*>(*memory);
}

cuda::Writes decode_writes(const ExecutionAttribute& execution) {
  return decode_choice<cuda::Writes>(
      execution.writes, "writes", {{"add", cuda::Writes::kAdd}, {"store", cuda::Writes::kStore}});
}

cuda::RowShape decode_shape(const RowAttribute& row) {
  constexpr int64_t kMostFactors = int64_t{1} << cuda::kWholeRow;
  require(row.factors > 0 && row.factors <= kMostFactors,
          "factors must lie between 1 and " + std::to_string(kMostFactors));
  int bits = cuda::kWholeRow;
  if (row.scale_block < chunk_count(row.factors) * kLanes) {
    for (bits = 0; int64_t{1} << bits < row.scale_block;) ++bits;
    require(row.scale_block == int64_t{1} << bits,
            "scale_block must be a power of two on a GPU, or span the row");
  }
  return {static_cast<int>(row.factors), bits};
}

cuda::Side decode_side(const GroupBuffers& groups, const std::vector<ffi::AnyBuffer>& tables,
                       const RowAttribute& row, const char* side) {
  const int64_t count = decode_group_count(groups, side);
  const Tables decoded = decode_tables(tables, row, side);
  cuda::Side result = {
      {}, groups.starts.typed_data(), groups.codes.typed_data(), count, decoded.rows, nullptr};
  for (int s = 0; s < kStorages; ++s) result.tables[s] = decoded.by_storage[s];
  return result;
}

// buffers: the tables of the users, then those of the items.
template <class Remaining>
cuda::Pass decode_pass(const Ratings& ratings, const GroupBuffers& user_groups,
                       const GroupBuffers& item_groups, const Remaining& buffers, RowAttribute row,
                       int64_t user_tables, int64_t block_size,
                       const ExecutionAttribute& execution) {
  require_block_size(block_size);
  const auto tables = static_cast<int64_t>(buffers.size());
  return {
      ratings,
      decode_side(user_groups, remaining(buffers, 0, user_tables), row, "users"),
      decode_side(item_groups, remaining(buffers, user_tables, tables - user_tables), row, "items"),
      decode_shape(row),
      block_size,
      decode_lookup(execution)};
}

// Scaled rows are written block by block of a scale, which takes all of them in registers.
void require_trainable(const cuda::Pass& pass) {
  for (const cuda::Side* side : {&pass.users, &pass.items}) {
    for (int code = 0; code < kStorages; ++code) {
      const auto& [name, bytes, exponent, scaled] = kTraits[code];
      const bool held = scaled && side->tables[code].data != nullptr;
      require(!held || pass.shape.factors <= cuda::kMostHeldFactors,
              std::string("a GPU trains ") + name + " rows of at most " +
                  std::to_string(cuda::kMostHeldFactors) + " factors, not " +
                  std::to_string(pass.shape.factors) + "; use another storage or the cpu back end");
    }
  }
}

// Other arithmetic than FP32 holds a row in registers, and knows one storage.
void require_computable(const cuda::Pass& pass, Arithmetic arithmetic) {
  if (arithmetic == Arithmetic::kFloat32) return;
  require(pass.shape.factors <= cuda::kMostHeldFactors,
          "a GPU computes in other arithmetic than float32 for at most " +
              std::to_string(cuda::kMostHeldFactors) + " factors, not " +
              std::to_string(pass.shape.factors) + "; use the cpu back end");
  const Storage wanted = storage_for(arithmetic);
  for (const cuda::Side* side : {&pass.users, &pass.items}) {
    for (int s = 0; s < kStorages; ++s) {
      require((side->tables[s].data != nullptr) == (s == static_cast<int>(wanted)),
              std::string("this arithmetic needs all rows in ") + traits(wanted).name);
    }
  }
}

// Updates that end early read rows as far as they go, and so cannot find a block's scale.
void require_stoppable(const cuda::Pass& pass, Arithmetic arithmetic) {
  require(arithmetic == Arithmetic::kFloat32, "updates end early in float32 arithmetic only");
  for (const cuda::Side* side : {&pass.users, &pass.items}) {
    require(side->tables[static_cast<int>(kCode<Int8>)].data == nullptr,
            "a GPU ends updates of float32 and float16 rows early, not of int8; use the cpu back "
            "end");
  }
}

// Gives Lookup::kPerRow what it reads.
void fill_metadata(cuda::Pass& pass, ffi::ScratchAllocator& allocator, cudaStream_t stream) {
  if (pass.lookup != Lookup::kPerRow) return;
  for (cuda::Side* side : {&pass.users, &pass.items}) {
    side->metadata = scratch<uint32_t>(allocator, side->rows);
    check(cuda::write_metadata(*side, stream));
  }
}

cuda::Training make_training(const cuda::Pass& pass, F32 rates, U32 counters, cuda::Writes writes,
                             ffi::ScratchAllocator& allocator) {
  const int64_t groups = pass.users.groups + pass.items.groups;
  float* sums = scratch<float>(allocator, groups * cuda::sums_width(pass.shape.factors));
  return {rates.typed_data(), counters.typed_data(), sums, writes, nullptr};
}

// A table's rows are written before they are read; there is nothing to advise the device of.
ffi::Error allocate(ffi::Result<ffi::AnyBuffer>) { return ffi::Error::Success(); }

ffi::Error epoch(U32 users, U32 items, F32 ratings, U32 user_starts, U8 user_codes, U32 item_starts,
                 U8 item_codes, F32 rates, U32 counters, ffi::RemainingArgs, Sums user_sums,
                 Sums item_sums, ffi::RemainingRets tables, RowAttribute row, int64_t user_tables,
                 int64_t block_size, ExecutionAttribute execution, std::string_view rounding,
                 std::string_view arithmetic, ffi::ScratchAllocator allocator,
                 ffi::Context context) {
  return guarded_on_device(context, [&](const auto& get_stream) {
    const bool exits_early = rates.element_count() == kRatesAndThresholds;
    cuda::Pass pass = decode_pass(decode_ratings(users, items, ratings, rates, counters,
                                                 exits_early ? kRatesAndThresholds : kRates),
                                  {user_starts, user_codes}, {item_starts, item_codes}, tables, row,
                                  user_tables, block_size, execution);
    require_trainable(pass);
    const Arithmetic computed = decode_arithmetic(arithmetic);
    require_computable(pass, computed);
    if (exits_early) require_stoppable(pass, computed);
    require_sums(user_sums, pass.users.groups, row.factors);
    require_sums(item_sums, pass.items.groups, row.factors);
    const cuda::Writes writes = decode_writes(execution);
    const Rounding rounded = decode_rounding(rounding);
    const cudaStream_t stream = get_stream();
    fill_metadata(pass, allocator, stream);
    if (computed != Arithmetic::kFloat32) {
      return check(cuda::run_arithmetic_epoch(
          computed, pass, {rates.typed_data(), counters.typed_data(), nullptr, writes},
          user_sums->typed_data(), item_sums->typed_data(), stream));
    }
    auto training = make_training(pass, rates, counters, writes, allocator);
    if (exits_early) training.thresholds = rates.typed_data() + kRates;
    check(cuda::run_epoch(pass, training, rounded, user_sums->typed_data(), item_sums->typed_data(),
                          stream));
  });
}

// Interactions' blocks, and what negatives are drawn by, without the scratch. Their contents are
// checked by mascot_jax, which made them.
cuda::Interactions decode_interactions(const cuda::Pass& pass, const U32& user_ranges,
                                       const U32& item_ranges, const U32& strata,
                                       const F32& user_draws, const U32& item_weights,
                                       const F32& negative_weight, std::string_view loss) {
  const auto size = [](const auto& buffer) { return static_cast<int64_t>(buffer.element_count()); };
  const int64_t users = size(user_ranges) - 1, items = size(item_ranges) - 1;
  require(users > 0 && items > 0 && size(strata) == users * items,
          "strata must have one block for each pair of ranges");
  require(size(user_draws) == pass.users.rows, "user_draws must have one element per user");
  require(size(item_weights) == pass.items.rows, "item_weights must have one element per item");
  return {user_ranges.typed_data(),
          item_ranges.typed_data(),
          strata.typed_data(),
          users,
          items,
          user_draws.typed_data(),
          item_weights.typed_data(),
          negative_weight.typed_data(),
          decode_loss(loss),
          nullptr,
          nullptr,
          0};
}

ffi::Error interactions_epoch(U32 users, U32 items, F32 ratings, U32 user_starts, U8 user_codes,
                              U32 item_starts, U8 item_codes, F32 rates, U32 counters,
                              U32 user_ranges, U32 item_ranges, U32 strata, F32 user_draws,
                              U32 item_weights, F32 negative_weight, ffi::RemainingArgs,
                              Sums user_sums, Sums item_sums, ffi::RemainingRets tables,
                              RowAttribute row, int64_t user_tables, int64_t block_size,
                              ExecutionAttribute execution, std::string_view rounding,
                              std::string_view arithmetic, bool conflict_free,
                              std::string_view loss, ffi::ScratchAllocator allocator,
                              ffi::Context context) {
  return guarded_on_device(context, [&](const auto& get_stream) {
    cuda::Pass pass = decode_pass(decode_ratings(users, items, ratings, rates, counters),
                                  {user_starts, user_codes}, {item_starts, item_codes}, tables, row,
                                  user_tables, block_size, execution);
    require_trainable(pass);
    require_interactions(decode_arithmetic(arithmetic), rates, negative_weight);
    require(!conflict_free, "a GPU lets threads meet: conflict_free must be false");
    cuda::Interactions work = decode_interactions(pass, user_ranges, item_ranges, strata,
                                                  user_draws, item_weights, negative_weight, loss);
    require_sums(user_sums, pass.users.groups, row.factors);
    require_sums(item_sums, pass.items.groups, row.factors);
    const cuda::Writes writes = decode_writes(execution);
    const Rounding rounded = decode_rounding(rounding);
    const cudaStream_t stream = get_stream();
    fill_metadata(pass, allocator, stream);
    work.items_before = scratch<uint64_t>(allocator, pass.items.rows + 1);
    work.ranges = scratch<DrawnRange>(allocator, work.item_ranges);
    const auto training = make_training(pass, rates, counters, writes, allocator);
    check(cuda::run_interactions(pass, work, training, rounded, user_sums->typed_data(),
                                 item_sums->typed_data(), stream));
  });
}

ffi::Error stream(U32 users, U32 items, F32 ratings, U32 user_starts, U8 user_codes,
                  U32 item_starts, U8 item_codes, F32 rates, U32 counters, ffi::RemainingArgs,
                  ffi::RemainingRets tables, RowAttribute row, int64_t user_tables,
                  int64_t block_size, ExecutionAttribute execution, ffi::ScratchAllocator allocator,
                  ffi::Context context) {
  return guarded_on_device(context, [&](const auto& get_stream) {
    cuda::Pass pass = decode_pass(decode_ratings(users, items, ratings, rates, counters),
                                  {user_starts, user_codes}, {item_starts, item_codes}, tables, row,
                                  user_tables, block_size, execution);
    const cudaStream_t stream = get_stream();
    fill_metadata(pass, allocator, stream);
    check(cuda::run_stream(pass, {rates.typed_data(), counters.typed_data(), nullptr, {}}, stream));
  });
}

ffi::Error promote(U32 starts, U8 old_codes, U8 new_codes, ffi::RemainingArgs,
                   ffi::RemainingRets rets, RowAttribute row, ExecutionAttribute,
                   ffi::Context context) {
  return guarded_on_device(context, [&](const auto& get_stream) {
    const auto tables = remaining(rets, 0, static_cast<int64_t>(rets.size()));
    const cuda::Side side = decode_side({starts, old_codes}, tables, row, "promote");
    require(static_cast<int64_t>(new_codes.element_count()) == side.groups,
            "promote: new codes must be as many as the old");
    require(tables.size() > 1, "promote: the storages that it converts between need tables");
    check(cuda::promote(side, new_codes.typed_data(), decode_shape(row), get_stream()));
  });
}

ffi::Error check_finite(U32 starts, U8 codes, ffi::RemainingArgs args, ffi::Result<U8> finite,
                        RowAttribute row, ExecutionAttribute, ffi::Context context) {
  return guarded_on_device(context, [&](const auto& get_stream) {
    const auto tables = remaining(args, 0, static_cast<int64_t>(args.size()));
    const cuda::Side side = decode_side({starts, codes}, tables, row, "check_finite");
    require(static_cast<int64_t>(finite->element_count()) == side.groups,
            "finite must have one element per group");
    check(cuda::check_finite(side, decode_shape(row), finite->typed_data(), get_stream()));
  });
}

ffi::Error predict(U32 users, U32 items, U32 user_starts, U8 user_codes, U32 item_starts,
                   U8 item_codes, ffi::RemainingArgs args, Predictions predictions,
                   RowAttribute row, int64_t user_tables, int64_t block_size,
                   ExecutionAttribute execution, ffi::ScratchAllocator allocator,
                   ffi::Context context) {
  return guarded_on_device(context, [&](const auto& get_stream) {
    const Ratings ids = decode_ids(users, items);
    require_predictions(predictions, ids);
    cuda::Pass pass = decode_pass(ids, {user_starts, user_codes}, {item_starts, item_codes}, args,
                                  row, user_tables, block_size, execution);
    const cudaStream_t stream = get_stream();
    fill_metadata(pass, allocator, stream);
    check(cuda::run_predict(pass, predictions->typed_data(), stream));
  });
}

ffi::Error predict_to_stop(U32 users, U32 items, U32 user_starts, U8 user_codes, U32 item_starts,
                           U8 item_codes, F32 thresholds, ffi::RemainingArgs args,
                           Predictions predictions, ffi::Result<ffi::BufferR1<ffi::U32>> stops,
                           RowAttribute row, int64_t user_tables, int64_t block_size,
                           ExecutionAttribute execution, ffi::ScratchAllocator allocator,
                           ffi::Context context) {
  return guarded_on_device(context, [&](const auto& get_stream) {
    const Ratings ids = decode_ids(users, items);
    require_predictions(predictions, ids);
    require_stops(stops, thresholds, ids);
    cuda::Pass pass = decode_pass(ids, {user_starts, user_codes}, {item_starts, item_codes}, args,
                                  row, user_tables, block_size, execution);
    const cudaStream_t stream = get_stream();
    fill_metadata(pass, allocator, stream);
    check(cuda::run_predict_to_stop(pass, thresholds.typed_data(), predictions->typed_data(),
                                    stops->typed_data(), stream));
  });
}

XLA_FFI_DEFINE_HANDLER(kAllocate, allocate, allocate_signature());
XLA_FFI_DEFINE_HANDLER(kEpoch, epoch,
                       epoch_signature().Ctx<ffi::ScratchAllocator>().Ctx<ffi::Context>());
XLA_FFI_DEFINE_HANDLER(
    kInteractionsEpoch, interactions_epoch,
    interactions_epoch_signature().Ctx<ffi::ScratchAllocator>().Ctx<ffi::Context>());
XLA_FFI_DEFINE_HANDLER(kStream, stream,
                       stream_signature().Ctx<ffi::ScratchAllocator>().Ctx<ffi::Context>());
XLA_FFI_DEFINE_HANDLER(kPromote, promote, promote_signature().Ctx<ffi::Context>());
XLA_FFI_DEFINE_HANDLER(kCheckFinite, check_finite, check_finite_signature().Ctx<ffi::Context>());
XLA_FFI_DEFINE_HANDLER(kPredict, predict,
                       predict_signature().Ctx<ffi::ScratchAllocator>().Ctx<ffi::Context>());
XLA_FFI_DEFINE_HANDLER(
    kPredictToStop, predict_to_stop,
    predict_to_stop_signature().Ctx<ffi::ScratchAllocator>().Ctx<ffi::Context>());

}  // namespace

const std::vector<Target>& targets() {
  static const std::vector<Target> all = [] {
    std::vector<Target> joined = {
        {"mascot_allocate", kAllocate},
        {"mascot_epoch", kEpoch},
        {"mascot_stream", kStream},
        {"mascot_promote", kPromote},
        {"mascot_predict", kPredict},
        {"mascot_predict_to_stop", kPredictToStop},
        {"mascot_check_finite", kCheckFinite},
        {"mascot_interactions_epoch", kInteractionsEpoch},
    };
    const auto& embedding = embedding_targets();
    joined.insert(joined.end(), embedding.begin(), embedding.end());
    return joined;
  }();
  return all;
}

}  // namespace mascot::bind

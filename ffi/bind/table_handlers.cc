// XLA FFI handlers of the CPU that make, convert or read tables, and lay ratings out.
// A view that is made here is safe to run on, given that the ratings' ids are in range
// (mascot_jax.engine.ratings checks those once).
#include <algorithm>

#include "bind/cpu_decode.h"
#include "bind/cpu_handlers.h"
#include "core/layout.h"
#include "core/projection.h"
#include "core/random.h"
#include "core/tables.h"

namespace mascot::bind {
namespace {

ffi::Error allocate(ffi::Result<ffi::AnyBuffer> table) {
  advise_huge_pages(table->untyped_data(), static_cast<int64_t>(table->size_bytes()));
  return ffi::Error::Success();
}

ffi::Error promote(U32 starts, U8 old_codes, U8 new_codes, ffi::RemainingArgs,
                   ffi::RemainingRets rets, RowAttribute row, ExecutionAttribute execution) {
  return guarded([&] {
    const auto tables = remaining(rets, 0, static_cast<int64_t>(rets.size()));
    const Side from = decode_side({starts, old_codes}, tables, row, "promote");
    const Side to = decode_side({starts, new_codes}, tables, row, "promote");
    for (int64_t g = 0; g < to.groups.size(); ++g) {
      const Storage old = from.groups.storage(g), fresh = to.groups.storage(g);
      require(fresh <= old,
              "promote: group " + std::to_string(g) + " would go back to a lower precision");
    }
    mascot::promote(decode_kernel(execution), from, to.groups, row.factors,
                    decode_threads(execution));
  });
}

ffi::Error check_finite(U32 starts, U8 codes, ffi::RemainingArgs args, ffi::Result<U8> finite,
                        RowAttribute row, ExecutionAttribute execution) {
  return guarded([&] {
    const auto tables = remaining(args, 0, static_cast<int64_t>(args.size()));
    const Side side = decode_side({starts, codes}, tables, row, "check_finite");
    require(finite->element_count() == codes.element_count(),
            "finite must have one element per group");
    std::fill_n(finite->typed_data(), finite->element_count(), uint8_t{1});
    mascot::check_finite(side, row.factors, decode_threads(execution), finite->typed_data());
  });
}

// What both predictions share.
mascot::Epoch decode_predictions(const U32& users, const U32& items,
                                 const GroupBuffers& user_groups, const GroupBuffers& item_groups,
                                 const ffi::RemainingArgs& args, const Predictions& predictions,
                                 const RowAttribute& row, int64_t user_tables, int64_t block_size,
                                 const ExecutionAttribute& execution) {
  require_block_size(block_size);
  const Ratings ids = decode_ids(users, items);
  require_predictions(predictions, ids);
  const auto tables = static_cast<int64_t>(args.size());
  return {
      ids,
      decode_side(user_groups, remaining(args, 0, user_tables), row, "users"),
      decode_side(item_groups, remaining(args, user_tables, tables - user_tables), row, "items"),
      row.factors,
      block_size,
      decode_threads(execution)};
}

ffi::Error predict(U32 users, U32 items, U32 user_starts, U8 user_codes, U32 item_starts,
                   U8 item_codes, ffi::RemainingArgs args, Predictions predictions,
                   RowAttribute row, int64_t user_tables, int64_t block_size,
                   ExecutionAttribute execution) {
  return guarded([&] {
    const mascot::Epoch work =
        decode_predictions(users, items, {user_starts, user_codes}, {item_starts, item_codes}, args,
                           predictions, row, user_tables, block_size, execution);
    run_predict(decode_kernel(execution), work, predictions->typed_data());
  });
}

ffi::Error predict_to_stop(U32 users, U32 items, U32 user_starts, U8 user_codes, U32 item_starts,
                           U8 item_codes, F32 thresholds, ffi::RemainingArgs args,
                           Predictions predictions, ffi::Result<ffi::BufferR1<ffi::U32>> stops,
                           RowAttribute row, int64_t user_tables, int64_t block_size,
                           ExecutionAttribute execution) {
  return guarded([&] {
    mascot::Epoch work =
        decode_predictions(users, items, {user_starts, user_codes}, {item_starts, item_codes}, args,
                           predictions, row, user_tables, block_size, execution);
    require_stops(stops, thresholds, work.ratings);
    work.computation.thresholds = decode_thresholds(thresholds.typed_data());
    run_predict_to_stop(decode_kernel(execution), work, predictions->typed_data(),
                        stops->typed_data());
  });
}

ffi::Error joint_basis(U32 users, U32 items, U32 user_starts, U8 user_codes, U32 item_starts,
                       U8 item_codes, U32 counters, ffi::RemainingArgs args,
                       ffi::Result<ffi::BufferR2<ffi::F32>> basis, RowAttribute row,
                       int64_t user_tables, ExecutionAttribute execution) {
  return guarded([&] {
    Ratings ratings = decode_ids(users, items);
    require(counters.element_count() == kCounters, "counters must be those of an epoch");
    ratings.count = decode_count(counters, ratings.count);
    const auto tables = static_cast<int64_t>(args.size());
    const Side user_side =
        decode_side({user_starts, user_codes}, remaining(args, 0, user_tables), row, "users");
    const Side item_side =
        decode_side({item_starts, item_codes}, remaining(args, user_tables, tables - user_tables),
                    row, "items");
    const int64_t kept = basis->dimensions()[1];
    require(row.factors <= kMostProjected,
            "there can be " + std::to_string(kMostProjected) + " factors at most");
    require(basis->dimensions()[0] == row.factors && kept >= 1 && kept <= row.factors,
            "the basis must be [factors, 1 to factors]");
    mascot::joint_basis(
        decode_kernel(execution),
        {&ratings, &user_side, &item_side, row.factors, kept, decode_threads(execution)},
        basis->typed_data());
  });
}

// The basis with zeros up to whole chunks, where the kernels read it.
class PaddedBasis {
 public:
  explicit PaddedBasis(const ffi::BufferR2<ffi::F32>& basis)
      : width_(chunk_count(basis.dimensions()[1]) * kLanes),
        buffer_(chunk_count(basis.dimensions()[0]) * kLanes * width_) {
    const auto [rows, kept] = std::array{basis.dimensions()[0], basis.dimensions()[1]};
    for (int64_t row = 0; row < rows; ++row) {
      std::copy_n(basis.typed_data() + row * kept, kept, buffer_.data() + row * width_);
    }
  }
  const float* data() { return buffer_.data(); }

 private:
  int64_t width_;
  RowBuffer buffer_;
};

ffi::Error project(ffi::BufferR2<ffi::F32> basis, U32 starts, U8 codes, U32 counters,
                   ffi::RemainingArgs args, ffi::RemainingRets rets, RowAttribute row,
                   bool of_items, std::string_view rounding, ExecutionAttribute execution) {
  return guarded([&] {
    const auto [factors, kept] = std::array{basis.dimensions()[0], basis.dimensions()[1]};
    require(factors == row.factors && kept >= 1 && kept <= factors,
            "the basis must be [factors, 1 to factors]");
    require(counters.element_count() == kCounters, "counters must be those of an epoch");
    const auto old_tables = remaining(args, 0, static_cast<int64_t>(args.size()));
    const auto new_tables = remaining(rets, 0, static_cast<int64_t>(rets.size()));
    for (const ffi::AnyBuffer& table : new_tables) {
      advise_huge_pages(table.untyped_data(), static_cast<int64_t>(table.size_bytes()));
    }
    const Side from = decode_side({starts, codes}, old_tables, row, "project, from");
    const Side to =
        decode_side({starts, codes}, new_tables, {kept, row.scale_block}, "project, to");
    PaddedBasis padded(basis);
    const uint32_t* counter = counters.typed_data();
    const uint64_t key = stream_key(counter[kSeed], counter[kEpochNumber], Stream::kProjection);
    mascot::project(decode_kernel(execution), from, to,
                    {padded.data(),
                     factors,
                     kept,
                     {decode_rounding(rounding), key},
                     of_items ? uint64_t{1} << 32 : 0},
                    decode_threads(execution));
  });
}

// Ids are in range, and so are blocks where the parts' largest are: those are checked.
void require_parts(const U32& users, const U32& items, int64_t blocks) {
  const auto largest = [](const U32& parts) -> int64_t {
    const uint32_t* part = parts.typed_data();
    require(parts.element_count() != 0, "a side must have rows");
    return *std::max_element(part, part + parts.element_count());
  };
  require(largest(users) + largest(items) < blocks, "parts must add up to a block there is");
}

ffi::Error lay_out(U32 users, U32 items, F32 ratings, U32 user_part, U32 item_part, U32 counters,
                   ffi::Result<ffi::BufferR1<ffi::U32>> new_users,
                   ffi::Result<ffi::BufferR1<ffi::U32>> new_items,
                   ffi::Result<ffi::BufferR1<ffi::F32>> new_ratings,
                   ffi::Result<ffi::BufferR1<ffi::U32>> begin, int64_t longest_run,
                   int64_t least_sweeps, int32_t threads) {
  return guarded([&] {
    Ratings data = decode_ids(users, items);
    data.rating = ratings.typed_data();
    require(ratings.element_count() == users.element_count(), "columns must be equally long");
    require(counters.element_count() == 3, "counters must be seed, ratings and blocks");
    const uint32_t seed = counters.typed_data()[0];
    data.count = counters.typed_data()[1];
    for (const auto places : {ratings.element_count(), new_users->element_count(),
                              new_items->element_count(), new_ratings->element_count()}) {
      require(static_cast<int64_t>(places) >= data.count, "there are fewer places than ratings");
    }
    const int64_t blocks = counters.typed_data()[2];
    require(blocks <= static_cast<int64_t>(begin->element_count()),
            "there are fewer places than blocks");
    require_parts(user_part, item_part, blocks);
    require(longest_run >= 0 && least_sweeps > 1 && threads > 0,
            "longest_run must be at least 0, least_sweeps 2, threads 1");
    for (void* column :
         {new_users->untyped_data(), new_items->untyped_data(), new_ratings->untyped_data()}) {
      advise_huge_pages(column, data.count * 4);
    }
    mascot::lay_out({data, user_part.typed_data(), item_part.typed_data(), blocks, longest_run,
                     least_sweeps, seed, threads},
                    {new_users->typed_data(), new_items->typed_data(), new_ratings->typed_data()},
                    begin->typed_data());
  });
}

XLA_FFI_DEFINE_HANDLER(kAllocate, allocate, allocate_signature());
XLA_FFI_DEFINE_HANDLER(kLayOut, lay_out, lay_out_signature());
XLA_FFI_DEFINE_HANDLER(kPromote, promote, promote_signature());
XLA_FFI_DEFINE_HANDLER(kCheckFinite, check_finite, check_finite_signature());
XLA_FFI_DEFINE_HANDLER(kPredict, predict, predict_signature());
XLA_FFI_DEFINE_HANDLER(kPredictToStop, predict_to_stop, predict_to_stop_signature());
XLA_FFI_DEFINE_HANDLER(kJointBasis, joint_basis, joint_basis_signature());
XLA_FFI_DEFINE_HANDLER(kProject, project, project_signature());

}  // namespace

const std::vector<Target>& table_targets() {
  static const std::vector<Target> all = {
      {"mascot_allocate", kAllocate},      {"mascot_lay_out", kLayOut},
      {"mascot_promote", kPromote},        {"mascot_check_finite", kCheckFinite},
      {"mascot_predict", kPredict},        {"mascot_predict_to_stop", kPredictToStop},
      {"mascot_joint_basis", kJointBasis}, {"mascot_project", kProject},
  };
  return all;
}

}  // namespace mascot::bind

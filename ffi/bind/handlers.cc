// XLA FFI handlers: decode and check, call the core, report. Operand order here is the contract
// with mascot_jax.kernels; tables updated in place are results aliased to operands.
#include "bind/handlers.h"

#include "bind/decode.h"
#include "core/tables.h"

namespace mascot::bind {
namespace {

ffi::Error allocate(ffi::Result<ffi::AnyBuffer> table) {
  advise_huge_pages(table->untyped_data(), static_cast<int64_t>(table->size_bytes()));
  return ffi::Error::Success();
}

void require_team(int64_t block_size, int32_t threads) {
  require(block_size > 0 && block_size <= kMostPerBlock,
          "block_size must lie between 1 and " + std::to_string(kMostPerBlock));
  require(threads > 0, "threads must be at least 1");
}

// What epoch and stream share. tables: those of the users, then those of the items.
mascot::Epoch decode_epoch(const ffi::Buffer<ffi::U32>& users, const ffi::Buffer<ffi::U32>& items,
                           const ffi::Buffer<ffi::F32>& ratings, const GroupBuffers& user_groups,
                           const GroupBuffers& item_groups, const ffi::Buffer<ffi::F32>& rates,
                           const ffi::Buffer<ffi::U32>& counters, const ffi::RemainingRets& rets,
                           int64_t factors, int64_t user_tables, int64_t block_size,
                           int32_t threads, Rounding rounding) {
  require(rates.element_count() == 4 && counters.element_count() == 2,
          "rates must hold 4 values and counters 2");
  require_team(block_size, threads);
  Ratings data = decode_ids(users, items);
  require(static_cast<int64_t>(ratings.element_count()) == data.count,
          "ratings must be as many as users");
  data.rating = ratings.typed_data();
  const float* rate = rates.typed_data();
  require(rate[3] >= 0 && rate[3] <= 1, "the sample ratio must lie in [0, 1]");
  const auto tables = static_cast<int64_t>(rets.size());
  return {data,
          decode_side(user_groups, remaining(rets, 0, user_tables), factors, "users"),
          decode_side(item_groups, remaining(rets, user_tables, tables - user_tables), factors,
                      "items"),
          factors,
          {rate[0], rate[1], rate[2]},
          counters.typed_data()[0],
          counters.typed_data()[1],
          rate[3],
          rounding,
          block_size,
          threads};
}

ffi::Error epoch(ffi::Buffer<ffi::U32> users, ffi::Buffer<ffi::U32> items,
                 ffi::Buffer<ffi::F32> ratings, ffi::Buffer<ffi::U32> user_starts,
                 ffi::Buffer<ffi::U8> user_codes, ffi::Buffer<ffi::U32> item_starts,
                 ffi::Buffer<ffi::U8> item_codes, ffi::Buffer<ffi::F32> rates,
                 ffi::Buffer<ffi::U32> counters, ffi::RemainingArgs,
                 ffi::Result<ffi::BufferR2<ffi::F32>> user_sums,
                 ffi::Result<ffi::BufferR2<ffi::F32>> item_sums, ffi::RemainingRets tables,
                 int64_t factors, int64_t user_tables, int64_t block_size, int32_t threads,
                 std::string_view instruction_set, std::string_view rounding) {
  return guarded([&] {
    const Kernel& kernel = decode_kernel(instruction_set);
    const mascot::Epoch work = decode_epoch(
        users, items, ratings, {user_starts, user_codes}, {item_starts, item_codes}, rates,
        counters, tables, factors, user_tables, block_size, threads, decode_rounding(rounding));
    const auto fits = [&](auto& sums, const Groups& groups) {
      return sums->dimensions()[0] == groups.size() &&
             sums->dimensions()[1] == factors + kStatistics;
    };
    require(fits(user_sums, work.users.groups) && fits(item_sums, work.items.groups),
            "sums must be [groups, factors + 4]");
    run_epoch(kernel, work, user_sums->typed_data(), item_sums->typed_data());
  });
}

ffi::Error stream(ffi::Buffer<ffi::U32> users, ffi::Buffer<ffi::U32> items,
                  ffi::Buffer<ffi::F32> ratings, ffi::Buffer<ffi::U32> user_starts,
                  ffi::Buffer<ffi::U8> user_codes, ffi::Buffer<ffi::U32> item_starts,
                  ffi::Buffer<ffi::U8> item_codes, ffi::Buffer<ffi::F32> rates,
                  ffi::Buffer<ffi::U32> counters, ffi::RemainingArgs, ffi::RemainingRets tables,
                  int64_t factors, int64_t user_tables, int64_t block_size, int32_t threads,
                  std::string_view instruction_set) {
  return guarded([&] {
    const Kernel& kernel = decode_kernel(instruction_set);
    run_stream(kernel, decode_epoch(users, items, ratings, {user_starts, user_codes},
                                    {item_starts, item_codes}, rates, counters, tables, factors,
                                    user_tables, block_size, threads, Rounding::kNearest));
  });
}

ffi::Error promote(ffi::Buffer<ffi::U32> starts, ffi::Buffer<ffi::U8> old_codes,
                   ffi::Buffer<ffi::U8> new_codes, ffi::RemainingArgs, ffi::RemainingRets rets,
                   int64_t factors, int32_t threads, std::string_view instruction_set) {
  return guarded([&] {
    require(threads > 0, "threads must be at least 1");
    const auto tables = remaining(rets, 0, static_cast<int64_t>(rets.size()));
    const Side from = decode_side({starts, old_codes}, tables, factors, "promote");
    const Side to = decode_side({starts, new_codes}, tables, factors, "promote");
    for (int64_t g = 0; g < to.groups.size(); ++g) {
      const Storage old = from.groups.storage(g), fresh = to.groups.storage(g);
      require(fresh == old || fresh == Storage::kFloat32,
              "promote: group " + std::to_string(g) + " would go back to a lower precision");
    }
    mascot::promote(decode_kernel(instruction_set), from, to.groups, factors, threads);
  });
}

ffi::Error check_finite(ffi::Buffer<ffi::U32> starts, ffi::Buffer<ffi::U8> codes,
                        ffi::RemainingArgs args, ffi::Result<ffi::Buffer<ffi::U8>> finite,
                        int64_t factors, int32_t threads) {
  return guarded([&] {
    require(threads > 0, "threads must be at least 1");
    const auto tables = remaining(args, 0, static_cast<int64_t>(args.size()));
    const Side side = decode_side({starts, codes}, tables, factors, "check_finite");
    require(static_cast<int64_t>(finite->element_count()) == side.groups.size(),
            "finite must have one element per group");
    mascot::check_finite(side, threads, finite->typed_data());
  });
}

ffi::Error predict(ffi::Buffer<ffi::U32> users, ffi::Buffer<ffi::U32> items,
                   ffi::Buffer<ffi::U32> user_starts, ffi::Buffer<ffi::U8> user_codes,
                   ffi::Buffer<ffi::U32> item_starts, ffi::Buffer<ffi::U8> item_codes,
                   ffi::RemainingArgs args, ffi::Result<ffi::BufferR1<ffi::F32>> predictions,
                   int64_t factors, int64_t user_tables, int64_t block_size, int32_t threads,
                   std::string_view instruction_set) {
  return guarded([&] {
    require_team(block_size, threads);
    const Ratings ids = decode_ids(users, items);
    require(static_cast<int64_t>(predictions->element_count()) == ids.count,
            "predictions must be as many as users");
    const auto tables = static_cast<int64_t>(args.size());
    const mascot::Epoch work = {
        ids,
        decode_side({user_starts, user_codes}, remaining(args, 0, user_tables), factors, "users"),
        decode_side({item_starts, item_codes}, remaining(args, user_tables, tables - user_tables),
                    factors, "items"),
        factors,
        {},
        0,
        0,
        0,
        Rounding::kNearest,
        block_size,
        threads};
    run_predict(decode_kernel(instruction_set), work, predictions->typed_data());
  });
}

using U32 = ffi::Buffer<ffi::U32>;
using U8 = ffi::Buffer<ffi::U8>;
using F32 = ffi::Buffer<ffi::F32>;

// The operands of a walk over the ratings that updates rows.
auto bind_walk() {
  return ffi::Ffi::Bind()
      .Arg<U32>()        // users [n]
      .Arg<U32>()        // items [n]
      .Arg<F32>()        // ratings [n]
      .Arg<U32>()        // user_starts [user groups + 1]
      .Arg<U8>()         // user_codes [user groups]
      .Arg<U32>()        // item_starts [item groups + 1]
      .Arg<U8>()         // item_codes [item groups]
      .Arg<F32>()        // rates: learning_rate, user_reg, item_reg, sample_ratio
      .Arg<U32>()        // counters: seed, epoch
      .RemainingArgs();  // user tables, item tables: aliased to the remaining results
}

XLA_FFI_DEFINE_HANDLER(kAllocate, allocate,
                       ffi::Ffi::Bind().Ret<ffi::AnyBuffer>());  // table [rows, stride]

XLA_FFI_DEFINE_HANDLER(kEpoch, epoch,
                       bind_walk()
                           .Ret<ffi::BufferR2<ffi::F32>>()  // user_sums [user groups, factors + 4]
                           .Ret<ffi::BufferR2<ffi::F32>>()  // item_sums [item groups, factors + 4]
                           .RemainingRets()
                           .Attr<int64_t>("factors")
                           .Attr<int64_t>("user_tables")
                           .Attr<int64_t>("block_size")
                           .Attr<int32_t>("threads")
                           .Attr<std::string_view>("instruction_set")
                           .Attr<std::string_view>("rounding"));

XLA_FFI_DEFINE_HANDLER(kStream, stream,
                       bind_walk()
                           .RemainingRets()
                           .Attr<int64_t>("factors")
                           .Attr<int64_t>("user_tables")
                           .Attr<int64_t>("block_size")
                           .Attr<int32_t>("threads")
                           .Attr<std::string_view>("instruction_set"));

XLA_FFI_DEFINE_HANDLER(kPromote, promote,
                       ffi::Ffi::Bind()
                           .Arg<U32>()       // starts [groups + 1]
                           .Arg<U8>()        // old_codes [groups]
                           .Arg<U8>()        // new_codes [groups]
                           .RemainingArgs()  // the side's tables: aliased to the results
                           .RemainingRets()
                           .Attr<int64_t>("factors")
                           .Attr<int32_t>("threads")
                           .Attr<std::string_view>("instruction_set"));

XLA_FFI_DEFINE_HANDLER(kCheckFinite, check_finite,
                       ffi::Ffi::Bind()
                           .Arg<U32>()       // starts [groups + 1]
                           .Arg<U8>()        // codes [groups]
                           .RemainingArgs()  // the side's tables
                           .Ret<U8>()        // finite [groups]
                           .Attr<int64_t>("factors")
                           .Attr<int32_t>("threads"));

XLA_FFI_DEFINE_HANDLER(kPredict, predict,
                       ffi::Ffi::Bind()
                           .Arg<U32>()                      // users [n]
                           .Arg<U32>()                      // items [n]
                           .Arg<U32>()                      // user_starts [user groups + 1]
                           .Arg<U8>()                       // user_codes [user groups]
                           .Arg<U32>()                      // item_starts [item groups + 1]
                           .Arg<U8>()                       // item_codes [item groups]
                           .RemainingArgs()                 // user tables, item tables
                           .Ret<ffi::BufferR1<ffi::F32>>()  // predictions [n]
                           .Attr<int64_t>("factors")
                           .Attr<int64_t>("user_tables")
                           .Attr<int64_t>("block_size")
                           .Attr<int32_t>("threads")
                           .Attr<std::string_view>("instruction_set"));

}  // namespace

const std::vector<Target>& targets() {
  static const std::vector<Target> all = {
      {"mascot_allocate", kAllocate}, {"mascot_epoch", kEpoch},
      {"mascot_stream", kStream},     {"mascot_promote", kPromote},
      {"mascot_predict", kPredict},   {"mascot_check_finite", kCheckFinite},
  };
  return all;
}

}  // namespace mascot::bind

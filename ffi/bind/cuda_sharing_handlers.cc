// XLA FFI handlers of the GPU for trainings that several devices share: parts of an epoch, and
// ranges of rows on their way. What lists and moves hold is on the device: mascot_jax, which makes
// them, checks it.
#include "bind/cuda_decode.h"
#include "bind/cuda_handlers.h"
#include "bind/on_device.h"

namespace mascot::bind {
namespace {

int64_t size_of(const U32& buffer) { return static_cast<int64_t>(buffer.element_count()); }

// The list and the blocks that it is of, without the scratch.
cuda::BlockList decode_list(const U32& user_ranges, const U32& item_ranges, const U32& strata,
                            const U32& numbers, const U32& list, const U32& span,
                            const U32& counters) {
  const int64_t users = size_of(user_ranges) - 1, items = size_of(item_ranges) - 1;
  require(users > 0 && items > 0 && size_of(strata) == users * items,
          "strata must have one block for each pair of ranges");
  require(size_of(numbers) == users * items, "there must be a number for each block");
  require(list.dimensions().size() == 2 && list.dimensions()[1] == 2,
          "turns must be [t, 2]: pairs of a user range and an item range");
  require(size_of(span) == 2, "span must be two places in the list of turns");
  return {list.typed_data(),
          list.dimensions()[0],
          span.typed_data(),
          strata.typed_data(),
          numbers.typed_data(),
          users * items,
          items,
          counters.typed_data() + kRatingsLow,
          nullptr};
}

ffi::Error hogwild_turns(U32 users, U32 items, F32 ratings, U32 user_starts, U8 user_codes,
                         U32 item_starts, U8 item_codes, F32 rates, U32 counters, U32 user_ranges,
                         U32 item_ranges, U32 strata, U32 numbers, U32 list, U32 span,
                         ffi::RemainingArgs, Sums user_sums, Sums item_sums,
                         ffi::RemainingRets tables, RowAttribute row, int64_t user_tables,
                         int64_t block_size, ExecutionAttribute execution,
                         std::string_view rounding, std::string_view arithmetic,
                         int64_t most_in_flight, ffi::ScratchAllocator allocator,
                         ffi::Context context) {
  return guarded_on_device(context, [&](const auto& get_stream) {
    cuda::Pass pass = decode_pass(decode_ratings(users, items, ratings, rates, counters),
                                  {user_starts, user_codes}, {item_starts, item_codes}, tables, row,
                                  user_tables, block_size, execution);
    require_trainable(pass);
    const Arithmetic computed = decode_arithmetic(arithmetic);
    require_computable(pass, computed);
    require_sums(user_sums, pass.users.groups, row.factors);
    require_sums(item_sums, pass.items.groups, row.factors);
    cuda::BlockList blocks =
        decode_list(user_ranges, item_ranges, strata, numbers, list, span, counters);
    require(most_in_flight > 0, "most_in_flight must be positive");
    const cuda::Writes writes = decode_writes(execution);
    const Rounding rounded = decode_rounding(rounding);
    const cudaStream_t stream = get_stream();
    fill_metadata(pass, allocator, stream);
    blocks.stretches = scratch<cuda::Stretch>(allocator, blocks.count + 1);
    check(cuda::find_stretches(blocks, stream));
    cuda::Training training = make_training(pass, rates, counters, writes, allocator);
    training.stretches = {blocks.stretches, blocks.count};
    training.most_in_flight = most_in_flight;
    check(computed == Arithmetic::kFloat32
              ? cuda::run_epoch(pass, training, rounded, user_sums->typed_data(),
                                item_sums->typed_data(), stream)
              : cuda::run_arithmetic_epoch(computed, pass, training, user_sums->typed_data(),
                                           item_sums->typed_data(), stream));
  });
}

// What pack and unpack have in common.
struct Exchanged {
  cuda::Side side;
  cuda::Moves moves;
  cuda::RowShape shape;
};

Exchanged decode_exchange(const GroupBuffers& groups, const U32& ranges,
                          const ffi::BufferR2<ffi::U32>& moves, const U32& pair,
                          const ffi::BufferR2<ffi::U32>& sums, const ffi::RemainingRets& tables,
                          const RowAttribute& row, int64_t parcel) {
  const int64_t count = size_of(ranges) - 1;
  require(count > 0 && moves.dimensions()[0] == count && moves.dimensions()[1] == 2,
          "there must be a move for each range");
  require(size_of(pair) == 2, "an exchange is between two workers");
  require(sums.dimensions()[0] == 0, "sums do not travel between GPUs");
  require(parcel % static_cast<int64_t>(sizeof(uint32_t)) == 0, "a parcel must be whole words");
  const auto all = remaining(tables, 0, static_cast<int64_t>(tables.size()));
  return {decode_side(groups, all, row, "exchange"),
          {moves.typed_data(), ranges.typed_data(), count, pair.typed_data()},
          decode_shape(row)};
}

ffi::Error pack(U32 starts, U8 codes, U32 ranges, ffi::BufferR2<ffi::U32> moves, U32 pair,
                ffi::BufferR2<ffi::U32> sums, ffi::RemainingArgs,
                ffi::Result<ffi::BufferR1<ffi::U8>> parcel, ffi::RemainingRets tables,
                RowAttribute row, ffi::Context context) {
  return guarded_on_device(context, [&](const auto& get_stream) {
    const auto bytes = static_cast<int64_t>(parcel->element_count());
    const auto [side, given, shape] =
        decode_exchange({starts, codes}, ranges, moves, pair, sums, tables, row, bytes);
    auto* words = static_cast<uint32_t*>(parcel->untyped_data());
    check(cuda::pack(side, given, shape, words, get_stream()));
  });
}

ffi::Error unpack(U32 starts, U8 codes, U32 ranges, ffi::BufferR2<ffi::U32> moves, U32 pair,
                  ffi::BufferR2<ffi::U32> sums, ffi::BufferR1<ffi::U8> parcel, ffi::RemainingArgs,
                  Words, ffi::RemainingRets tables, RowAttribute row, ffi::Context context) {
  return guarded_on_device(context, [&](const auto& get_stream) {
    const auto bytes = static_cast<int64_t>(parcel.element_count());
    const auto [side, given, shape] =
        decode_exchange({starts, codes}, ranges, moves, pair, sums, tables, row, bytes);
    const auto* words = static_cast<const uint32_t*>(parcel.untyped_data());
    check(cuda::unpack(side, given, shape, words, get_stream()));
  });
}

XLA_FFI_DEFINE_HANDLER(kHogwildTurns, hogwild_turns,
                       hogwild_turns_signature().Ctx<ffi::ScratchAllocator>().Ctx<ffi::Context>());
XLA_FFI_DEFINE_HANDLER(kPack, pack, pack_signature().Ctx<ffi::Context>());
XLA_FFI_DEFINE_HANDLER(kUnpack, unpack, unpack_signature().Ctx<ffi::Context>());

}  // namespace

const std::vector<Target>& sharing_targets() {
  static const std::vector<Target> all = {
      {"mascot_hogwild_turns", kHogwildTurns},
      {"mascot_pack", kPack},
      {"mascot_unpack", kUnpack},
  };
  return all;
}

}  // namespace mascot::bind

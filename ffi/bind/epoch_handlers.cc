// XLA FFI handlers of the CPU that visit ratings: epochs, whole or in parts.
// A view that is made here is safe to run on, given that the ratings' ids are in range
// (mascot_jax.engine.ratings checks those once).
#include <algorithm>

#include "bind/cpu_decode.h"
#include "bind/cpu_handlers.h"
#include "core/exchange.h"

namespace mascot::bind {
namespace {

// Of a user in an epoch: far fewer than what 64 bits count.
constexpr float kMostDraws = 0x1p40f;

// What epoch and stream share. tables: those of the users, then those of the items.
mascot::Epoch decode_epoch(const U32& users, const U32& items, const F32& ratings,
                           const GroupBuffers& user_groups, const GroupBuffers& item_groups,
                           const F32& rates, const U32& counters, const ffi::RemainingRets& rets,
                           RowAttribute row, int64_t user_tables, int64_t block_size,
                           const ExecutionAttribute& execution, Rounding rounding,
                           Arithmetic arithmetic) {
  require_block_size(block_size);
  const bool exits_early = rates.element_count() == kRatesAndThresholds;
  Ratings data = decode_ratings(users, items, ratings, rates, counters,
                                exits_early ? kRatesAndThresholds : kRates);
  data.count = decode_count(counters, data.count);
  const float* rate = rates.typed_data();
  require(rate[3] >= 0 && rate[3] <= 1, "the sample ratio must lie in [0, 1]");
  const auto tables = static_cast<int64_t>(rets.size());
  const Lookup lookup = decode_lookup(execution);
  return {data,
          decode_side(user_groups, remaining(rets, 0, user_tables), row, "users", lookup),
          decode_side(item_groups, remaining(rets, user_tables, tables - user_tables), row, "items",
                      lookup),
          row.factors,
          block_size,
          decode_threads(execution),
          {rate[0], rate[1], rate[2]},
          counters.typed_data()[kSeed],
          counters.typed_data()[kEpochNumber],
          rate[3],
          rounding,
          {arithmetic, rate[4], exits_early ? decode_thresholds(rate + kRates) : Thresholds{}}};
}

// Any other arithmetic than FP32 knows rows of one storage only, and may need a number.
void require_computable(const mascot::Epoch& work) {
  const auto [arithmetic, quantiser, thresholds] = work.computation;
  if (arithmetic == Arithmetic::kFloat32) return;
  const Storage wanted = storage_for(arithmetic);
  for (const Side* side : {&work.users, &work.items}) {
    require(side->groups.uniform() && side->groups.storage(0) == wanted,
            std::string("this arithmetic needs all rows in ") + traits(wanted).name);
  }
  require(thresholds.user == 0 && thresholds.item == 0,
          "updates end early in float32 arithmetic only");
  require(work.sample_ratio == 0, "nothing can be sampled in another arithmetic than float32");
  require(arithmetic != Arithmetic::kMixed || quantiser > 0, "the loss scale must be positive");
  require(arithmetic != Arithmetic::kFixed || (quantiser >= 2 && quantiser <= 32),
          "the word length must lie between 2 and 32 bits");
}

Strata decode_strata(const U32& user_ranges, const U32& item_ranges, const U32& begin,
                     const U32& counters, bool conflict_free, const mascot::Epoch& work) {
  const Strata strata = {
      user_ranges.typed_data(),           item_ranges.typed_data(),           begin.typed_data(),
      counters.typed_data()[kUserRanges], counters.typed_data()[kItemRanges], conflict_free};
  require_ranges(user_ranges, strata.user_ranges, work.users.groups, "users");
  require_ranges(item_ranges, strata.item_ranges, work.items.groups, "items");
  const int64_t blocks = strata.blocks();
  require(static_cast<int64_t>(begin.element_count()) >= blocks,
          "strata must have one block for each pair of ranges");
  require(strata.begin[0] == 0 && strata.begin[blocks - 1] <= work.ratings.count &&
              std::is_sorted(strata.begin, strata.begin + blocks),
          "strata must tile the ratings");
  return strata;
}

// The blocks to visit: a span of a list.
std::vector<RangePair> decode_list(const U32& list, const U32& span, const Strata& strata) {
  require(list.dimensions().size() == 2 && list.dimensions()[1] == 2,
          "turns must be [t, 2]: pairs of a user range and an item range");
  require(span.element_count() == 2 && span.typed_data()[0] <= span.typed_data()[1] &&
              span.typed_data()[1] <= list.dimensions()[0],
          "span must be two places in the list of turns");
  std::vector<RangePair> pairs;
  for (int64_t i = span.typed_data()[0]; i < span.typed_data()[1]; ++i) {
    const uint32_t user = list.typed_data()[2 * i], item = list.typed_data()[2 * i + 1];
    require(user < strata.user_ranges && item < strata.item_ranges,
            "turns: there is no such range");
    pairs.push_back({user, item});
  }
  return pairs;
}

// Groups without rows have sums of zero.
void clear_sums(Sums sums, const Side& side, int64_t factors) {
  require_sums(sums, std::max(sums->dimensions()[0], side.groups.size()), factors);
  std::fill_n(sums->typed_data(), sums->element_count(), 0.0f);
}

void check_and_run(const Kernel& kernel, const mascot::Epoch& work, Sums user_sums,
                   Sums item_sums) {
  require_computable(work);
  clear_sums(user_sums, work.users, work.factors);
  clear_sums(item_sums, work.items, work.factors);
  run_epoch(kernel, work, user_sums->typed_data(), item_sums->typed_data());
}

ffi::Error epoch(U32 users, U32 items, F32 ratings, U32 user_starts, U8 user_codes, U32 item_starts,
                 U8 item_codes, F32 rates, U32 counters, ffi::RemainingArgs, Sums user_sums,
                 Sums item_sums, ffi::RemainingRets tables, RowAttribute row, int64_t user_tables,
                 int64_t block_size, ExecutionAttribute execution, std::string_view rounding,
                 std::string_view arithmetic) {
  return guarded([&] {
    const Kernel& kernel = decode_kernel(execution);
    const mascot::Epoch work =
        decode_epoch(users, items, ratings, {user_starts, user_codes}, {item_starts, item_codes},
                     rates, counters, tables, row, user_tables, block_size, execution,
                     decode_rounding(rounding), decode_arithmetic(arithmetic));
    check_and_run(kernel, work, user_sums, item_sums);
  });
}

ffi::Error strata_epoch(U32 users, U32 items, F32 ratings, U32 user_starts, U8 user_codes,
                        U32 item_starts, U8 item_codes, F32 rates, U32 counters, U32 user_ranges,
                        U32 item_ranges, U32 strata, ffi::RemainingArgs, Sums user_sums,
                        Sums item_sums, ffi::RemainingRets tables, RowAttribute row,
                        int64_t user_tables, int64_t block_size, ExecutionAttribute execution,
                        std::string_view rounding, std::string_view arithmetic, bool conflict_free,
                        int64_t rotations) {
  return guarded([&] {
    const Kernel& kernel = decode_kernel(execution);
    mascot::Epoch work =
        decode_epoch(users, items, ratings, {user_starts, user_codes}, {item_starts, item_codes},
                     rates, counters, tables, row, user_tables, block_size, execution,
                     decode_rounding(rounding), decode_arithmetic(arithmetic));
    work.strata = decode_strata(user_ranges, item_ranges, strata, counters, conflict_free, work);
    require(rotations >= 0, "rotations must not be negative");
    work.strata.rotations = rotations;
    check_and_run(kernel, work, user_sums, item_sums);
  });
}

// What interactions are drawn by; with checks of what a draw reads.
Drawing decode_drawing(const F32& user_draws, const U32& item_weights, const F32& negative_weight,
                       std::string_view loss, const mascot::Epoch& work) {
  const auto rows = [](const Side& side) { return side.groups.end(side.groups.size() - 1); };
  const auto draws = static_cast<int64_t>(user_draws.element_count());
  require(draws >= rows(work.users), "user_draws must have one element per user");
  require(static_cast<int64_t>(item_weights.element_count()) >= rows(work.items),
          "item_weights must have one element per item");
  const float* first = user_draws.typed_data();
  require(std::all_of(first, first + draws, [](float x) { return x >= 0 && x < kMostDraws; }),
          "user_draws must lie in [0, 2^40)");
  return {decode_loss(loss), *negative_weight.typed_data(), first, item_weights.typed_data()};
}

ffi::Error interactions_epoch(U32 users, U32 items, F32 ratings, U32 user_starts, U8 user_codes,
                              U32 item_starts, U8 item_codes, F32 rates, U32 counters,
                              U32 user_ranges, U32 item_ranges, U32 strata, F32 user_draws,
                              U32 item_weights, F32 negative_weight, ffi::RemainingArgs,
                              Sums user_sums, Sums item_sums, ffi::RemainingRets tables,
                              RowAttribute row, int64_t user_tables, int64_t block_size,
                              ExecutionAttribute execution, std::string_view rounding,
                              std::string_view arithmetic, bool conflict_free,
                              std::string_view loss) {
  return guarded([&] {
    const Kernel& kernel = decode_kernel(execution);
    mascot::Epoch work =
        decode_epoch(users, items, ratings, {user_starts, user_codes}, {item_starts, item_codes},
                     rates, counters, tables, row, user_tables, block_size, execution,
                     decode_rounding(rounding), decode_arithmetic(arithmetic));
    require_interactions(work.computation.arithmetic, rates, negative_weight);
    work.strata = decode_strata(user_ranges, item_ranges, strata, counters, conflict_free, work);
    const Drawing drawing = decode_drawing(user_draws, item_weights, negative_weight, loss, work);
    clear_sums(user_sums, work.users, work.factors);
    clear_sums(item_sums, work.items, work.factors);
    run_interactions(kernel, work, drawing, user_sums->typed_data(), item_sums->typed_data());
  });
}

// Words that stand for the sums of ranges: as many as there are, or more.
void require_words(int64_t rows, int64_t columns, const uint32_t* ranges, int64_t count,
                   const Groups& groups, int64_t factors) {
  require(columns == GroupSums::words(factors) &&
              rows * columns >= count_words(ranges, count, groups, factors),
          "sums must have a row of words for each group of each range");
}

ffi::Error turns(U32 users, U32 items, F32 ratings, U32 user_starts, U8 user_codes, U32 item_starts,
                 U8 item_codes, F32 rates, U32 counters, U32 user_ranges, U32 item_ranges,
                 U32 strata, U32 numbers, U32 list, U32 span, ffi::RemainingArgs, Words user_sums,
                 Words item_sums, ffi::RemainingRets tables, RowAttribute row, int64_t user_tables,
                 int64_t block_size, ExecutionAttribute execution, std::string_view rounding,
                 std::string_view arithmetic) {
  return guarded([&] {
    const Kernel& kernel = decode_kernel(execution);
    mascot::Epoch work =
        decode_epoch(users, items, ratings, {user_starts, user_codes}, {item_starts, item_codes},
                     rates, counters, tables, row, user_tables, block_size, execution,
                     decode_rounding(rounding), decode_arithmetic(arithmetic));
    require_computable(work);
    work.strata = decode_strata(user_ranges, item_ranges, strata, counters, true, work);
    require(static_cast<int64_t>(numbers.element_count()) >= work.strata.blocks(),
            "there must be a number for each block");
    work.strata.numbers = numbers.typed_data();
    const std::vector<RangePair> pairs = decode_list(list, span, work.strata);
    require_words(user_sums->dimensions()[0], user_sums->dimensions()[1], work.strata.user_starts,
                  work.strata.user_ranges, work.users.groups, row.factors);
    require_words(item_sums->dimensions()[0], item_sums->dimensions()[1], work.strata.item_starts,
                  work.strata.item_ranges, work.items.groups, row.factors);
    run_turns(kernel, work, pairs.data(), static_cast<int64_t>(pairs.size()),
              user_sums->typed_data(), item_sums->typed_data());
  });
}

ffi::Error total(U32 starts, U8 codes, U32 ranges, F32 rates, ffi::BufferR2<ffi::U32> sums,
                 Sums totals, RowAttribute row) {
  return guarded([&] {
    const Groups groups = decode_groups({starts, codes}, "total", Lookup::kDirect);
    const int64_t count = decode_ranges(ranges, groups, "total");
    require(rates.element_count() == kRates, "rates must hold 5 values");
    require_words(sums.dimensions()[0], sums.dimensions()[1], ranges.typed_data(), count, groups,
                  row.factors);
    require_sums(totals, std::max(totals->dimensions()[0], groups.size()), row.factors);
    std::fill_n(totals->typed_data(), totals->element_count(), 0.0f);
    total_sums(ranges.typed_data(), count, groups, row.factors, rates.typed_data()[0],
               sums.typed_data(), totals->typed_data());
  });
}

// What is exchanged by way of a parcel of so many bytes.
Exchange decode_exchange(const U32& ranges, const ffi::BufferR2<ffi::U32>& moves, const U32& pair,
                         int64_t bytes, const Side& side, int64_t factors) {
  const int64_t count = decode_ranges(ranges, side.groups, "exchange");
  require(moves.dimensions()[0] == count && moves.dimensions()[1] == 2,
          "there must be a move for each range");
  require(pair.element_count() == 2, "an exchange is between two workers");
  const Exchange exchange = {moves.typed_data(), ranges.typed_data(), count, pair.typed_data()[0],
                             pair.typed_data()[1]};
  const int64_t needed = bytes_of(exchange, side, factors);
  require(needed <= bytes, "a parcel of " + std::to_string(bytes) + " bytes is too small: " +
                               std::to_string(needed) + " are to be sent");
  return exchange;
}

ffi::Error pack(U32 starts, U8 codes, U32 ranges, ffi::BufferR2<ffi::U32> moves, U32 pair,
                ffi::BufferR2<ffi::U32> sums, ffi::RemainingArgs,
                ffi::Result<ffi::BufferR1<ffi::U8>> parcel, ffi::RemainingRets tables,
                RowAttribute row) {
  return guarded([&] {
    const auto count = static_cast<int64_t>(tables.size());
    const Side side = decode_side({starts, codes}, remaining(tables, 0, count), row, "pack");
    const auto bytes = static_cast<int64_t>(parcel->element_count());
    const Exchange exchange = decode_exchange(ranges, moves, pair, bytes, side, row.factors);
    require_words(sums.dimensions()[0], sums.dimensions()[1], ranges.typed_data(), exchange.ranges,
                  side.groups, row.factors);
    mascot::pack(exchange, side, row.factors, sums.typed_data(), parcel->typed_data());
  });
}

ffi::Error unpack(U32 starts, U8 codes, U32 ranges, ffi::BufferR2<ffi::U32> moves, U32 pair,
                  ffi::BufferR2<ffi::U32>, ffi::BufferR1<ffi::U8> parcel, ffi::RemainingArgs,
                  Words sums, ffi::RemainingRets tables, RowAttribute row) {
  return guarded([&] {
    const auto count = static_cast<int64_t>(tables.size());
    const Side side = decode_side({starts, codes}, remaining(tables, 0, count), row, "unpack");
    const auto bytes = static_cast<int64_t>(parcel.element_count());
    const Exchange exchange = decode_exchange(ranges, moves, pair, bytes, side, row.factors);
    require_words(sums->dimensions()[0], sums->dimensions()[1], ranges.typed_data(),
                  exchange.ranges, side.groups, row.factors);
    mascot::unpack(exchange, side, row.factors, sums->typed_data(), parcel.typed_data());
  });
}

ffi::Error stream(U32 users, U32 items, F32 ratings, U32 user_starts, U8 user_codes,
                  U32 item_starts, U8 item_codes, F32 rates, U32 counters, ffi::RemainingArgs,
                  ffi::RemainingRets tables, RowAttribute row, int64_t user_tables,
                  int64_t block_size, ExecutionAttribute execution) {
  return guarded([&] {
    const Kernel& kernel = decode_kernel(execution);
    run_stream(kernel,
               decode_epoch(users, items, ratings, {user_starts, user_codes},
                            {item_starts, item_codes}, rates, counters, tables, row, user_tables,
                            block_size, execution, Rounding::kNearest, Arithmetic::kFloat32));
  });
}

XLA_FFI_DEFINE_HANDLER(kEpoch, epoch, epoch_signature());
XLA_FFI_DEFINE_HANDLER(kStrataEpoch, strata_epoch, strata_epoch_signature());
XLA_FFI_DEFINE_HANDLER(kInteractionsEpoch, interactions_epoch, interactions_epoch_signature());
XLA_FFI_DEFINE_HANDLER(kTurns, turns, turns_signature());
XLA_FFI_DEFINE_HANDLER(kTotal, total, total_signature());
XLA_FFI_DEFINE_HANDLER(kPack, pack, pack_signature());
XLA_FFI_DEFINE_HANDLER(kUnpack, unpack, unpack_signature());
XLA_FFI_DEFINE_HANDLER(kStream, stream, stream_signature());

}  // namespace

const std::vector<Target>& epoch_targets() {
  static const std::vector<Target> all = {
      {"mascot_epoch", kEpoch},
      {"mascot_strata_epoch", kStrataEpoch},
      {"mascot_interactions_epoch", kInteractionsEpoch},
      {"mascot_turns", kTurns},
      {"mascot_total", kTotal},
      {"mascot_pack", kPack},
      {"mascot_unpack", kUnpack},
      {"mascot_stream", kStream},
  };
  return all;
}

}  // namespace mascot::bind

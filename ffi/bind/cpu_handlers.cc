// XLA FFI handlers of the CPU: decode and check, call the core, report. A view that is made here is
// safe to run on, given that the ratings' ids are in range (mascot_jax.engine.ratings checks those
// once).
#include <algorithm>

#include "bind/decode.h"
#include "bind/embedding_handlers.h"
#include "bind/handlers.h"
#include "bind/signatures.h"
#include "core/epoch.h"
#include "core/exchange.h"
#include "core/layout.h"
#include "core/projection.h"
#include "core/random.h"
#include "core/tables.h"

namespace mascot::bind {
namespace {

// Of a user in an epoch: far fewer than what 64 bits count.
constexpr float kMostDraws = 0x1p40f;

const Kernel& decode_kernel(const ExecutionAttribute& execution) {
  const Kernel* kernel = find_kernel(execution.instruction_set);
  require(kernel != nullptr, "instruction set '" + std::string(execution.instruction_set) +
                                 "' is unknown or not supported here");
  return *kernel;
}

int decode_threads(const ExecutionAttribute& execution) {
  require(execution.threads > 0, "threads must be at least 1");
  return execution.threads;
}

// Groups without rows are left out.
Groups decode_groups(const GroupBuffers& buffers, const char* side, Lookup lookup) {
  const int64_t groups = decode_group_count(buffers, side);
  const uint32_t* starts = buffers.starts.typed_data();
  const uint8_t* codes = buffers.codes.typed_data();
  return Groups(starts, codes, check_groups(starts, codes, groups, side), lookup);
}

Side decode_side(const GroupBuffers& groups, const std::vector<ffi::AnyBuffer>& tables,
                 const RowAttribute& row, const char* side, Lookup lookup = Lookup::kDirect) {
  const Tables decoded = decode_tables(tables, row, side);
  const Side result = {decoded.by_storage, decode_groups(groups, side, lookup)};
  check_side(result, decoded.rows, side);
  return result;
}

ffi::Error allocate(ffi::Result<ffi::AnyBuffer> table) {
  advise_huge_pages(table->untyped_data(), static_cast<int64_t>(table->size_bytes()));
  return ffi::Error::Success();
}

// The ratings that buffers with so many places hold.
int64_t decode_count(const U32& counters, int64_t places) {
  const uint32_t* counter = counters.typed_data();
  const auto count =
      static_cast<int64_t>(uint64_t{counter[kRatingsHigh]} << 32 | counter[kRatingsLow]);
  require(count >= 0 && count <= places, "there are fewer places than ratings");
  return count;
}

Thresholds decode_thresholds(const float* values) {
  require(values[0] >= 0 && values[1] >= 0, "thresholds must not be negative");
  return {values[0], values[1]};
}

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

// Checks the ranges of one side, which tile its rows.
void require_ranges(const U32& starts, int64_t ranges, const Groups& groups, const char* name) {
  require(ranges > 0 && ranges < static_cast<int64_t>(starts.element_count()),
          std::string(name) + ": there must be ranges, and a start more");
  const uint32_t* start = starts.typed_data();
  const int64_t rows = groups.end(groups.size() - 1);
  require(start[0] == 0 && start[ranges] == rows && std::is_sorted(start, start + ranges + 1),
          std::string(name) + ": ranges must tile the rows");
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

// The ranges of a side, none of which is padding.
int64_t decode_ranges(const U32& starts, const Groups& groups, const char* name) {
  const auto ranges = static_cast<int64_t>(starts.element_count()) - 1;
  require_ranges(starts, ranges, groups, name);
  return ranges;
}

// The list of blocks to visit.
std::vector<RangePair> decode_list(const U32& list, const Strata& strata) {
  require(list.dimensions().size() == 2 && list.dimensions()[1] == 2,
          "turns must be [t, 2]: pairs of a user range and an item range");
  std::vector<RangePair> pairs;
  for (int64_t i = 0; i < list.dimensions()[0]; ++i) {
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
                        std::string_view rounding, std::string_view arithmetic,
                        bool conflict_free) {
  return guarded([&] {
    const Kernel& kernel = decode_kernel(execution);
    mascot::Epoch work =
        decode_epoch(users, items, ratings, {user_starts, user_codes}, {item_starts, item_codes},
                     rates, counters, tables, row, user_tables, block_size, execution,
                     decode_rounding(rounding), decode_arithmetic(arithmetic));
    work.strata = decode_strata(user_ranges, item_ranges, strata, counters, conflict_free, work);
    check_and_run(kernel, work, user_sums, item_sums);
  });
}

// What interactions are drawn by; with checks of what a draw reads.
Drawing decode_drawing(const F32& user_draws, const U32& item_weights, const F32& zero_weight,
                       std::string_view loss, const mascot::Epoch& work) {
  const auto rows = [](const Side& side) { return side.groups.end(side.groups.size() - 1); };
  const auto draws = static_cast<int64_t>(user_draws.element_count());
  require(draws >= rows(work.users), "user_draws must have one element per user");
  require(static_cast<int64_t>(item_weights.element_count()) >= rows(work.items),
          "item_weights must have one element per item");
  require(zero_weight.element_count() == 1, "zero_weight must be one number");
  const float* first = user_draws.typed_data();
  require(std::all_of(first, first + draws, [](float x) { return x >= 0 && x < kMostDraws; }),
          "user_draws must lie in [0, 2^40)");
  return {decode_choice<Loss>(loss, "loss",
                              {{"squared", Loss::kSquared}, {"logistic", Loss::kLogistic}}),
          *zero_weight.typed_data(), first, item_weights.typed_data()};
}

ffi::Error interactions_epoch(U32 users, U32 items, F32 ratings, U32 user_starts, U8 user_codes,
                              U32 item_starts, U8 item_codes, F32 rates, U32 counters,
                              U32 user_ranges, U32 item_ranges, U32 strata, F32 user_draws,
                              U32 item_weights, F32 zero_weight, ffi::RemainingArgs, Sums user_sums,
                              Sums item_sums, ffi::RemainingRets tables, RowAttribute row,
                              int64_t user_tables, int64_t block_size, ExecutionAttribute execution,
                              std::string_view rounding, std::string_view arithmetic,
                              bool conflict_free, std::string_view loss) {
  return guarded([&] {
    const Kernel& kernel = decode_kernel(execution);
    mascot::Epoch work =
        decode_epoch(users, items, ratings, {user_starts, user_codes}, {item_starts, item_codes},
                     rates, counters, tables, row, user_tables, block_size, execution,
                     decode_rounding(rounding), decode_arithmetic(arithmetic));
    require(work.computation.arithmetic == Arithmetic::kFloat32,
            "interactions need the arithmetic float32");
    work.strata = decode_strata(user_ranges, item_ranges, strata, counters, conflict_free, work);
    const Drawing drawing = decode_drawing(user_draws, item_weights, zero_weight, loss, work);
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
                 U32 strata, U32 numbers, U32 list, ffi::RemainingArgs, Words user_sums,
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
    const std::vector<RangePair> pairs = decode_list(list, work.strata);
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
    require(rates.element_count() == 5, "rates must hold 5 values");
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

ffi::Error predict(U32 users, U32 items, U32 user_starts, U8 user_codes, U32 item_starts,
                   U8 item_codes, ffi::RemainingArgs args, Predictions predictions,
                   RowAttribute row, int64_t user_tables, int64_t block_size,
                   ExecutionAttribute execution) {
  return guarded([&] {
    require_block_size(block_size);
    const Ratings ids = decode_ids(users, items);
    require_predictions(predictions, ids);
    const auto tables = static_cast<int64_t>(args.size());
    const mascot::Epoch work = {
        ids,
        decode_side({user_starts, user_codes}, remaining(args, 0, user_tables), row, "users"),
        decode_side({item_starts, item_codes}, remaining(args, user_tables, tables - user_tables),
                    row, "items"),
        row.factors,
        block_size,
        decode_threads(execution)};
    run_predict(decode_kernel(execution), work, predictions->typed_data());
  });
}

ffi::Error predict_to_stop(U32 users, U32 items, U32 user_starts, U8 user_codes, U32 item_starts,
                           U8 item_codes, F32 thresholds, ffi::RemainingArgs args,
                           Predictions predictions, ffi::Result<ffi::BufferR1<ffi::U32>> stops,
                           RowAttribute row, int64_t user_tables, int64_t block_size,
                           ExecutionAttribute execution) {
  return guarded([&] {
    require_block_size(block_size);
    const Ratings ids = decode_ids(users, items);
    require_predictions(predictions, ids);
    require(static_cast<int64_t>(stops->element_count()) == ids.count,
            "stops must be as many as users");
    require(thresholds.element_count() == 2, "there must be 2 thresholds");
    const auto tables = static_cast<int64_t>(args.size());
    mascot::Epoch work = {
        ids,
        decode_side({user_starts, user_codes}, remaining(args, 0, user_tables), row, "users"),
        decode_side({item_starts, item_codes}, remaining(args, user_tables, tables - user_tables),
                    row, "items"),
        row.factors,
        block_size,
        decode_threads(execution)};
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
XLA_FFI_DEFINE_HANDLER(kEpoch, epoch, epoch_signature());
XLA_FFI_DEFINE_HANDLER(kStrataEpoch, strata_epoch, strata_epoch_signature());
XLA_FFI_DEFINE_HANDLER(kInteractionsEpoch, interactions_epoch, interactions_epoch_signature());
XLA_FFI_DEFINE_HANDLER(kTurns, turns, turns_signature());
XLA_FFI_DEFINE_HANDLER(kTotal, total, total_signature());
XLA_FFI_DEFINE_HANDLER(kPack, pack, pack_signature());
XLA_FFI_DEFINE_HANDLER(kUnpack, unpack, unpack_signature());
XLA_FFI_DEFINE_HANDLER(kStream, stream, stream_signature());
XLA_FFI_DEFINE_HANDLER(kPromote, promote, promote_signature());
XLA_FFI_DEFINE_HANDLER(kCheckFinite, check_finite, check_finite_signature());
XLA_FFI_DEFINE_HANDLER(kPredict, predict, predict_signature());
XLA_FFI_DEFINE_HANDLER(kPredictToStop, predict_to_stop, predict_to_stop_signature());
XLA_FFI_DEFINE_HANDLER(kJointBasis, joint_basis, joint_basis_signature());
XLA_FFI_DEFINE_HANDLER(kProject, project, project_signature());

}  // namespace

const std::vector<Target>& targets() {
  static const std::vector<Target> own = {
      {"mascot_allocate", kAllocate},
      {"mascot_lay_out", kLayOut},
      {"mascot_epoch", kEpoch},
      {"mascot_stream", kStream},
      {"mascot_promote", kPromote},
      {"mascot_predict", kPredict},
      {"mascot_check_finite", kCheckFinite},
      {"mascot_strata_epoch", kStrataEpoch},
      {"mascot_predict_to_stop", kPredictToStop},
      {"mascot_joint_basis", kJointBasis},
      {"mascot_project", kProject},
      {"mascot_interactions_epoch", kInteractionsEpoch},
      {"mascot_turns", kTurns},
      {"mascot_total", kTotal},
      {"mascot_pack", kPack},
      {"mascot_unpack", kUnpack},
  };
  static const std::vector<Target> all = [] {
    std::vector<Target> targets = own;
    targets.insert(targets.end(), embedding_targets().begin(), embedding_targets().end());
    return targets;
  }();
  return all;
}

}  // namespace mascot::bind

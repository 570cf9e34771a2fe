#include "bind/decode.h"

#include <algorithm>
#include <new>
#include <system_error>

namespace mascot::bind {
namespace {

// Bytes: an unaligned row spans one cache line more, at up to 3x the time.
constexpr int64_t kRowAlignment = 64;

// A group's number fits into 16 bits on the device.
constexpr int64_t kMostGroups = 65536;

// XLA's name for a storage's elements.
constexpr ffi::DataType element_type(std::string_view storage) {
  if (storage == "float32") return ffi::F32;
  if (storage == "float16") return ffi::F16;
  if (storage == "int8") return ffi::S8;
  return ffi::DataType::INVALID;
}

Storage storage_of(const ffi::AnyBuffer& table, const std::string& side) {
  std::string known;
  for (int code = 0; code < kStorages; ++code) {
    const char* name = kTraits[code].name;
    if (table.element_type() == element_type(name)) return static_cast<Storage>(code);
    known += (code == 0 ? "" : code + 1 < kStorages ? ", " : " or ") + std::string(name);
  }
  throw InvalidArgument(side + ": a factor table must be " + known);
}

// Checks one table's shape and alignment; returns its row count.
int64_t check_table(const ffi::AnyBuffer& table, Storage storage, const RowAttribute& row,
                    const std::string& side) {
  require(table.dimensions().size() == 2, side + ": a factor table must be [rows, stride]");
  const int64_t bytes = table.dimensions()[1] * traits(storage).bytes;
  check_rows(table.untyped_data(), bytes, storage, row, side);
  return table.dimensions()[0];
}

template <class Remaining, class Get>
std::vector<ffi::AnyBuffer> collect(const Remaining& remaining, int64_t first, int64_t count,
                                    Get get) {
  require(first >= 0 && count > 0 && first + count <= static_cast<int64_t>(remaining.size()),
          "user_tables does not fit the number of factor tables");
  std::vector<ffi::AnyBuffer> buffers;
  for (int64_t i = first; i < first + count; ++i) buffers.push_back(get(static_cast<size_t>(i)));
  return buffers;
}

}  // namespace

int64_t check_groups(const uint32_t* starts, const uint8_t* codes, int64_t groups,
                     const std::string& side) {
  require(starts[0] == 0, side + ": the first group must start at row 0");
  const int64_t used = std::lower_bound(starts, starts + groups, starts[groups]) - starts;
  require(used > 0, side + ": there must be a group with rows");
  for (int64_t g = 0; g < used; ++g) {
    require(starts[g] <= starts[g + 1], side + ": group starts must not fall");
    require(codes[g] < kStorages, side + ": unknown storage code");
  }
  return used;
}

int64_t scale_chunks(const RowAttribute& row) {
  require(row.scale_block > 0 && row.scale_block % kLanes == 0,
          "scale_block must be a multiple of " + std::to_string(kLanes));
  return std::min(row.scale_block / kLanes, chunk_count(row.factors));
}

void check_rows(const void* data, int64_t bytes, Storage storage, const RowAttribute& row,
                const std::string& side) {
  require(row.factors > 0, "factors must be at least 1");
  const int64_t used = row_bytes(storage, chunk_count(row.factors), scale_chunks(row));
  require(bytes >= used && bytes % kRowAlignment == 0,
          side + ": a table's stride (" + std::to_string(bytes / traits(storage).bytes) +
              ") must be factors (" + std::to_string(row.factors) +
              "), and int8's scales, padded to a multiple of 64 bytes");
  require(reinterpret_cast<uintptr_t>(data) % kRowAlignment == 0,
          side +
              ": a factor table must begin at a 64-byte boundary; allocate it with "
              "engine.tables.allocate");
}

void check_side(const Side& side, int64_t rows, const std::string& name) {
  const int64_t wanted = side.groups.end(side.groups.size() - 1);
  require(rows >= wanted, name + ": a table must have a row for each of the groups' (" +
                              std::to_string(wanted) + ")");
  for (int64_t g = 0; g < side.groups.size(); ++g) {
    require(side.tables[static_cast<size_t>(side.groups.storage(g))].data != nullptr,
            name + ": group " + std::to_string(g) + " is in a storage that has no table");
  }
}

int64_t decode_group_count(const GroupBuffers& buffers, const char* side) {
  const auto groups = static_cast<int64_t>(buffers.codes.element_count());
  const std::string name = side;
  require(groups > 0 && static_cast<int64_t>(buffers.starts.element_count()) == groups + 1,
          name + ": groups need at least one code, and one start more than codes");
  require(groups <= kMostGroups,
          name + ": there must be at most " + std::to_string(kMostGroups) + " groups");
  return groups;
}

Tables decode_tables(const std::vector<ffi::AnyBuffer>& tables, const RowAttribute& row,
                     const char* side) {
  const std::string name = side;
  const Storage first = storage_of(tables.front(), name);
  Tables result = {{}, check_table(tables.front(), first, row, name)};
  for (const ffi::AnyBuffer& buffer : tables) {
    const Storage storage = storage_of(buffer, name);
    Table& table = result.by_storage[static_cast<size_t>(storage)];
    require(table.data == nullptr, name + ": two tables of one storage");
    require(check_table(buffer, storage, row, name) == result.rows,
            name + ": all tables must have as many rows as the first (" +
                std::to_string(result.rows) + ")");
    table = {buffer.untyped_data(), buffer.dimensions()[1]};
    if (traits(storage).scaled) table.scale_chunks = scale_chunks(row);
  }
  return result;
}

std::vector<ffi::AnyBuffer> remaining(const ffi::RemainingArgs& args, int64_t first,
                                      int64_t count) {
  return collect(args, first, count, [&](size_t i) { return args.get<ffi::AnyBuffer>(i).value(); });
}

std::vector<ffi::AnyBuffer> remaining(const ffi::RemainingRets& rets, int64_t first,
                                      int64_t count) {
  return collect(rets, first, count,
                 [&](size_t i) { return *rets.get<ffi::AnyBuffer>(i).value(); });
}

Ratings decode_ids(const ffi::Buffer<ffi::U32>& users, const ffi::Buffer<ffi::U32>& items) {
  require(users.dimensions().size() == 1 && items.element_count() == users.element_count(),
          "users and items must be vectors of one length");
  return {users.typed_data(), items.typed_data(), nullptr,
          static_cast<int64_t>(users.element_count())};
}

Ratings decode_ratings(const ffi::Buffer<ffi::U32>& users, const ffi::Buffer<ffi::U32>& items,
                       const ffi::Buffer<ffi::F32>& ratings, const ffi::Buffer<ffi::F32>& rates,
                       const ffi::Buffer<ffi::U32>& counters, size_t rate_values) {
  require(rates.element_count() == rate_values && counters.element_count() == kCounters,
          "rates must hold " + std::to_string(rate_values) + " values and counters " +
              std::to_string(kCounters));
  Ratings data = decode_ids(users, items);
  require(static_cast<int64_t>(ratings.element_count()) == data.count,
          "ratings must be as many as users");
  data.rating = ratings.typed_data();
  return data;
}

Rounding decode_rounding(std::string_view name) {
  return decode_choice<Rounding>(
      name, "rounding", {{"nearest", Rounding::kNearest}, {"stochastic", Rounding::kStochastic}});
}

Arithmetic decode_arithmetic(std::string_view name) {
  return decode_choice<Arithmetic>(name, "arithmetic",
                                   {{"float32", Arithmetic::kFloat32},
                                    {"float16", Arithmetic::kFloat16},
                                    {"mixed", Arithmetic::kMixed},
                                    {"fixed", Arithmetic::kFixed}});
}

Loss decode_loss(std::string_view name) {
  return decode_choice<Loss>(name, "loss",
                             {{"squared", Loss::kSquared}, {"logistic", Loss::kLogistic}});
}

Lookup decode_lookup(const ExecutionAttribute& execution) {
  return decode_choice<Lookup>(
      execution.lookup, "lookup",
      {{"direct", Lookup::kDirect}, {"search", Lookup::kSearch}, {"per-row", Lookup::kPerRow}});
}

void require_block_size(int64_t block_size) {
  require(block_size > 0 && block_size <= kMostPerBlock,
          "block_size must lie between 1 and " + std::to_string(kMostPerBlock));
}

void require_sums(ffi::Result<ffi::BufferR2<ffi::F32>> sums, int64_t groups, int64_t factors) {
  require(sums->dimensions()[0] == groups && sums->dimensions()[1] == factors + kStatistics,
          "sums must be [groups, factors + 4]");
}

void require_predictions(ffi::Result<ffi::BufferR1<ffi::F32>> predictions, const Ratings& ids) {
  require(static_cast<int64_t>(predictions->element_count()) == ids.count,
          "predictions must be as many as users");
}

void require_stops(ffi::Result<ffi::BufferR1<ffi::U32>> stops,
                   const ffi::Buffer<ffi::F32>& thresholds, const Ratings& ids) {
  require(static_cast<int64_t>(stops->element_count()) == ids.count,
          "stops must be as many as users");
  require(thresholds.element_count() == 2, "there must be 2 thresholds");
}

void require_interactions(Arithmetic arithmetic, const ffi::Buffer<ffi::F32>& rates,
                          const ffi::Buffer<ffi::F32>& negative_weight) {
  require(arithmetic == Arithmetic::kFloat32, "interactions need the arithmetic float32");
  require(rates.element_count() == kRates, "rates must hold 5 values");
  require(negative_weight.element_count() == 1, "negative_weight must be one number");
}

ffi::Error guarded(const std::function<void()>& body) {
  try {
    body();
    return ffi::Error::Success();
  } catch (const InvalidArgument& error) {
    return ffi::Error::InvalidArgument(error.what());
  } catch (const std::bad_alloc&) {
    return ffi::Error(ffi::ErrorCode::kResourceExhausted,
                      "out of memory: beside its operands and results, this needs some of its own");
  } catch (const std::system_error& error) {
    return ffi::Error(ffi::ErrorCode::kResourceExhausted,
                      std::string("cannot start a thread: ") + error.what());
  } catch (const std::exception& error) {
    return ffi::Error::Internal(error.what());
  }
}

}  // namespace mascot::bind

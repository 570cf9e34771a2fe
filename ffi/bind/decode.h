// From XLA buffers to views, with every check that needs no buffer's contents: it serves both back
// ends, and a device's memory cannot be read without waiting for it.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bind/signatures.h"
#include "core/update/kernel.h"
#include "xla/ffi/api/ffi.h"

namespace mascot::bind {

namespace ffi = ::xla::ffi;

// A violated precondition; becomes an InvalidArgument error at the handler's boundary.
struct InvalidArgument : std::invalid_argument {
  using std::invalid_argument::invalid_argument;
};

inline void require(bool condition, const std::string& message) {
  if (!condition) throw InvalidArgument(message);
}

// The group table of one side: starts [groups + 1], codes [groups].
struct GroupBuffers {
  ffi::Buffer<ffi::U32> starts;
  ffi::Buffer<ffi::U8> codes;
};

// Number of groups, checked for the buffers' shapes only.
int64_t decode_group_count(const GroupBuffers& buffers, const char* side);

// A group table: starts [groups + 1], codes [groups]. Returns the number of groups up to the last
// one with rows: those behind it make arrays longer. Others may have no rows, too: where a process
// holds only some of a table.
int64_t check_groups(const uint32_t* starts, const uint8_t* codes, int64_t groups,
                     const std::string& side);

// Chunks of a row that share a scale.
int64_t scale_chunks(const RowAttribute& row);

// Where a table lies, and the bytes from a row to the next.
void check_rows(const void* data, int64_t bytes, Storage storage, const RowAttribute& row,
                const std::string& side);

// Every group's storage has a table, and the groups have no more than so many rows.
void check_side(const Side& side, int64_t rows, const std::string& name);

// The tables of one side, told apart by their element type, all of the same number of rows.
struct Tables {
  std::array<Table, kStorages> by_storage;
  int64_t rows;
};

Tables decode_tables(const std::vector<ffi::AnyBuffer>& tables, const RowAttribute& row,
                     const char* side);

// Buffers first .. first + count - 1 of a handler's remaining arguments or results.
std::vector<ffi::AnyBuffer> remaining(const ffi::RemainingArgs& args, int64_t first, int64_t count);
std::vector<ffi::AnyBuffer> remaining(const ffi::RemainingRets& rets, int64_t first, int64_t count);

Ratings decode_ids(const ffi::Buffer<ffi::U32>& users, const ffi::Buffer<ffi::U32>& items);

// What a pass that trains is given, checked against each other.
Ratings decode_ratings(const ffi::Buffer<ffi::U32>& users, const ffi::Buffer<ffi::U32>& items,
                       const ffi::Buffer<ffi::F32>& ratings, const ffi::Buffer<ffi::F32>& rates,
                       const ffi::Buffer<ffi::U32>& counters, size_t rate_values = kRates);

Rounding decode_rounding(std::string_view name);
Arithmetic decode_arithmetic(std::string_view name);
Loss decode_loss(std::string_view name);
Lookup decode_lookup(const ExecutionAttribute& execution);

// One of the choices that a word may stand for; name is that of the attribute.
template <class Choice>
Choice decode_choice(std::string_view value, const char* name,
                     std::initializer_list<std::pair<std::string_view, Choice>> choices) {
  std::string allowed;
  for (const auto& [word, choice] : choices) {
    if (word == value) return choice;
    allowed += (allowed.empty() ? "" : ", ") + std::string(word);
  }
  throw InvalidArgument(std::string(name) + " '" + std::string(value) + "' is not one of " +
                        allowed);
}

void require_block_size(int64_t block_size);
void require_sums(ffi::Result<ffi::BufferR2<ffi::F32>> sums, int64_t groups, int64_t factors);
void require_predictions(ffi::Result<ffi::BufferR1<ffi::F32>> predictions, const Ratings& ids);
void require_stops(ffi::Result<ffi::BufferR1<ffi::U32>> stops,
                   const ffi::Buffer<ffi::F32>& thresholds, const Ratings& ids);
void require_interactions(Arithmetic arithmetic, const ffi::Buffer<ffi::F32>& rates,
                          const ffi::Buffer<ffi::F32>& negative_weight);

// Runs a handler's body; what it throws becomes the error that JAX reports.
ffi::Error guarded(const std::function<void()>& body);

}  // namespace mascot::bind

// From XLA buffers to the core's views, with every check that does not need a pass over the
// ratings: shapes, storages, alignment, group tables. A view that leaves this file is safe to run
// on, given that the ratings' ids are in range (mascot_jax.ratings checks those once).
#pragma once

#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "core/epoch.h"
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

Groups decode_groups(const GroupBuffers& buffers, const char* side);

// The tables of one side, told apart by their element type, together with its groups.
Side decode_side(const GroupBuffers& groups, const std::vector<ffi::AnyBuffer>& tables,
                 int64_t factors, const char* side);

// Buffers first .. first + count - 1 of a handler's remaining arguments or results.
std::vector<ffi::AnyBuffer> remaining(const ffi::RemainingArgs& args, int64_t first, int64_t count);
std::vector<ffi::AnyBuffer> remaining(const ffi::RemainingRets& rets, int64_t first, int64_t count);

Ratings decode_ids(const ffi::Buffer<ffi::U32>& users, const ffi::Buffer<ffi::U32>& items);

Rounding decode_rounding(std::string_view name);

const Kernel& decode_kernel(std::string_view instruction_set);

// Runs a handler's body; what it throws becomes the error that JAX reports.
ffi::Error guarded(const std::function<void()>& body);

}  // namespace mascot::bind

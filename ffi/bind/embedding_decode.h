// From XLA buffers to tables of click models, with every check that needs no buffer's contents: for
// both back ends.
#pragma once

#include <cstdint>
#include <string_view>

#include "bind/decode.h"
#include "core/embedding/kernel.h"

namespace mascot::bind {

using LookedUp = ffi::BufferR2<ffi::U32>;  // [batch, fields]
using Matrix = ffi::BufferR2<ffi::F32>;
using Vector = ffi::BufferR1<ffi::F32>;
using Counters = ffi::BufferR1<ffi::U32>;
using Values = ffi::BufferR3<ffi::F32>;  // [batch, fields, dimension]

int64_t checked_dimension(int64_t dimension);

// A tier's rows, and the name of their storage.
struct Stored {
  const ffi::AnyBuffer& rows;
  std::string_view storage;
};

// Tables for lookups with scales of the fields.
Embedding decode_scaled(const Stored& wide, const Stored& narrow, int64_t dimension,
                        const Vector& scales, int64_t levels, int64_t fields);

// Tables that rows are written to.
Embedding decode_written(const Stored& wide, const Stored& narrow, int64_t dimension);
Tier decode_written(const Stored& tier, int64_t dimension);

Lookups decode_batch(const LookedUp& rows);

void require_values(const Values& values, int64_t batch, int64_t fields, int64_t dimension);
void require_counters(const Counters& counters);

}  // namespace mascot::bind

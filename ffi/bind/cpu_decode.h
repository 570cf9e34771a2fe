// Views of operands that handlers of the CPU share, checked.
#pragma once

#include "bind/decode.h"
#include "bind/signatures.h"
#include "core/epoch.h"

namespace mascot::bind {

const Kernel& decode_kernel(const ExecutionAttribute& execution);
int decode_threads(const ExecutionAttribute& execution);

// Groups without rows are left out.
Groups decode_groups(const GroupBuffers& buffers, const char* side, Lookup lookup);
Side decode_side(const GroupBuffers& groups, const std::vector<ffi::AnyBuffer>& tables,
                 const RowAttribute& row, const char* side, Lookup lookup = Lookup::kDirect);

// The ratings that buffers with so many places hold.
int64_t decode_count(const U32& counters, int64_t places);

Thresholds decode_thresholds(const float* values);

// Checks the ranges of one side, which tile its rows.
void require_ranges(const U32& starts, int64_t ranges, const Groups& groups, const char* name);

// The number of ranges of a side, none of which is padding.
int64_t decode_ranges(const U32& starts, const Groups& groups, const char* name);

}  // namespace mascot::bind

#include "bind/cpu_decode.h"

#include <algorithm>

namespace mascot::bind {

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

Groups decode_groups(const GroupBuffers& buffers, const char* side, Lookup lookup) {
  const int64_t groups = decode_group_count(buffers, side);
  const uint32_t* starts = buffers.starts.typed_data();
  const uint8_t* codes = buffers.codes.typed_data();
  return Groups(starts, codes, check_groups(starts, codes, groups, side), lookup);
}

Side decode_side(const GroupBuffers& groups, const std::vector<ffi::AnyBuffer>& tables,
                 const RowAttribute& row, const char* side, Lookup lookup) {
  const Tables decoded = decode_tables(tables, row, side);
  const Side result = {decoded.by_storage, decode_groups(groups, side, lookup)};
  check_side(result, decoded.rows, side);
  return result;
}

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

void require_ranges(const U32& starts, int64_t ranges, const Groups& groups, const char* name) {
  require(ranges > 0 && ranges < static_cast<int64_t>(starts.element_count()),
          std::string(name) + ": there must be ranges, and a start more");
  const uint32_t* start = starts.typed_data();
  const int64_t rows = groups.end(groups.size() - 1);
  require(start[0] == 0 && start[ranges] == rows && std::is_sorted(start, start + ranges + 1),
          std::string(name) + ": ranges must tile the rows");
}

int64_t decode_ranges(const U32& starts, const Groups& groups, const char* name) {
  const auto ranges = static_cast<int64_t>(starts.element_count()) - 1;
  require_ranges(starts, ranges, groups, name);
  return ranges;
}

}  // namespace mascot::bind

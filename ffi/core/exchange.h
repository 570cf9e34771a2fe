// Ranges of rows on their way between workers, who take turns at them: each row in the storage of
// its group, without padding, then the range's sums as they stand, if they travel.
#pragma once

#include <cstdint>

#include "core/host_device.h"
#include "core/model.h"

namespace mascot {

// Stands for every worker but the sender.
inline constexpr uint32_t kEveryone = UINT32_MAX;

// What moves between two rounds of an epoch, and which part of it goes from one to another.
struct Exchange {
  const uint32_t* moves;   // [ranges, 2]: the worker that has a range, and who gets it; or equal
  const uint32_t* starts;  // [ranges + 1]: rows
  int64_t ranges;
  uint32_t from;     // the worker that sends,
  uint32_t to;       // and the one that gets it
  bool sums = true;  // whether the ranges' sums go with them

  // Whether a range goes from one to the other.
  MASCOT_HD bool takes(int64_t range) const {
    const uint32_t at = moves[2 * range], next = moves[2 * range + 1];
    return from != to && at == from && at != next && (next == to || next == kEveryone);
  }
};

// Bytes that one worker sends to the other.
int64_t bytes_of(const Exchange& exchange, const Side& side, int64_t factors);

// Writes what is sent. sums: the words of all ranges' sums (epoch.h).
void pack(const Exchange& exchange, const Side& side, int64_t factors, const uint32_t* sums,
          uint8_t* out);

// Reads what pack has written.
void unpack(const Exchange& exchange, const Side& side, int64_t factors, uint32_t* sums,
            const uint8_t* in);

}  // namespace mascot

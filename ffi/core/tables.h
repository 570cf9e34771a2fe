// Work on whole factor tables between epochs.
#pragma once

#include <cstdint>

#include "core/update/kernel.h"

namespace mascot {

// Asks for huge pages for memory that has not been touched yet, and does not touch it:
// a table walked at random misses the TLB on every row otherwise.
void advise_huge_pages(void* data, int64_t bytes);

// Converts the rows of every group whose storage differs between `from` and `to`: precision
// switching, which goes one way. Into float32 that is exact; from int8 into float16 it rounds to
// nearest, by less than a hundredth of int8's steps.
void promote(const Kernel& kernel, const Side& from, const Groups& to, int64_t factors,
             int threads);

// finite[g] = 1 where every factor of group g is finite, else 0.
void check_finite(const Side& side, int64_t factors, int threads, uint8_t* finite);

}  // namespace mascot

// One FP32 lane, for the threads of a GPU: what is written for sixteen lanes of any instruction set
// is compiled for one of them, too.
#pragma once

#include <cmath>
#include <cstdint>

#include "core/host_device.h"
#include "core/storages/int8.h"

namespace mascot::single {

using Lanes = float;
using Words = uint32_t;

MASCOT_INLINE Lanes broadcast(float x) { return x; }
MASCOT_INLINE Lanes multiply(Lanes a, Lanes b) { return a * b; }
MASCOT_INLINE Lanes subtract(Lanes a, Lanes b) { return a - b; }
MASCOT_INLINE Lanes divide(Lanes a, Lanes b) { return a / b; }
MASCOT_INLINE Lanes fma(Lanes a, Lanes b, Lanes c) { return fmaf(a, b, c); }
MASCOT_INLINE Lanes to_whole(Lanes a) { return rintf(a); }
MASCOT_INLINE Lanes minimum(Lanes a, Lanes b) { return a < b ? a : b; }
MASCOT_INLINE Lanes maximum(Lanes a, Lanes b) { return a > b ? a : b; }

MASCOT_INLINE Words all(uint32_t word) { return word; }
MASCOT_INLINE Words both(Words a, Words b) { return a & b; }
MASCOT_INLINE Words either(Words a, Words b) { return a | b; }
template <int Bits>
MASCOT_INLINE Words shift_right(Words a) {
  return a >> Bits;
}
MASCOT_INLINE Lanes floats_of(Words a) { return float_of(a); }

#include "core/lanes/random_offset.h"

}  // namespace mascot::single

// All that the kernels' parts need, before the instruction set's pragma: an inline function of the
// standard library compiled for it could be the copy that the linker keeps for the whole program.
#pragma once

#include <algorithm>
#include <array>
#include <cfloat>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <type_traits>
#include <utility>

#include "core/dither.h"
#include "core/random.h"
#include "core/update/kernel.h"

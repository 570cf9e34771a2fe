// The kernel for CPUs with AVX2, FMA and F16C.
//
// The standard headers come before the pragma: an inline function of theirs compiled for this
// instruction set could be the copy that the linker keeps for the whole program.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <type_traits>
#include <utility>

#include "core/dither.h"
#include "core/half.h"
#include "core/kernel.h"
#include "core/random.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c")
#include "core/lanes_avx2.h"
namespace mascot::avx2 {
namespace {
#include "core/kernel_body.h"
}  // namespace
}  // namespace mascot::avx2
#pragma GCC pop_options

namespace mascot::avx2 {
namespace {
bool supported() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("f16c");
}
}  // namespace
}  // namespace mascot::avx2

namespace mascot {
const Kernel kAvx2 = {"avx2",        avx2::supported, avx2::update,
                      avx2::predict, avx2::convert,   avx2::stream};
}  // namespace mascot
#endif

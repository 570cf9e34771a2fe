// The kernel for CPUs with AVX-512 F, DQ, BW and VL.
#include "core/update/headers.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma GCC push_options
#pragma GCC target("avx512f,avx512dq,avx512bw,avx512vl,fma,f16c,popcnt")
#include "core/lanes/avx512.h"
namespace mascot::avx512 {
namespace {
#include "core/update/body.h"
}  // namespace
}  // namespace mascot::avx512
#pragma GCC pop_options

namespace mascot::avx512 {
namespace {
bool supported() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c") &&
         __builtin_cpu_supports("popcnt");
}
}  // namespace
}  // namespace mascot::avx512

namespace mascot {
const Kernel kAvx512 = {"avx512",        avx512::supported,       avx512::update,
                        avx512::predict, avx512::predict_to_stop, avx512::convert,
                        avx512::stream,  avx512::add_moments,     avx512::project,
                        avx512::interact};
}  // namespace mascot
#endif

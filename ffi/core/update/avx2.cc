// The kernel for CPUs with AVX2, FMA and F16C.
#include "core/update/headers.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c")
#include "core/lanes/avx2.h"
namespace mascot::avx2 {
namespace {
#include "core/update/body.h"
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
const Kernel kAvx2 = {
    "avx2",        avx2::supported, avx2::update,      avx2::predict, avx2::predict_to_stop,
    avx2::convert, avx2::stream,    avx2::add_moments, avx2::project, avx2::interact};
}  // namespace mascot
#endif

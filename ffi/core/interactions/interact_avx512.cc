// For CPUs with AVX-512 F, DQ, BW and VL.
#include "core/update/headers.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma GCC push_options
#pragma GCC target("avx512f,avx512dq,avx512bw,avx512vl,fma,f16c,popcnt")
#include "core/lanes/avx512.h"
namespace mascot::avx512 {
namespace {
#include "core/interactions/body.h"
}  // namespace
void interact(const Task& task, const Negatives& negatives, const Corner& corner) {
  update_corner(task, negatives, corner);
}
}  // namespace mascot::avx512
#pragma GCC pop_options
#endif

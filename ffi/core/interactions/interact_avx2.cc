// For CPUs with AVX2, FMA and F16C.
#include "core/update/headers.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c")
#include "core/lanes/avx2.h"
namespace mascot::avx2 {
namespace {
#include "core/interactions/body.h"
}  // namespace
void interact(const Task& task, const Negatives& negatives, const Corner& corner) {
  update_corner(task, negatives, corner);
}
}  // namespace mascot::avx2
#pragma GCC pop_options
#endif

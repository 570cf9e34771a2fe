// Embedding tables on CPUs with AVX-512 F, DQ, BW and VL.
#include "core/embedding/kernel.h"
#include "core/update/headers.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma GCC push_options
#pragma GCC target("avx512f,avx512dq,avx512bw,avx512vl,fma,f16c,popcnt")
#include "core/lanes/avx512.h"
namespace mascot::avx512 {
namespace {
#include "core/embedding/body.h"
}  // namespace
}  // namespace mascot::avx512
#pragma GCC pop_options

namespace mascot {
const EmbeddingKernel kAvx512Embedding = {"avx512", avx512::look_up, avx512::update_field,
                                          avx512::coalesce_field, avx512::store_rows};
}  // namespace mascot
#endif

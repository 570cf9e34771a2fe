// Embedding tables on CPUs with AVX2, FMA and F16C.
#include "core/embedding/kernel.h"
#include "core/update/headers.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c")
#include "core/lanes/avx2.h"
namespace mascot::avx2 {
namespace {
#include "core/embedding/body.h"
}  // namespace
}  // namespace mascot::avx2
#pragma GCC pop_options

namespace mascot {
const EmbeddingKernel kAvx2Embedding = {"avx2", avx2::look_up, avx2::update_field,
                                        avx2::coalesce_field, avx2::store_rows};
}  // namespace mascot
#endif

// Embedding tables on 64-bit ARM CPUs.
#include "core/embedding/kernel.h"
#include "core/update/headers.h"

#if defined(__aarch64__)
#include "core/lanes/neon.h"
namespace mascot::neon {
namespace {
#include "core/embedding/body.h"
}  // namespace
}  // namespace mascot::neon

namespace mascot {
const EmbeddingKernel kNeonEmbedding = {"neon", neon::look_up, neon::update_field,
                                        neon::coalesce_field, neon::store_rows};
}  // namespace mascot
#endif

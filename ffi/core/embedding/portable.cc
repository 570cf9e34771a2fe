// Embedding tables in plain C++: any CPU.
#include "core/lanes/portable.h"

#include "core/embedding/kernel.h"
#include "core/update/headers.h"

namespace mascot::portable {
namespace {
#include "core/embedding/body.h"
}  // namespace
}  // namespace mascot::portable

namespace mascot {
const EmbeddingKernel kPortableEmbedding = {"portable", portable::look_up, portable::update_field,
                                            portable::coalesce_field, portable::store_rows};
}  // namespace mascot

// For 64-bit ARM CPUs.
#include "core/update/headers.h"

#if defined(__aarch64__)
#include "core/lanes/neon.h"
namespace mascot::neon {
namespace {
#include "core/interactions/body.h"
}  // namespace
void interact(const Task& task, const Negatives& negatives, const Corner& corner) {
  update_corner(task, negatives, corner);
}
}  // namespace mascot::neon
#endif

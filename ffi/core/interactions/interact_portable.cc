// In plain C++, for any CPU.
#include "core/lanes/portable.h"
#include "core/update/headers.h"

namespace mascot::portable {
namespace {
#include "core/interactions/body.h"
}  // namespace
void interact(const Task& task, const Negatives& negatives, const Corner& corner) {
  update_corner(task, negatives, corner);
}
}  // namespace mascot::portable

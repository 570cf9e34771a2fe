// The kernel in plain C++: any CPU.
#include "core/lanes/portable.h"

#include "core/update/headers.h"

namespace mascot::portable {
namespace {
#include "core/update/body.h"
bool supported() { return true; }
}  // namespace
}  // namespace mascot::portable

namespace mascot {
const Kernel kPortable = {"portable",        portable::supported,       portable::update,
                          portable::predict, portable::predict_to_stop, portable::convert,
                          portable::stream,  portable::add_moments,     portable::project,
                          portable::interact};
}  // namespace mascot

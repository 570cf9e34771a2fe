// The kernel for 64-bit ARM CPUs: all of them have NEON.
#include "core/update/headers.h"

#if defined(__aarch64__)
#include "core/lanes/neon.h"
namespace mascot::neon {
namespace {
#include "core/update/body.h"
bool supported() { return true; }
}  // namespace
}  // namespace mascot::neon

namespace mascot {
const Kernel kNeon = {
    "neon",        neon::supported, neon::update,      neon::predict, neon::predict_to_stop,
    neon::convert, neon::stream,    neon::add_moments, neon::project, neon::interact};
}  // namespace mascot
#endif

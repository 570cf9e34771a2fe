// The kernel in plain C++: any CPU.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <type_traits>
#include <utility>

#include "core/dither.h"
#include "core/half.h"
#include "core/kernel.h"
#include "core/lanes_portable.h"
#include "core/random.h"

namespace mascot::portable {
namespace {
#include "core/kernel_body.h"
bool supported() { return true; }
}  // namespace
}  // namespace mascot::portable

namespace mascot {
const Kernel kPortable = {"portable",        portable::supported, portable::update,
                          portable::predict, portable::convert,   portable::stream};
}  // namespace mascot

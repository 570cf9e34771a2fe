// The XLA FFI targets of embedding tables on the CPU.
#pragma once

#include <vector>

#include "bind/handlers.h"

namespace mascot::bind {

const std::vector<Target>& embedding_targets();

}  // namespace mascot::bind

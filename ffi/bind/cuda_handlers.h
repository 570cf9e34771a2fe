// The XLA FFI targets of the GPU that have a file of their own.
#pragma once

#include <vector>

#include "bind/handlers.h"

namespace mascot::bind {

const std::vector<Target>& embedding_targets();
const std::vector<Target>& sharing_targets();

}  // namespace mascot::bind

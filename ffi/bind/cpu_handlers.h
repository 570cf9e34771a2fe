// The XLA FFI targets of the CPU, by what they work on.
#pragma once

#include <vector>

#include "bind/handlers.h"

namespace mascot::bind {

const std::vector<Target>& epoch_targets();
const std::vector<Target>& table_targets();
const std::vector<Target>& embedding_targets();

}  // namespace mascot::bind

// The XLA FFI targets of one back end. Each back end's module links one definition.
#pragma once

#include <vector>

#include "xla/ffi/api/c_api.h"

namespace mascot::bind {

struct Target {
  const char* name;
  XLA_FFI_Handler* handler;
};

const std::vector<Target>& targets();

}  // namespace mascot::bind

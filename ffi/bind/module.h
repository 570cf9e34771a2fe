// What both extension modules tell of themselves.
#pragma once

#include <nanobind/nanobind.h>

#include "bind/handlers.h"

namespace mascot::bind {

// FFI target name -> capsule.
inline nanobind::dict registrations() {
  nanobind::dict capsules;
  for (const Target& target : targets()) {
    capsules[target.name] =
        nanobind::capsule(reinterpret_cast<void*>(target.handler), "xla._CUSTOM_CALL_TARGET");
  }
  return capsules;
}

// Compiler, hash of the sources, FFI API version.
inline nanobind::dict common_build_info() {
  nanobind::dict info;
  info["compiler"] = MASCOT_COMPILER;
  info["source_hash"] = MASCOT_SOURCE_HASH;
  info["ffi_api_version"] = nanobind::make_tuple(XLA_FFI_API_MAJOR, XLA_FFI_API_MINOR);
  return info;
}

}  // namespace mascot::bind

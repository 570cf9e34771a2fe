// mascot_ffi._cpu: the handlers as capsules, and what the module was built from.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <string>
#include <vector>

#include "bind/handlers.h"
#include "core/epoch.h"

namespace nb = nanobind;

namespace mascot::bind {
namespace {

nb::dict registrations() {
  nb::dict capsules;
  for (const Target& target : targets()) {
    capsules[target.name] =
        nb::capsule(reinterpret_cast<void*>(target.handler), "xla._CUSTOM_CALL_TARGET");
  }
  return capsules;
}

std::vector<std::string> instruction_sets() {
  std::vector<std::string> supported;
  for (const char* name : {"avx512", "avx2", "portable"}) {
    if (find_kernel(name) != nullptr) supported.emplace_back(name);
  }
  return supported;
}

nb::dict build_info() {
  nb::dict info;
  info["compiler"] = MASCOT_COMPILER;
  info["source_hash"] = MASCOT_SOURCE_HASH;
  info["ffi_api_version"] = nb::make_tuple(XLA_FFI_API_MAJOR, XLA_FFI_API_MINOR);
  info["instruction_sets"] = instruction_sets();
  return info;
}

}  // namespace

NB_MODULE(_cpu, module) {
  module.def("registrations", &registrations, "FFI target name -> capsule, for the CPU platform.");
  module.def("build_info", &build_info,
             "Compiler, hash of the sources, FFI API version, and the instruction sets that this "
             "CPU supports, best first.");
}

}  // namespace mascot::bind

// mascot_ffi._cpu: the handlers as capsules, and what the module was built from.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <string>
#include <vector>

#include "bind/direct.h"
#include "bind/module.h"
#include "core/epoch.h"

namespace nb = nanobind;

namespace mascot::bind {
namespace {

std::vector<std::string> instruction_sets() {
  std::vector<std::string> supported;
  for (const char* name : {"avx512", "avx2", "neon", "portable"}) {
    if (find_kernel(name) != nullptr) supported.emplace_back(name);
  }
  return supported;
}

nb::dict build_info() {
  nb::dict info = common_build_info();
  info["instruction_sets"] = instruction_sets();
  return info;
}

}  // namespace

NB_MODULE(_cpu, module) {
  module.def("registrations", &registrations, "FFI target name -> capsule, for the CPU platform.");
  module.def("build_info", &build_info,
             "Compiler, hash of the sources, FFI API version, and the instruction sets that this "
             "CPU supports, best first.");
  define_direct(module);
}

}  // namespace mascot::bind

// mascot_ffi._cpu: the handlers as capsules, and what the module was built from.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cstring>
#include <string>
#include <vector>

#include "bind/direct.h"
#include "bind/module.h"
#include "core/epoch.h"
#include "core/rotations.h"

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

using List = nb::ndarray<uint32_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

void draw_list(int64_t user_ranges, int64_t item_ranges, int64_t rotations, bool users_stay,
               uint32_t seed, uint32_t epoch, List out) {
  if (user_ranges < 1 || item_ranges < 1 || out.shape(1) != 2 ||
      static_cast<int64_t>(out.shape(0)) != user_ranges * item_ranges) {
    throw nb::value_error("the list must be [user ranges * item ranges, 2]");
  }
  if (rotations < 0) throw nb::value_error("rotations must not be negative");
  const auto list = draw_rotations(user_ranges, item_ranges, rotations, users_stay, seed, epoch);
  std::memcpy(out.data(), list.data(), list.size() * sizeof(RangePair));
}

}  // namespace

NB_MODULE(_cpu, module) {
  module.def("registrations", &registrations, "FFI target name -> capsule, for the CPU platform.");
  module.def("build_info", &build_info,
             "Compiler, hash of the sources, FFI API version, and the instruction sets that this "
             "CPU supports, best first.");
  module.def("draw_list", &draw_list,
             "Write the blocks of an epoch in their order, uint32 [blocks, 2]: pairs of a range of "
             "users and one of items.");
  define_direct(module);
}

}  // namespace mascot::bind

// mascot_ffi._cuda: the handlers as capsules, what the module was built from, and what is there to
// run it. Importing it needs no driver.
#include <cuda_runtime_api.h>
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <vector>

#include "bind/module.h"

namespace nb = nanobind;

namespace mascot::bind {
namespace {

// Compute capabilities times ten that the module holds machine code for, and that of its PTX.
const std::vector<int> kArchitectures = {MASCOT_CUDA_ARCHITECTURES};
constexpr int kPtx = MASCOT_CUDA_PTX;

nb::dict build_info() {
  nb::dict info = common_build_info();
  info["architectures"] = kArchitectures;
  info["ptx"] = kPtx;
  return info;
}

// Machine code runs on later minor versions of its major version, PTX on everything later.
bool runs_on(int capability) {
  for (const int built : kArchitectures) {
    if (built / 10 == capability / 10 && built <= capability) return true;
  }
  return capability >= kPtx;
}

nb::dict probe() {
  int driver = 0, runtime = 0, count = 0;
  cudaDriverGetVersion(&driver);
  cudaRuntimeGetVersion(&runtime);
  const cudaError_t error = cudaGetDeviceCount(&count);
  nb::list devices;
  for (int id = 0; error == cudaSuccess && id < count; ++id) {
    cudaDeviceProp properties;
    if (cudaGetDeviceProperties(&properties, id) != cudaSuccess) continue;
    nb::dict device;
    const int capability = properties.major * 10 + properties.minor;
    device["name"] = static_cast<const char*>(properties.name);
    device["capability"] = capability;
    device["usable"] = runs_on(capability);
    devices.append(device);
  }
  nb::dict found;
  found["driver"] = driver;
  found["runtime"] = runtime;
  found["error"] = error == cudaSuccess ? "" : cudaGetErrorString(error);
  found["devices"] = devices;
  return found;
}

}  // namespace

NB_MODULE(_cuda, module) {
  module.def("registrations", &registrations, "FFI target name -> capsule, for the CUDA platform.");
  module.def(
      "build_info", &build_info,
      "Compiler, hash of the sources, FFI API version, the architectures (compute capability "
      "times ten) that the module holds machine code for, and that of its PTX.");
  module.def("probe", &probe,
             "The driver's and the runtime's CUDA versions, the devices, and whether the module "
             "runs on each.");
}

}  // namespace mascot::bind

// The kernels' predictions without XLA: for one user a dispatch takes longer than the prediction,
// and XLA's threads do not live on in a child process.
#pragma once

#include <nanobind/nanobind.h>

namespace mascot::bind {

void define_direct(nanobind::module_& module);

}  // namespace mascot::bind

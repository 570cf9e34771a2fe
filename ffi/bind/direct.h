// What the core computes without XLA. Predictions: for one user a dispatch takes longer than the
// prediction, and XLA's threads do not live on in a child process. Axes: moments that a GPU has
// added up are float64 by then, which the library's JAX code has none of.
#pragma once

#include <nanobind/nanobind.h>

namespace mascot::bind {

void define_direct(nanobind::module_& module);

}  // namespace mascot::bind

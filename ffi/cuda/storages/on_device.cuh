// A storage (core/storages) as a GPU reads and writes it: one specialisation for each.
#pragma once

#include "core/storages/storages.h"
#include "cuda/hardware.cuh"

namespace mascot::cuda {

// decode<V>(words) and encode<V>(vector): V components side by side, to nearest. Unless the storage
// is scaled also add(row, change), atomically.
template <class S>
struct OnDevice;

}  // namespace mascot::cuda

// The precisions a row is stored in, as types that load, store and add vectors of components.
// Arithmetic is FP32.
#pragma once

#include "core/groups.h"
#include "cuda/hardware.cuh"

namespace mascot::cuda {

struct Float32 {
  using Element = float;
  static constexpr Storage kStorage = Storage::kFloat32;
  static constexpr bool kRounds = false;

  template <int V>
  static __device__ Vector<V> load(const float* row) {
    return load4(row);
  }
  template <int V>
  static __device__ void store(float* row, const Vector<V>& v) {
    store4(row, v);
  }
  template <int V>
  static __device__ void add(float* row, const Vector<V>& change) {
    add4(row, change);
  }
};

struct Float16 {
  using Element = uint16_t;
  static constexpr Storage kStorage = Storage::kFloat16;
  static constexpr bool kRounds = true;

  template <int V>
  static __device__ Vector<V> load(const uint16_t* row) {
    return load_halves<V>(row);
  }
  template <int V>
  static __device__ void store(uint16_t* row, const Vector<V>& v) {
    store_halves(row, v);
  }
  template <int V>
  static __device__ void add(uint16_t* row, const Vector<V>& change) {
    add_halves(row, change);
  }
  static __device__ float rounded(float value) { return round_to_half(value); }
};

}  // namespace mascot::cuda

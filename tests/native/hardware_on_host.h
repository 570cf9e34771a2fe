// What cuda/hardware.cuh gives the kernels, on the host. Alignment is checked as the device would.
#pragma once

#include "core/half.h"
#include "fibres.h"

namespace mascot::cuda {

template <class T>
T* aligned(T* address, std::size_t bytes) {
  if (reinterpret_cast<std::uintptr_t>(address) % bytes != 0) {
    std::fputs("hardware_on_host: a vector access is not aligned\n", stderr);
    std::abort();
  }
  return address;
}

inline int opaque(int value) { return value; }

inline Vector<4> load4(const float* row) {
  Vector<4> v;
  std::memcpy(v.at, aligned(row, 16), sizeof v.at);
  return v;
}
inline void store4(float* row, const Vector<4>& v) {
  std::memcpy(aligned(row, 16), v.at, sizeof v.at);
}
inline void add4(float* row, const Vector<4>& v) {
  aligned(row, 16);
  for (int i = 0; i < 4; ++i) row[i] += v.at[i];
}

inline float round_to_half(float value) { return half_to_float(float_to_half(value)); }

template <int V>
Vector<V> load_halves(const uint16_t* row) {
  aligned(row, V * 2);
  Vector<V> v;
  for (int i = 0; i < V; ++i) v.at[i] = half_to_float(row[i]);
  return v;
}
template <int V>
void store_halves(uint16_t* row, const Vector<V>& v) {
  aligned(row, V * 2);
  for (int i = 0; i < V; ++i) row[i] = float_to_half(v.at[i]);
}
template <int V>
void add_halves(uint16_t* row, const Vector<V>& v) {
  aligned(row, V * 2);
  for (int i = 0; i < V; ++i) {
    row[i] = float_to_half(half_to_float(row[i]) + round_to_half(v.at[i]));
  }
}

template <class T>
T load_once(const T* address) {
  return *address;
}

}  // namespace mascot::cuda

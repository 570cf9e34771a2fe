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

template <int N>
Words<N> load_words(const void* row) {
  Words<N> words;
  std::memcpy(words.at, aligned(row, N * 4), sizeof words.at);
  return words;
}
template <int N>
void store_words(void* row, const Words<N>& words) {
  std::memcpy(aligned(row, N * 4), words.at, sizeof words.at);
}
inline void add_floats(float* row, const Vector<4>& v) {
  aligned(row, 16);
  for (int i = 0; i < 4; ++i) row[i] += v.at[i];
}

inline Vector<2> unpack_halves(uint32_t pair) {
  return {{half_to_float(static_cast<uint16_t>(pair)),
           half_to_float(static_cast<uint16_t>(pair >> 16))}};
}
inline uint32_t pack_halves(float low, float high) {
  return float_to_half(low) | uint32_t{float_to_half(high)} << 16;
}
inline float round_to_half(float value) { return half_to_float(float_to_half(value)); }
inline uint32_t to_byte(float value) {
  return !(value > 0) ? 0 : value >= 255 ? 255 : static_cast<uint32_t>(value);
}

template <int N>
void add_halves(void* row, const Words<N>& words) {
  auto* pairs = static_cast<uint32_t*>(aligned(row, N * 4));
  for (int i = 0; i < N; ++i) {
    const Vector<2> old = unpack_halves(pairs[i]), change = unpack_halves(words.at[i]);
    pairs[i] = pack_halves(old.at[0] + change.at[0], old.at[1] + change.at[1]);
  }
}

template <class T>
T load_once(const T* address) {
  return *address;
}

}  // namespace mascot::cuda

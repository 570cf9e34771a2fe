// What cuda/hardware.cuh gives the kernels, on the host. Alignment is checked as the device would.
#pragma once

#include "core/storages/float16.h"
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
inline uint32_t load_half_word(const void* address) {
  uint16_t value;
  std::memcpy(&value, aligned(address, sizeof value), sizeof value);
  return value;
}
inline void store_half_word(void* address, uint32_t value) {
  const auto half = static_cast<uint16_t>(value);
  std::memcpy(aligned(address, sizeof half), &half, sizeof half);
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

// A double to FP16, rounded once: to odd in FP32 on the way, which the second rounding cannot
// spoil.
inline uint16_t double_to_half(double value) {
  const float nearest = static_cast<float>(value);
  if (nearest == value) return float_to_half(nearest);
  const uint32_t away = std::fabs(static_cast<double>(nearest)) > std::fabs(value) ? 1 : 0;
  return float_to_half(float_of((bits_of(nearest) - away) | 1));
}

// f(one of each pair) in double, in which the sum and the product of FP16 numbers are exact, and
// that of all three is as good as exact.
template <class F, class... Pairs>
uint32_t map_halves(const F& f, Pairs... pairs) {
  const uint32_t low = double_to_half(f(double{unpack_halves(pairs).at[0]}...));
  return low | uint32_t{double_to_half(f(double{unpack_halves(pairs).at[1]}...))} << 16;
}
inline uint32_t fma_halves(uint32_t a, uint32_t b, uint32_t c) {
  return map_halves([](double x, double y, double z) { return std::fma(x, y, z); }, a, b, c);
}
inline uint32_t multiply_halves(uint32_t a, uint32_t b) {
  return map_halves([](double x, double y) { return x * y; }, a, b);
}
inline uint32_t sum_of_halves(uint32_t a, uint32_t b) {
  return map_halves([](double x, double y) { return x + y; }, a, b);
}
inline uint32_t difference_of_halves(uint32_t a, uint32_t b) {
  return map_halves([](double x, double y) { return x - y; }, a, b);
}

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

// Sixteen FP32 lanes in plain C++.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>

#include "core/storages/storages.h"

namespace mascot::portable {

// No registers to hold rows in: they are left in memory, and k needs no constants.
inline constexpr int kHeldChunks = 0;

struct Lanes {
  float v[16];
};
// Sixteen 32-bit integers, modulo 2^32.
struct Words {
  uint32_t v[16];
};

// Lane i: f(lane i of each vector).
template <class F, class Vector, class... Vectors>
inline Vector each(const F& f, const Vector& a, const Vectors&... others) {
  Vector r;
  for (int i = 0; i < 16; ++i) r.v[i] = f(a.v[i], others.v[i]...);
  return r;
}

inline Lanes broadcast(float x) {
  Lanes r;
  for (float& lane : r.v) lane = x;
  return r;
}
inline Lanes multiply(const Lanes& a, const Lanes& b) { return each(std::multiplies<>(), a, b); }
inline Lanes add(const Lanes& a, const Lanes& b) { return each(std::plus<>(), a, b); }
inline Lanes subtract(const Lanes& a, const Lanes& b) { return each(std::minus<>(), a, b); }
inline Lanes divide(const Lanes& a, const Lanes& b) { return each(std::divides<>(), a, b); }
// a * b + c, rounded once
inline Lanes fma(const Lanes& a, const Lanes& b, const Lanes& c) {
  return each([](float x, float y, float z) { return std::fma(x, y, z); }, a, b, c);
}
// Lane i plus lane i + n/2, down to one.
inline float sum(Lanes a) {
  for (int half = 8; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) a.v[i] += a.v[i + half];
  }
  return a.v[0];
}
inline Lanes load_floats(const float* p) {
  Lanes r;
  std::memcpy(r.v, p, sizeof r.v);
  return r;
}
inline void store_floats(float* p, const Lanes& a) { std::memcpy(p, a.v, sizeof a.v); }

// Lane i: first + i * step.
inline Words words(uint32_t first, uint32_t step) {
  Words r;
  for (uint32_t i = 0; i < 16; ++i) r.v[i] = first + i * step;
  return r;
}
inline Words all(uint32_t word) { return words(word, 0); }
inline Words multiply(const Words& a, const Words& b) { return each(std::multiplies<>(), a, b); }
inline Words add(const Words& a, const Words& b) { return each(std::plus<>(), a, b); }
inline Words both(const Words& a, const Words& b) { return each(std::bit_and<>(), a, b); }
inline Words either(const Words& a, const Words& b) { return each(std::bit_or<>(), a, b); }
// The high half of each word xored into its low half.
inline Words fold(const Words& a) {
  return each([](uint32_t x) { return x ^ x >> 16; }, a);
}
template <int Bits>
inline Words shift_left(const Words& a) {
  return each([](uint32_t x) { return x << Bits; }, a);
}
template <int Bits>
inline Words shift_right(const Words& a) {
  return each([](uint32_t x) { return x >> Bits; }, a);
}
inline Words maximum(const Words& a, const Words& b) {
  return each([](uint32_t x, uint32_t y) { return std::max(x, y); }, a, b);
}
inline uint32_t highest(const Words& a) { return *std::max_element(a.v, a.v + 16); }
inline Words words_of(const Lanes& a) {
  Words r;
  std::memcpy(r.v, a.v, sizeof r.v);
  return r;
}
inline Lanes floats_of(const Words& a) {
  Lanes r;
  std::memcpy(r.v, a.v, sizeof r.v);
  return r;
}
inline void store_words(uint32_t* p, const Words& a) { std::memcpy(p, a.v, sizeof a.v); }

// The lesser and the greater; b where one is no number.
inline Lanes minimum(const Lanes& a, const Lanes& b) {
  return each([](float x, float y) { return x < y ? x : y; }, a, b);
}
inline Lanes maximum(const Lanes& a, const Lanes& b) {
  return each([](float x, float y) { return x > y ? x : y; }, a, b);
}
// a, but 0 where sizes are below a least one.
inline Lanes zero_below(const Lanes& sizes, float least, const Lanes& a) {
  return each([least](float size, float x) { return size < least ? 0 : x; }, sizes, a);
}

// Bit i: whether lane i is below a least size.
inline uint32_t below(const Lanes& sizes, float least) {
  uint32_t mask = 0;
  for (int i = 0; i < 16; ++i) mask |= static_cast<uint32_t>(sizes.v[i] < least) << i;
  return mask;
}

inline void keep(Lanes& a) { __asm__ volatile("" : "+m"(a)); }

#include "core/lanes/elements.h"

// Rounded to FP16, and back.
inline Lanes to_half(const Lanes& a) {
  return each([](float x) { return half_to_float(float_to_half(x)); }, a);
}
// Rounded to whole numbers, to nearest even.
inline Lanes to_whole(const Lanes& a) {
  return each([](float x) { return std::nearbyint(x); }, a);
}

inline Lanes load_int8(const int8_t* p) {
  Lanes r;
  for (int i = 0; i < 16; ++i) r.v[i] = p[i];
  return r;
}
// Sixteen bytes, the first of them the lowest of `low`.
inline Lanes of_bytes(uint64_t low, uint64_t high) {
  int8_t bytes[16];
  std::memcpy(bytes, &low, sizeof low);
  std::memcpy(bytes + 8, &high, sizeof high);
  return load_int8(bytes);
}
// Whole part less 128, at most 127. What is no number, or out of range, becomes something: its
// row's scale tells.
inline void store_int8(int8_t* p, const Lanes& a) {
  for (int i = 0; i < 16; ++i) {
    const float value = a.v[i] >= 0 && a.v[i] < 256 ? a.v[i] : a.v[i] >= 256 ? 255 : 0;
    p[i] = static_cast<int8_t>(static_cast<int>(value) - 128);
  }
}

}  // namespace mascot::portable

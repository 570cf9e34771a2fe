// Sixteen FP32 lanes in plain C++, and the storages that load and store them.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "core/groups.h"
#include "core/half.h"
#include "core/model.h"

namespace mascot::portable {

// No registers to hold rows in: they are left in memory, and k needs no constants.
inline constexpr int kHeldChunks = 0;

struct Lanes {
  float v[16];
};

inline Lanes broadcast(float x) {
  Lanes r;
  for (float& lane : r.v) lane = x;
  return r;
}
inline Lanes multiply(const Lanes& a, const Lanes& b) {
  Lanes r;
  for (int i = 0; i < 16; ++i) r.v[i] = a.v[i] * b.v[i];
  return r;
}
inline Lanes add(const Lanes& a, const Lanes& b) {
  Lanes r;
  for (int i = 0; i < 16; ++i) r.v[i] = a.v[i] + b.v[i];
  return r;
}
inline Lanes subtract(const Lanes& a, const Lanes& b) {
  Lanes r;
  for (int i = 0; i < 16; ++i) r.v[i] = a.v[i] - b.v[i];
  return r;
}
// a * b + c, rounded once
inline Lanes fma(const Lanes& a, const Lanes& b, const Lanes& c) {
  Lanes r;
  for (int i = 0; i < 16; ++i) r.v[i] = std::fma(a.v[i], b.v[i], c.v[i]);
  return r;
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

// Sixteen 32-bit integers, modulo 2^32.
struct Words {
  uint32_t v[16];
};

// Lane i: first + i * step.
inline Words words(uint32_t first, uint32_t step) {
  Words r;
  for (uint32_t i = 0; i < 16; ++i) r.v[i] = first + i * step;
  return r;
}
inline Words multiply(const Words& a, uint32_t factor) {
  Words r;
  for (int i = 0; i < 16; ++i) r.v[i] = a.v[i] * factor;
  return r;
}
// The high half of each word xored into its low half.
inline Words fold(const Words& a) {
  Words r;
  for (int i = 0; i < 16; ++i) r.v[i] = a.v[i] ^ a.v[i] >> 16;
  return r;
}
template <int Bits>
inline Words shift_left(const Words& a) {
  Words r;
  for (int i = 0; i < 16; ++i) r.v[i] = a.v[i] << Bits;
  return r;
}
inline Words maximum(const Words& a, const Words& b) {
  Words r;
  for (int i = 0; i < 16; ++i) r.v[i] = std::max(a.v[i], b.v[i]);
  return r;
}
inline uint32_t highest(const Words& a) { return *std::max_element(a.v, a.v + 16); }

// The bits of each number without its sign: ordered as the magnitudes are, infinity and NaN last.
inline Words magnitude_bits(const Lanes& a) {
  Words r;
  std::memcpy(r.v, a.v, sizeof r.v);
  for (uint32_t& word : r.v) word &= 0x7fffffffu;
  return r;
}

inline void keep(Lanes& a) { __asm__ volatile("" : "+m"(a)); }

struct Float32 {
  static constexpr Storage kStorage = Storage::kFloat32;
  using Element = float;
  static Lanes load(const Element* p) { return load_floats(p); }
  static void store(Element* p, const Lanes& a, const Words&) { store_floats(p, a); }
};

template <Rounding R>
struct Float16 {
  static constexpr Storage kStorage = Storage::kFloat16;
  using Element = uint16_t;
  static Lanes load(const Element* p) {
    Lanes r;
    for (int i = 0; i < 16; ++i) r.v[i] = half_to_float(p[i]);
    return r;
  }
  static void store(Element* p, const Lanes& a, const Words& draws) {
    for (int i = 0; i < 16; ++i) {
      p[i] = R == Rounding::kNearest ? float_to_half(a.v[i])
                                     : float_to_half_dithered(a.v[i], draws.v[i]);
    }
  }
};

// Rounded to FP16, and back.
inline Lanes to_half(const Lanes& a) {
  Lanes r;
  for (int i = 0; i < 16; ++i) r.v[i] = half_to_float(float_to_half(a.v[i]));
  return r;
}
// Rounded to whole numbers, to nearest even.
inline Lanes to_whole(const Lanes& a) {
  Lanes r;
  for (int i = 0; i < 16; ++i) r.v[i] = std::nearbyint(a.v[i]);
  return r;
}

inline Words load_words(const uint32_t* p) {
  Words r;
  std::memcpy(r.v, p, sizeof r.v);
  return r;
}
// 1/127 of the largest magnitudes, to 17 bits; 0 for those below kSmallestBlock.
inline Lanes int8_scales(const Words& largest) {
  Lanes r;
  for (int i = 0; i < 16; ++i) {
    float magnitude;
    std::memcpy(&magnitude, &largest.v[i], sizeof magnitude);
    const float scale = magnitude / 127;
    uint32_t bits;
    std::memcpy(&bits, &scale, sizeof bits);
    bits = magnitude < kSmallestBlock ? 0 : (bits + kScaleRounding) & kScaleMask;
    std::memcpy(&r.v[i], &bits, sizeof bits);
  }
  return r;
}
// 1 / scale; 0 for 0.
inline Lanes int8_steps(const Lanes& scale) {
  Lanes r;
  for (int i = 0; i < 16; ++i) r.v[i] = scale.v[i] == 0 ? 0 : 1 / scale.v[i];
  return r;
}
// 128 and a random part of 1, of 13 bits and half of the next.
inline Lanes int8_offsets(const Words& draws) {
  Lanes r;
  for (int i = 0; i < 16; ++i) {
    const uint32_t bits = (draws.v[i] >> 16 & 0xfff8u) | 0x43000004u;
    std::memcpy(&r.v[i], &bits, sizeof bits);
  }
  return r;
}
inline Lanes load_int8(const int8_t* p) {
  Lanes r;
  for (int i = 0; i < 16; ++i) r.v[i] = p[i];
  return r;
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

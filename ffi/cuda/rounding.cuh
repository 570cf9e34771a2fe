// What becomes of the bits that do not fit a float16 row. A rounding makes a value, or a change of
// one, that fits exactly; writing it then rounds nothing any more.
#pragma once

#include <cstdint>

#include "core/dither.h"
#include "core/half.h"
#include "cuda/walk.cuh"

namespace mascot::cuda {

enum class RatedSide { kUser, kItem };

// To nearest, even: left to the conversion and to the addition themselves. V: components of a
// vector, in both.
template <int V>
struct Nearest {
  static constexpr bool kDraws = false;

  __device__ Nearest(const Common&, int64_t, int) {}

  template <RatedSide>
  __device__ Vector<V> value(const Vector<V>& v, int) const {
    return v;
  }
  template <RatedSide>
  __device__ Vector<V> change(const Vector<V>&, const Vector<V>& change, int) const {
    return change;
  }
};

// Up or down by chance, in proportion to the distances, so that the expected value stays.
template <int V>
class Stochastic {
 public:
  static constexpr bool kDraws = true;

  // number: of the rating; first: a lane's first component, a multiple of V.
  __device__ Stochastic(const Common& common, int64_t number, int first) : first_(first) {
    const uint64_t draw = draw64(common.dither_key, static_cast<uint64_t>(number));
#pragma unroll
    for (int i = 0; i < V; ++i)
      words_[i] = dither_word(draw, static_cast<uint32_t>(first % 16 + i));
  }

  // Values as the CPU's store rounds them, by the same draws. offset: from the lane's first
  // component to the vector's, a multiple of 16.
  template <RatedSide S>
  __device__ Vector<V> value(const Vector<V>& v, int offset) const {
    const uint32_t factor = dither_factor((first_ + offset) / 16);
    Vector<V> rounded;
#pragma unroll
    for (int i = 0; i < V; ++i) {
      rounded.at[i] = half_to_float(float_to_half_dithered(v.at[i], word<S>(i, factor)));
    }
    return rounded;
  }

  // Changes as multiples of an ulp of what they are added to, or of the sum's if that is larger:
  // own + change then fits float16, unless the exponent grows, or the row has changed meanwhile.
  template <RatedSide S>
  __device__ Vector<V> change(const Vector<V>& own, const Vector<V>& change, int offset) const {
    const uint32_t factor = dither_factor((first_ + offset) / 16);
    Vector<V> rounded;
#pragma unroll
    for (int i = 0; i < V; ++i) {
      const auto [ulp, inverse] =
          half_ulp(fmaxf(fabsf(own.at[i]), fabsf(own.at[i] + change.at[i])));
      // Sixteen bits: few enough for the sum to be exact where the change is below 256 ulps.
      const float draw = static_cast<float>(word<S>(i, factor) >> 16) * 0x1p-16f;
      rounded.at[i] = floorf(fmaf(change.at[i], inverse, draw)) * ulp;
    }
    return rounded;
  }

 private:
  template <RatedSide S>
  __device__ uint32_t word(int i, uint32_t factor) const {
    const uint32_t user = words_[i] * factor;
    return S == RatedSide::kUser ? user : user << kDitherRotation | user >> (32 - kDitherRotation);
  }

  struct Ulp {
    float value;
    float inverse;
  };

  // The distance between float16 numbers at a magnitude: of ten bits behind the first, 2^-24 at
  // least. Both are powers of two, and their exponents add up to 254.
  static __device__ Ulp half_ulp(float magnitude) {
    constexpr uint32_t kSmallestNormal = 0x38800000u, kTenBits = 10u << 23, kOne = 254u << 23;
    uint32_t bits;
    memcpy(&bits, &magnitude, sizeof bits);
    const uint32_t exponent = max(bits & 0x7f800000u, kSmallestNormal) - kTenBits;
    const uint32_t opposite = kOne - exponent;
    Ulp ulp;
    memcpy(&ulp.value, &exponent, sizeof exponent);
    memcpy(&ulp.inverse, &opposite, sizeof opposite);
    return ulp;
  }

  uint32_t words_[V];
  int first_;
};

}  // namespace mascot::cuda

// What becomes of the bits that do not fit a float16 row. A rounding makes a value, or a change of
// one, that fits exactly; writing it then rounds nothing any more.
#pragma once

#include <cstdint>

#include "core/dither.h"
#include "core/half.h"
#include "cuda/walk.cuh"

namespace mascot::cuda {

enum class RatedSide { kUser, kItem };

// To nearest, even: left to the conversion and to the addition themselves.
struct Nearest {
  __device__ Nearest(const Common&, int64_t) {}

  template <RatedSide, int V>
  __device__ Vector<V> value(const Vector<V>& v, int) const {
    return v;
  }
  template <RatedSide, int V>
  __device__ Vector<V> change(const Vector<V>&, const Vector<V>& change, int) const {
    return change;
  }
};

// Up or down by chance, in proportion to the distances, so that the expected value stays.
class Stochastic {
 public:
  __device__ Stochastic(const Common& common, int64_t number)
      : draw_(draw64(common.dither_key, static_cast<uint64_t>(number))) {}

  // Values as the CPU's store rounds them, by the same draws. component: of the first.
  template <RatedSide S, int V>
  __device__ Vector<V> value(const Vector<V>& v, int component) const {
    Vector<V> rounded;
#pragma unroll
    for (int i = 0; i < V; ++i) {
      rounded.at[i] = half_to_float(float_to_half_dithered(v.at[i], word<S>(component + i)));
    }
    return rounded;
  }

  // Changes as multiples of an ulp of what they are added to, or of the sum's if that is larger:
  // own + change then fits float16, unless the exponent grows, or the row has changed meanwhile.
  template <RatedSide S, int V>
  __device__ Vector<V> change(const Vector<V>& own, const Vector<V>& change, int component) const {
    Vector<V> rounded;
#pragma unroll
    for (int i = 0; i < V; ++i) {
      const float ulp = half_ulp(fmaxf(fabsf(own.at[i]), fabsf(own.at[i] + change.at[i])));
      // Sixteen bits: few enough for the sum to be exact where the change is below 256 ulps.
      const float draw = static_cast<float>(word<S>(component + i) >> 16) * 0x1p-16f;
      rounded.at[i] = floorf(fmaf(change.at[i], 1 / ulp, draw)) * ulp;
    }
    return rounded;
  }

 private:
  template <RatedSide S>
  __device__ uint32_t word(int component) const {
    const uint32_t user =
        dither_word(draw_, static_cast<uint32_t>(component % 16)) * dither_factor(component / 16);
    return S == RatedSide::kUser ? user : user << kDitherRotation | user >> (32 - kDitherRotation);
  }

  // The distance between float16 numbers at a magnitude: of ten bits behind the first, 2^-24 at
  // least.
  static __device__ float half_ulp(float magnitude) {
    uint32_t bits;
    memcpy(&bits, &magnitude, sizeof bits);
    constexpr uint32_t kSmallestNormal = 0x38800000u, kTenBits = 10u << 23;
    const uint32_t exponent = max(bits & 0x7f800000u, kSmallestNormal) - kTenBits;
    float ulp;
    memcpy(&ulp, &exponent, sizeof ulp);
    return ulp;
  }

  uint64_t draw_;
};

}  // namespace mascot::cuda

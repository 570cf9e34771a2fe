// What becomes of the bits that do not fit a row of fewer than 32. A rounding makes a value of a
// row in fewer bits, or a change of one, that fits exactly; writing it then rounds nothing any
// more. For an int8 row it says what is added to a component, in units of its scale, before that is
// cut off.
#pragma once

#include <cstdint>

#include "core/dither.h"
#include "core/lanes/single.h"
#include "cuda/storages/storages.cuh"
#include "cuda/walk.cuh"

namespace mascot::cuda {

enum class RatedSide { kUser, kItem };

// To nearest, even: left to the conversion and to the addition themselves. V: components of a
// vector, in both.
template <int V>
struct Nearest {
  static constexpr bool kDraws = false;

  __device__ Nearest(const Common&, int64_t, int) {}

  template <class S, RatedSide>
  __device__ Vector<V> value(const Vector<V>& v, int) const {
    return v;
  }
  template <class S, RatedSide>
  __device__ Vector<V> change(const Vector<V>&, const Vector<V>& change, int) const {
    return change;
  }
  template <RatedSide>
  __device__ Vector<V> int8_offsets(int) const {
    Vector<V> offsets;
#pragma unroll
    for (float& offset : offsets.at) offset = Int8::kHalfStep;
    return offsets;
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
  // component to the vector's.
  template <class S, RatedSide Rated>
  __device__ Vector<V> value(const Vector<V>& v, int offset) const {
    const uint32_t factor = dither_factor((first_ + offset) / 16);
    Vector<V> rounded;
#pragma unroll
    for (int i = 0; i < V; ++i) {
      rounded.at[i] =
          S::decode(S::template encode<Rounding::kStochastic>(v.at[i], word<Rated>(i, factor)));
    }
    return rounded;
  }

  // Changes as multiples of an ulp of what they are added to, or of the sum's if that is larger:
  // own + change then fits the storage, unless the exponent grows, or the row has changed
  // meanwhile.
  template <class S, RatedSide Rated>
  __device__ Vector<V> change(const Vector<V>& own, const Vector<V>& change, int offset) const {
    const uint32_t factor = dither_factor((first_ + offset) / 16);
    Vector<V> rounded;
#pragma unroll
    for (int i = 0; i < V; ++i) {
      const auto [ulp, inverse] =
          ulp_of<S>(fmaxf(fabsf(own.at[i]), fabsf(own.at[i] + change.at[i])));
      // Sixteen bits: few enough for the sum to be exact where the change is below 256 ulps.
      const float draw = static_cast<float>(word<Rated>(i, factor) >> 16) * 0x1p-16f;
      rounded.at[i] = floorf(fmaf(change.at[i], inverse, draw)) * ulp;
    }
    return rounded;
  }

  template <RatedSide Rated>
  __device__ Vector<V> int8_offsets(int offset) const {
    const uint32_t factor = dither_factor((first_ + offset) / 16);
    Vector<V> offsets;
#pragma unroll
    for (int i = 0; i < V; ++i) {
      offsets.at[i] = single::random_offset(word<Rated>(i, factor), Int8::kNoDraw);
    }
    return offsets;
  }

 private:
  template <RatedSide Rated>
  __device__ uint32_t word(int i, uint32_t factor) const {
    return (Rated == RatedSide::kUser ? words_[i] : words_[i] << kDitherShift) * factor;
  }

  struct Ulp {
    float value;
    float inverse;
  };

  // The distance between a storage's numbers at a magnitude. Both are powers of two, and their
  // exponents add up to 254.
  template <class S>
  static __device__ Ulp ulp_of(float magnitude) {
    static_assert(S::kSmallestNormal > S::kUlpDistance, "an ulp must be normal in FP32");
    constexpr uint32_t kOne = 254u << 23;
    const uint32_t normal = max(bits_of(magnitude) & 0x7f800000u, S::kSmallestNormal);
    const uint32_t exponent = normal - S::kUlpDistance;
    return {float_of(exponent), float_of(kOne - exponent)};
  }

  uint32_t words_[V];
  int first_;
};

}  // namespace mascot::cuda

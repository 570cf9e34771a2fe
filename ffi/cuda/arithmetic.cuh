// What an update is computed in where that is not FP32: other people's methods, for comparison, as
// core/update/arithmetic.h defines them. h(x): x rounded to FP16.
//
//   InHalf    FP16 throughout, rows too; e = r - p.q, g = fma(e, q, -lambda_P p)
//             p' = fma(eta, g, p); a fused multiply-add rounds once here, twice on the CPU
//   InMixed   x = h(p), y = h(q); e = h(r - h(x.y)), s = h(S e) with the loss scale S
//             p' = fma(eta / S, h(s y), fma(-eta lambda_P, p, p)); nothing where s overflows
//   InFixed   x and y: p and q, quantised by their largest magnitudes; e = r - x.y, quantised too
//             p' = fma(eta, g, fma(-eta lambda_P, p, p)), g being e y, quantised
//
// Each is a type with the storage of its rows, the components that a lane then holds side by side,
// add() to a row in memory, and update(): that of both rows of a rating, by all lanes of a warp;
// false where the rating is to be skipped.
#pragma once

#include <cstdint>

#include "cuda/update.cuh"

namespace mascot::cuda {

// Numbers are pairs: two components of a row, or twice the same.
class InHalf {
 public:
  using Stored = Float16;
  static constexpr int kVector = kNarrow;

  __device__ explicit InHalf(const float* rates)
      : rate_(both(rates[0])), user_decay_(both(-rates[1])), item_decay_(both(-rates[2])) {}

  // row + (after - before)
  static __device__ void add(char* row, const Words<4>& before, const Words<4>& after) {
    Words<4> change;
#pragma unroll
    for (int i = 0; i < 4; ++i) change.at[i] = difference_of_halves(after.at[i], before.at[i]);
    add_halves(row, change);
  }

  template <class L>
  __device__ bool update(Loaded<L>& p, Loaded<L>& q, float rating, int factors) const {
    const uint32_t error = difference_of_halves(both(rating), dot_in_half(p, q, factors));
    L::for_chunks(factors, [&](int c) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const uint32_t x = p.words[c].at[i], y = q.words[c].at[i];
        const uint32_t user = fma_halves(error, y, multiply_halves(user_decay_, x));
        const uint32_t item = fma_halves(error, x, multiply_halves(item_decay_, y));
        p.words[c].at[i] = fma_halves(rate_, user, x);
        q.words[c].at[i] = fma_halves(rate_, item, y);
      }
    });
    return true;
  }

 private:
  static __device__ uint32_t both(float value) { return pack_halves(value, value); }

  // p.q, added up as in dot(): both of a pair.
  template <class L>
  static __device__ uint32_t dot_in_half(const Loaded<L>& p, const Loaded<L>& q, int factors) {
    uint32_t part[2] = {};
    L::for_chunks(factors, [&](int c) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        part[i % 2] = fma_halves(p.words[c].at[i], q.words[c].at[i], part[i % 2]);
      }
    });
    uint32_t sum = sum_of_halves(part[0], part[1]);
    sum = sum_of_halves(sum, sum >> 16 | sum << 16);
    return over_tile(sum, sum_of_halves);
  }

  uint32_t rate_, user_decay_, item_decay_;
};

// Chunks of a row as they lie in memory, as numbers.
template <class L>
struct Floats {
  const Loaded<L>& row;
  __device__ Vector<kWide> operator[](int chunk) const {
    return OnDevice<Float32>::decode<kWide>(row.words[chunk]);
  }
};

// What InMixed and InFixed have in common: rows in FP32.
class OnFloats {
 public:
  using Stored = Float32;
  static constexpr int kVector = kWide;

  __device__ explicit OnFloats(const float* rates)
      : rate_(rates[0]), user_decay_(-(rates[0] * rates[1])), item_decay_(-(rates[0] * rates[2])) {}

  static __device__ void add(char* row, const Words<4>& before, const Words<4>& after) {
    Vector<4> change;
#pragma unroll
    for (int i = 0; i < 4; ++i) change.at[i] = float_of(after.at[i]) - float_of(before.at[i]);
    add_floats(reinterpret_cast<float*>(row), change);
  }

 protected:
  // Both rows from what they are to move by, in units of a step: chunk -> components.
  template <class L, class OfUser, class OfItem>
  __device__ void move(Loaded<L>& p, Loaded<L>& q, float step, int factors, const OfUser& of_user,
                       const OfItem& of_item) const {
    L::for_chunks(factors, [&](int c) {
      const auto x = Floats<L>{p}[c], y = Floats<L>{q}[c], user = of_user(c), item = of_item(c);
      p.words[c] = OnDevice<Float32>::encode<kWide>(updated(x, user, step, user_decay_));
      q.words[c] = OnDevice<Float32>::encode<kWide>(updated(y, item, step, item_decay_));
    });
  }

  float rate_, user_decay_, item_decay_;
};

class InMixed : public OnFloats {
 public:
  __device__ explicit InMixed(const float* rates)
      : OnFloats(rates), scale_(rates[4]), step_(rates[0] / rates[4]) {}

  template <class L>
  __device__ bool update(Loaded<L>& p, Loaded<L>& q, float rating, int factors) const {
    const Halves<L> x(p, factors), y(q, factors);
    const float error = round_to_half(rating - round_to_half(dot<L>(x, y, factors)));
    const float scaled = round_to_half(scale_ * error);
    if (!isfinite(scaled)) return false;
    move(
        p, q, step_, factors, [&](int c) { return y.times(scaled, c); },
        [&](int c) { return x.times(scaled, c); });
    return true;
  }

 private:
  // A row rounded to FP16.
  template <class L>
  struct Halves {
    Words<kWide / 2> chunks[L::kHeld];

    __device__ Halves(const Loaded<L>& row, int factors) {
      L::for_chunks(
          factors, [&](int c) { chunks[c] = OnDevice<Float16>::encode<kWide>(Floats<L>{row}[c]); });
    }
    __device__ Vector<kWide> operator[](int chunk) const {
      return OnDevice<Float16>::decode<kWide>(chunks[chunk]);
    }
    // Products with an FP16 number, rounded to FP16.
    __device__ Vector<kWide> times(float half, int chunk) const {
      Words<kWide / 2> products;
#pragma unroll
      for (int i = 0; i < kWide / 2; ++i) {
        products.at[i] = multiply_halves(pack_halves(half, half), chunks[chunk].at[i]);
      }
      return OnDevice<Float16>::decode<kWide>(products);
    }
  };

  float scale_, step_;
};

// Makes whole multiples of a resolution of numbers up to a largest magnitude: of the smallest power
// of two of which no magnitude takes more than 2^(bits - 1) - 1.
class Quantiser {
 public:
  // bits: 2 to 23.
  __device__ Quantiser(float largest, int bits) {
    if (!(largest >= kSmallestBlock)) return;  // all become zero
    // The exponent of largest / 2^(bits - 2), one more where that is above 2 - 2^(2 - bits).
    constexpr uint32_t kExponent = 0xffu << 23, kOne = 254u << 23;
    const uint32_t carried = bits_of(largest) + (1u << (25 - bits)) - 1;
    const uint32_t resolution = (carried & kExponent) - (static_cast<uint32_t>(bits - 2) << 23);
    resolution_ = float_of(resolution);
    per_unit_ = float_of(kOne - resolution);
  }

  __device__ float operator()(float value) const {
    constexpr float kNoFraction = 0x1.8p23f;  // added to a number below 2^22, leaves it whole
    return (fmaf(value, per_unit_, kNoFraction) - kNoFraction) * resolution_;
  }
  template <int V>
  __device__ Vector<V> operator()(Vector<V> v) const {
#pragma unroll
    for (float& x : v.at) x = (*this)(x);
    return v;
  }

 private:
  float resolution_ = 0, per_unit_ = 0;  // powers of two
};

class InFixed : public OnFloats {
 public:
  __device__ explicit InFixed(const float* rates)
      : OnFloats(rates), bits_(static_cast<int>(rates[4])) {}

  template <class L>
  __device__ bool update(Loaded<L>& p, Loaded<L>& q, float rating, int factors) const {
    if (static_cast<float>(bits_) >= kFullWord) {
      update_in_full(p, q, rating, factors);
      return true;
    }
    const float most_p = largest_magnitude(p), most_q = largest_magnitude(q);
    const Quantiser of_p(most_p, bits_), of_q(most_q, bits_);
    HeldRow<L> x, y;
    L::for_chunks(factors, [&](int c) {
      x[c] = of_p(Floats<L>{p}[c]);
      y[c] = of_q(Floats<L>{q}[c]);
    });
    const float exact = rating - dot<L>(x, y, factors);
    const float error = Quantiser(fabsf(exact), bits_)(exact);
    const Quantiser of_user(fabsf(error) * of_q(most_q), bits_),
        of_item(fabsf(error) * of_p(most_p), bits_);
    move(
        p, q, rate_, factors, [&](int c) { return of_user(scaled(y[c], error)); },
        [&](int c) { return of_item(scaled(x[c], error)); });
    return true;
  }

 private:
  // As in FP32 arithmetic.
  template <class L>
  __device__ void update_in_full(Loaded<L>& p, Loaded<L>& q, float rating, int factors) const {
    const float error = rating - dot<L>(Floats<L>{p}, Floats<L>{q}, factors);
    move(
        p, q, rate_ * error, factors, [&](int c) { return Floats<L>{q}[c]; },
        [&](int c) { return Floats<L>{p}[c]; });
  }

  // Of a tile's row, in each of its lanes.
  template <class L>
  static __device__ float largest_magnitude(const Loaded<L>& row) {
    uint32_t largest = 0;
#pragma unroll
    for (const auto& chunk : row.words) {
#pragma unroll
      for (const uint32_t word : chunk.at) largest = max(largest, word & 0x7fffffffu);
    }
    return float_of(over_tile(largest, [](uint32_t a, uint32_t b) { return max(a, b); }));
  }

  int bits_;
};

}  // namespace mascot::cuda

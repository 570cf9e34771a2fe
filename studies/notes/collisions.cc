// One training epoch in synchronous batches: every rating of a batch is computed from the rows as
// they were before it, and the batch is written when all are. Called by collisions.py.
// Rows are floats throughout; FP16 and INT8 ways keep to their numbers.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

namespace {

enum Way {
  kStoreFloat32,
  kAddFloat32,
  kAddFloat16Nearest,
  kAddFloat16Dithered,
  kStoreInt8,
  kStoreInt8AddHot,  // hot rows as kAddFloat16Dithered
};

constexpr int kBlock = 32;  // components that share a scale

struct Rates {
  float learning_rate, user_reg, item_reg;
};

// The distance of FP16 numbers around x. Factors are far from FP16's largest.
inline float step_at(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  bits &= 0x7f800000u;
  float power;
  std::memcpy(&power, &bits, sizeof power);
  const float step = power * 0x1p-10f;
  return step < 0x1p-24f ? 0x1p-24f : step;
}

inline float to_float16(float x) {
  const float step = step_at(x);
  return std::rint(x / step) * step;
}

inline uint32_t row_key(uint32_t key, uint32_t number) {
  return (key ^ number) * 0x9e3779b1u + number;
}

// Uniform in [0, 1).
inline float draw(uint32_t key, uint32_t component) {
  uint32_t z = key + component * 0x9e3779b9u;
  z = (z ^ (z >> 16)) * 0x85ebca6bu;
  z = (z ^ (z >> 13)) * 0xc2b2ae35u;
  return static_cast<float>((z ^ (z >> 16)) >> 8) * 0x1p-24f;
}

// In partial sums, or the compiler would add one product at a time.
inline float dot(const float* a, const float* b, int factors) {
  constexpr int kParts = 16;
  float parts[kParts] = {};
  int c = 0;
  for (; c + kParts <= factors; c += kParts) {
    for (int i = 0; i < kParts; ++i) parts[i] += a[c + i] * b[c + i];
  }
  float sum = 0;
  for (const float part : parts) sum += part;
  for (; c < factors; ++c) sum += a[c] * b[c];
  return sum;
}

// At random to one of the two multiples of the block's scale, 1/127 of its largest, to 17 bits.
inline void store_int8(float* row, const float* change, const float* before, int size, uint32_t key,
                       uint32_t component) {
  float largest = 0;
  for (int c = 0; c < size; ++c) {
    row[c] = before[c] + change[c];
    largest = std::max(largest, std::fabs(row[c]));
  }
  uint32_t bits;
  float scale = largest / 127;
  std::memcpy(&bits, &scale, sizeof bits);
  bits = (bits + 0x40) & ~0x7fu;
  std::memcpy(&scale, &bits, sizeof scale);
  if (largest < 0x1p-100f) scale = 0;
  const float steps = scale == 0 ? 0 : 1 / scale;
  for (int c = 0; c < size; ++c) {
    row[c] = std::floor(row[c] * steps + draw(key, component + static_cast<uint32_t>(c))) * scale;
  }
}

template <Way way>
void write(float* row, const float* change, const float* before, int factors, uint32_t key) {
  if constexpr (way == kStoreInt8) {
    for (int c = 0; c < factors; c += kBlock) {
      const int size = std::min(kBlock, factors - c);
      store_int8(row + c, change + c, before + c, size, key, static_cast<uint32_t>(c));
    }
    return;
  }
  for (int c = 0; c < factors; ++c) {
    if constexpr (way == kStoreFloat32) {
      row[c] = before[c] + change[c];
    } else if constexpr (way == kAddFloat32) {
      row[c] += change[c];
    } else if constexpr (way == kAddFloat16Nearest) {
      row[c] = to_float16(row[c] + to_float16(change[c]));
    } else {
      const float step = step_at(before[c]);
      row[c] = to_float16(row[c] + to_float16(std::floor(change[c] / step + draw(key, c)) * step));
    }
  }
}

template <Way way>
void write_row(float* row, bool hot, const float* change, const float* before, int factors,
               uint32_t key) {
  constexpr bool kMixed = way == kStoreInt8AddHot;
  if (kMixed && hot) return write<kAddFloat16Dithered>(row, change, before, factors, key);
  write<kMixed ? kStoreInt8 : way>(row, change, before, factors, key);
}

template <Way way>
void run(float* p, float* q, const uint8_t* hot_users, const uint8_t* hot_items,
         const uint32_t* users, const uint32_t* items, const float* ratings, int64_t count,
         int factors, int64_t batch, Rates rates, uint32_t key) {
  const int64_t k = factors;
  // Of each rating of a batch: the user row's change, the item row's, and both rows before.
  std::vector<float> work(static_cast<size_t>(batch * 4 * k));
  for (int64_t first = 0; first < count; first += batch) {
    const int64_t size = count - first < batch ? count - first : batch;
    for (int64_t i = 0; i < size; ++i) {
      const float* user = p + users[first + i] * k;
      const float* item = q + items[first + i] * k;
      float* out = work.data() + i * 4 * k;
      const float step = rates.learning_rate * (ratings[first + i] - dot(user, item, factors));
      for (int c = 0; c < factors; ++c) {
        out[c] = step * item[c] - rates.learning_rate * rates.user_reg * user[c];
        out[k + c] = step * user[c] - rates.learning_rate * rates.item_reg * item[c];
        out[2 * k + c] = user[c];
        out[3 * k + c] = item[c];
      }
    }
    for (int64_t i = 0; i < size; ++i) {
      const float* in = work.data() + i * 4 * k;
      const auto number = static_cast<uint32_t>(first + i) * 2;
      const uint32_t user = users[first + i], item = items[first + i];
      write_row<way>(p + user * k, hot_users[user], in, in + 2 * k, factors, row_key(key, number));
      write_row<way>(q + item * k, hot_items[item], in + k, in + 3 * k, factors,
                     row_key(key, number + 1));
    }
  }
}

}  // namespace

// Rows [users or items, factors], and which are hot [users or items]; ratings in the order of
// visiting. Returns 0, or 1 for a way that there is not.
extern "C" int run_epoch(int way, float* p, float* q, const uint8_t* hot_users,
                         const uint8_t* hot_items, const uint32_t* users, const uint32_t* items,
                         const float* ratings, int64_t count, int32_t factors, int64_t batch,
                         const float* rates, uint32_t key) {
  const Rates r = {rates[0], rates[1], rates[2]};
  const auto with = [&](auto body) {
    body(p, q, hot_users, hot_items, users, items, ratings, count, factors, batch, r, key);
    return 0;
  };
  switch (way) {
    case kStoreFloat32:
      return with(run<kStoreFloat32>);
    case kAddFloat32:
      return with(run<kAddFloat32>);
    case kAddFloat16Nearest:
      return with(run<kAddFloat16Nearest>);
    case kAddFloat16Dithered:
      return with(run<kAddFloat16Dithered>);
    case kStoreInt8:
      return with(run<kStoreInt8>);
    case kStoreInt8AddHot:
      return with(run<kStoreInt8AddHot>);
    default:
      return 1;
  }
}

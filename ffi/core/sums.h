// Sums over an epoch's sampled ratings, per group:
// what q-error (Eq. 4) and the lost-update criterion are made of.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "core/model.h"

namespace mascot {

inline constexpr int64_t kStatistics = 4;  // columns after the gradient sum in an output row

class GroupSums {
 public:
  // Totals in double: a group may collect more than 2^24 samples, where float stops counting.
  struct Statistics {
    double squared_norms = 0;  // of the gradients
    int64_t count = 0;         // samples
    double lost = 0;           // squared norm of what the store's rounding changed
  };

  // Of groups first .. first + groups - 1.
  GroupSums(int64_t groups, int64_t factors, int64_t first = 0)
      : first_(first),
        stride_(chunk_count(factors) * kLanes),
        gradients_(groups * stride_),
        statistics_(groups) {}

  // A group's sums in words of 32 bits, in which they go from one call to the next, and from one
  // process to another: the padded gradient, then the statistics.
  static int64_t words(int64_t factors) {
    return chunk_count(factors) * kLanes + static_cast<int64_t>(sizeof(Statistics) / sizeof(float));
  }
  // Reads all groups' words; returns what lies behind them.
  const uint32_t* load(const uint32_t* words) {
    for (std::size_t g = 0; g < statistics_.size(); ++g) {
      std::memcpy(gradients_.data() + g * stride_, words, stride_ * sizeof(float));
      words += stride_;
      std::memcpy(static_cast<void*>(&statistics_[g]), words, sizeof(Statistics));
      words += sizeof(Statistics) / sizeof(float);
    }
    return words;
  }
  // Writes what load reads.
  uint32_t* save(uint32_t* words) const {
    for (std::size_t g = 0; g < statistics_.size(); ++g) {
      std::memcpy(words, gradients_.data() + g * stride_, stride_ * sizeof(float));
      words += stride_;
      std::memcpy(words, &statistics_[g], sizeof(Statistics));
      words += sizeof(Statistics) / sizeof(float);
    }
    return words;
  }

  float* gradient(int64_t group) { return gradients_.data() + (group - first_) * stride_; }
  Statistics& statistics(int64_t group) { return statistics_[group - first_]; }

  // other: of some or all of these groups.
  void add(const GroupSums& other) {
    float* gradients = gradient(other.first_);
    for (std::size_t i = 0; i < other.gradients_.size(); ++i) gradients[i] += other.gradients_[i];
    for (std::size_t g = 0; g < other.statistics_.size(); ++g) {
      Statistics& total = statistics(other.first_ + static_cast<int64_t>(g));
      total.squared_norms += other.statistics_[g].squared_norms;
      total.count += other.statistics_[g].count;
      total.lost += other.statistics_[g].lost;
    }
  }

  // out: [groups, factors + kStatistics]; rate: the learning rate, which makes a gradient an
  // update.
  void write(float* out, int64_t factors, double rate) const {
    for (std::size_t g = 0; g < statistics_.size(); ++g) {
      for (int64_t c = 0; c < factors; ++c) *out++ = gradients_[g * stride_ + c];
      *out++ = static_cast<float>(statistics_[g].squared_norms);
      *out++ = static_cast<float>(statistics_[g].count);
      *out++ = static_cast<float>(statistics_[g].lost);
      *out++ = static_cast<float>(rate * rate * statistics_[g].squared_norms);  // of the updates
    }
  }

 private:
  int64_t first_;
  int64_t stride_;
  std::vector<float> gradients_;
  std::vector<Statistics> statistics_;
};

}  // namespace mascot

// Groups of rows: group g holds rows starts[g] .. starts[g + 1] - 1, all in one storage. O(groups)
// memory.
#pragma once

#include <cstdint>
#include <vector>

namespace mascot {

// The precision a row is stored in; the values are those of mascot_jax.storage.
enum class Storage : uint8_t { kFloat32 = 0, kFloat16 = 1 };
inline constexpr int kStorages = 2;

class Groups {
 public:
  // starts: [count + 1], first 0, last the number of rows, strictly rising; codes: [count], values
  // of Storage.
  Groups(const uint32_t* starts, const uint8_t* codes, int64_t count)
      : starts_(starts), codes_(codes), count_(count) {
    // Cells of 2^shift rows, not larger than the mean group, index the group table. Regrouped
    // groups hold at least the mean, so a cell meets at most one boundary; find() is right for any
    // table.
    const uint64_t rows = starts[count];
    while ((uint64_t{2} << shift_) * static_cast<uint64_t>(count) <= rows) ++shift_;
    first_.resize((rows >> shift_) + 1);
    int64_t group = 0;
    for (uint64_t cell = 0; cell < first_.size(); ++cell) {
      while (group + 1 < count && (cell << shift_) >= starts[group + 1]) ++group;
      first_[cell] = static_cast<uint32_t>(group);
    }
    for (int64_t g = 1; g < count; ++g) uniform_ = uniform_ && codes[g] == codes[0];
  }

  int64_t find(uint32_t row) const {
    int64_t group = first_[row >> shift_];
    group += row >= starts_[group + 1];  // branchless: a branch here would be a coin toss
    while (row >= starts_[group + 1]) ++group;
    return group;
  }

  Storage storage(int64_t group) const { return static_cast<Storage>(codes_[group]); }
  Storage storage_of_row(uint32_t row) const { return storage(find(row)); }
  bool uniform() const { return uniform_; }  // every group in the same storage
  int64_t begin(int64_t group) const { return starts_[group]; }
  int64_t end(int64_t group) const { return starts_[group + 1]; }
  int64_t size() const { return count_; }

 private:
  const uint32_t* starts_;
  const uint8_t* codes_;
  int64_t count_;
  int shift_ = 0;
  bool uniform_ = true;
  std::vector<uint32_t> first_;
};

}  // namespace mascot

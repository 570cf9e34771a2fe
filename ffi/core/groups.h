// Groups of rows: group g holds rows starts[g] .. starts[g + 1] - 1, all in one storage.
// Memory is O(groups).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace mascot {

// The precision a row is stored in; the values are those of mascot_jax.storage.
enum class Storage : uint8_t { kFloat32 = 0, kFloat16 = 1 };
inline constexpr int kStorages = 2;

// The storage of a row, without search or branch. Rows are divided into cells of a power of two,
// short enough that the storage changes at most once within each.
class StorageMap {
 public:
  StorageMap(const uint32_t* starts, const uint8_t* codes, int64_t count) {
    const uint32_t rows = starts[count];
    std::vector<uint32_t> changes;
    for (int64_t g = 1; g < count; ++g) {
      if (codes[g] != codes[g - 1]) changes.push_back(starts[g]);
    }
    uniform_ = changes.empty();
    uint32_t shortest = rows;
    for (std::size_t i = 1; i < changes.size(); ++i) {
      shortest = std::min(shortest, changes[i] - changes[i - 1]);
    }
    // Groups of a regrouped side hold at least the mean number of rows: there are O(groups) cells.
    while (shift_ < 31 && uint32_t{2} << shift_ <= shortest) ++shift_;
    cells_.resize((rows >> shift_) + std::size_t{1});
    uint8_t code = codes[0];
    std::size_t next = 0;
    for (std::size_t cell = 0; cell < cells_.size(); ++cell) {
      const uint64_t end = (cell + 1) << shift_;
      cells_[cell] = {rows, code, code};
      if (next < changes.size() && changes[next] < end) {
        code ^= 1;  // two storages: a change is to the other one
        cells_[cell] = {changes[next++], cells_[cell].below, code};
      }
    }
  }

  Storage operator[](uint32_t row) const {
    const Cell& cell = cells_[row >> shift_];
    return static_cast<Storage>(row < cell.change ? cell.below : cell.above);
  }
  bool uniform() const { return uniform_; }  // every row in the same storage

 private:
  struct Cell {
    uint32_t change;  // rows of the cell before this one are in `below`, the others in `above`
    uint8_t below;
    uint8_t above;
  };

  int shift_ = 0;
  bool uniform_;
  std::vector<Cell> cells_;
};

class Groups {
 public:
  // starts: [count + 1], first 0, last the number of rows, strictly rising.
  // codes: [count], values of Storage.
  Groups(const uint32_t* starts, const uint8_t* codes, int64_t count)
      : starts_(starts), codes_(codes), count_(count), storages_(starts, codes, count) {}

  int64_t find(uint32_t row) const {
    return std::upper_bound(starts_, starts_ + count_, row) - starts_ - 1;
  }
  Storage storage(int64_t group) const { return static_cast<Storage>(codes_[group]); }
  const StorageMap& storages() const { return storages_; }
  int64_t begin(int64_t group) const { return starts_[group]; }
  int64_t end(int64_t group) const { return starts_[group + 1]; }
  int64_t size() const { return count_; }

 private:
  const uint32_t* starts_;
  const uint8_t* codes_;
  int64_t count_;
  StorageMap storages_;
};

}  // namespace mascot

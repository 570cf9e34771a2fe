// Groups of rows: group g holds rows starts[g] .. starts[g + 1] - 1, all in one storage.
// Memory is O(groups).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/storages/storages.h"

namespace mascot {

// How the storage of a row is found.
enum class Lookup : uint8_t {
  kDirect,  // by a table of cells, in cache: StorageMap, or on a GPU one like it
  kSearch,  // from the most-rated group on: the paper's MASCOT-opt
  kPerRow,  // by metadata of every row in memory: the paper's MASCOT-naive
};

// The storage of a row, without search or branch. Rows are divided into cells of a power of two,
// short enough that the storage changes at most once within each.
class StorageMap {
 public:
  StorageMap(const uint32_t* starts, const uint8_t* codes, int64_t count) {
    const uint32_t rows = starts[count];
    std::vector<Change> changes;
    // The first group with rows; others may have none anywhere.
    const auto first = std::upper_bound(starts, starts + count, uint32_t{0}) - starts - 1;
    uint8_t code = codes[first];
    for (int64_t g = first + 1; g < count; ++g) {
      if (starts[g] == starts[g + 1] || codes[g] == code) continue;
      code = codes[g];
      changes.push_back({starts[g], code});
    }
    uint32_t shortest = rows;
    for (std::size_t i = 1; i < changes.size(); ++i) {
      shortest = std::min(shortest, changes[i].row - changes[i - 1].row);
    }
    // Groups of a regrouped side hold at least the mean number of rows: there are O(groups) cells.
    while (shift_ < 31 && uint32_t{2} << shift_ <= shortest) ++shift_;
    cells_.resize((rows >> shift_) + std::size_t{1});
    code = codes[first];
    std::size_t next = 0;
    for (std::size_t cell = 0; cell < cells_.size(); ++cell) {
      const uint64_t end = (cell + 1) << shift_;
      cells_[cell] = {rows, {code, code}};
      if (next < changes.size() && changes[next].row < end) {
        const auto [row, above] = changes[next++];
        cells_[cell] = {row, {code, above}};
        code = above;
      }
    }
  }

  Storage operator[](uint32_t row) const {
    const Cell& cell = cells_[row >> shift_];
    return static_cast<Storage>(cell.codes[row >= cell.change]);
  }

 private:
  struct Change {
    uint32_t row;  // the first in another storage than the one before
    uint8_t code;
  };
  struct Cell {
    uint32_t change;   // a row
    uint8_t codes[2];  // of the cell's rows before it, and of the others; an array has no branch
  };

  int shift_ = 0;
  std::vector<Cell> cells_;
};

class Groups {
 public:
  // starts: [count + 1], first 0, last the number of rows, never falling; the last group has rows.
  // codes: [count], codes of storages.
  Groups(const uint32_t* starts, const uint8_t* codes, int64_t count,
         Lookup lookup = Lookup::kDirect)
      : starts_(starts),
        codes_(codes),
        count_(count),
        lookup_(lookup),
        storages_(starts, codes, count) {
    if (lookup != Lookup::kPerRow) return;
    metadata_.reserve(starts[count]);
    for (int64_t g = 0; g < count; ++g) {
      metadata_.resize(starts[g + 1], {static_cast<uint32_t>(g), storage(g)});
    }
  }

  int64_t find(uint32_t row) const {
    if (lookup_ == Lookup::kPerRow) return metadata_[row].group;
    // Halved without a branch, which would be mispredicted every other time.
    const uint32_t* first = starts_;
    for (int64_t left = count_; left > 1;) {
      const int64_t half = left / 2;
      first += first[half] <= row ? half : 0;
      left -= half;
    }
    return first - starts_;
  }
  Storage storage(int64_t group) const { return static_cast<Storage>(codes_[group]); }
  Lookup lookup() const { return lookup_; }
  // A row's storage, by each of the lookups.
  const StorageMap& storages() const { return storages_; }
  Storage searched(uint32_t row) const {
    int64_t group = 0;
    while (row >= starts_[group + 1]) ++group;
    return storage(group);
  }
  Storage from_metadata(uint32_t row) const { return metadata_[row].storage; }
  // Whether rows first .. last are all in one storage.
  bool uniform(uint32_t first, uint32_t last) const {
    const int64_t begin = find(first), end = find(last);
    return std::all_of(codes_ + begin, codes_ + end,
                       [&](uint8_t code) { return code == codes_[end]; });
  }
  bool uniform() const { return uniform(0, starts_[count_] - 1); }
  int64_t begin(int64_t group) const { return starts_[group]; }
  int64_t end(int64_t group) const { return starts_[group + 1]; }
  int64_t size() const { return count_; }

 private:
  const uint32_t* starts_;
  const uint8_t* codes_;
  int64_t count_;
  Lookup lookup_;
  StorageMap storages_;
  struct RowMetadata {
    uint32_t group;
    Storage storage;
  };
  std::vector<RowMetadata> metadata_;  // Lookup::kPerRow only
};

}  // namespace mascot

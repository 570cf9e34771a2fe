// What benchmarks/gpu/native/bulk.cuh gives the variants, on the host. An addition in bulk may be
// made at any time between its start and the wait for it: here either at once or as late as that.
#pragma once

#include <vector>

#include "hardware_on_host.h"

namespace mascot::cuda {

struct BulkAddition {
  void (*add)(char* row, const char* from);
  char* row;
  const char* from;
  int bytes;

  void make() const {
    for (int at = 0; at < bytes; at += 16) add(row + at, from + at);
  }
};

inline bool bulk_is_late = false;
inline std::vector<std::vector<BulkAddition>> bulk_open, bulk_closed;  // by thread of the block

// A thread's list.
inline std::vector<BulkAddition>& of_thread(std::vector<std::vector<BulkAddition>>& lists) {
  lists.resize(std::max<std::size_t>(lists.size(), threadIdx.x + 1));
  return lists[threadIdx.x];
}

inline void add_16_bytes(Float32, char* row, const char* from) {
  Vector<4> change;
  std::memcpy(change.at, from, sizeof change);
  add_floats(reinterpret_cast<float*>(row), change);
}
inline void add_16_bytes(Float16, char* row, const char* from) {
  Words<4> change;
  std::memcpy(change.at, from, sizeof change);
  add_halves(row, change);
}

template <class S>
void add_in_bulk(S, char* row, const char* shared, int bytes) {
  if (bytes <= 0 || bytes % 16 != 0) std::abort();
  const BulkAddition addition = {[](char* to, const char* from) { add_16_bytes(S{}, to, from); },
                                 aligned(row, 16), aligned(shared, 16), bytes};
  bulk_is_late ? of_thread(bulk_open).push_back(addition) : addition.make();
}
inline void publish_to_bulk() {}
inline void commit_bulk() {
  auto& open = of_thread(bulk_open);
  auto& closed = of_thread(bulk_closed);
  closed.insert(closed.end(), open.begin(), open.end());
  open.clear();
}
inline void wait_for_bulk() {
  for (const BulkAddition& addition : of_thread(bulk_closed)) addition.make();
  of_thread(bulk_closed).clear();
}
inline void wait_for_bulk_reads() { wait_for_bulk(); }

// Reads every byte: what is no row may not be there.
inline void prefetch_row(const char* row, int bytes) {
  if (bytes <= 0 || bytes % 16 != 0) std::abort();
  aligned(row, 16);
  for (int at = 0; at < bytes; ++at) static_cast<void>(static_cast<const volatile char*>(row)[at]);
}

}  // namespace mascot::cuda

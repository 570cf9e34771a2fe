// CUDA's threads as fibres of one host thread: enough of the language for the kernels under
// ffi/cuda to be compiled by a C++ compiler and run. It checks indexing, arithmetic and who meets
// whom at which barrier; it does not check the memory model.
//
// Thread blocks run one after the other. Within a block, fibres take turns whenever one waits for
// others, at a shuffle, vote or barrier: all in their order or, by a seed, a warp at a time as far
// as it gets, in random order. Only the latter finds some barriers that are missing. The lanes of a
// warp go in their order, or backwards.
#pragma once

#include <ucontext.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <numeric>
#include <random>
#include <vector>

#define __device__
#define __host__
#define __global__
#define __grid_constant__
#define __launch_bounds__(...)
#define MASCOT_SHARED_MEMORY(name) char* const name = fibres::shared_memory()

struct Dim3 {
  unsigned x = 1;
};
inline Dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace fibres {

inline constexpr unsigned kWarp = 32;
inline constexpr std::size_t kStack = 256 << 10;
inline constexpr std::size_t kShared = 256 << 10;

// Threads that meet: a warp, or a block. A thread is at its n-th meeting; values of even and odd
// meetings lie apart, so that a fast thread does not overwrite what a slow one has yet to read.
struct Meeting {
  unsigned members;
  std::vector<uint64_t> slots[2];
  uint64_t arrivals = 0;

  explicit Meeting(unsigned members) : members(members) {
    for (auto& values : slots) values.resize(members);
  }
};

struct Fibre {
  ucontext_t context;
  bool done = false;
  uint64_t warp_meetings = 0, block_meetings = 0;
};

struct Block {
  std::vector<Fibre> fibres;
  std::vector<Meeting> warps;
  Meeting all;
  ucontext_t scheduler;
  std::function<void()> body;
  uint64_t progress = 0;  // arrivals and ends: a round without any is a deadlock

  explicit Block(unsigned threads) : fibres(threads), all(threads) {
    for (unsigned first = 0; first < threads; first += kWarp) warps.emplace_back(kWarp);
  }
};

inline Block* current = nullptr;
inline uint64_t schedule = 0;  // the seed; 0: all threads in their order
inline bool backwards = false;

inline char* shared_memory() {
  alignas(64) static char memory[kShared];
  return memory;
}

// The same memory for every block: to clear so much, or to fetch it anew, takes longer than most
// kernels.
inline char* stack_of(std::size_t thread) {
  static std::vector<std::unique_ptr<char[]>> stacks;
  while (stacks.size() <= thread) stacks.emplace_back(new char[kStack]);
  return stacks[thread].get();
}

inline void yield() {
  Fibre& fibre = current->fibres[threadIdx.x];
  swapcontext(&fibre.context, &current->scheduler);
}

// Leaves value where the others find it, waits for them, and returns all values.
inline const std::vector<uint64_t>& meet(Meeting& meeting, uint64_t& count, unsigned member,
                                         uint64_t value) {
  auto& values = meeting.slots[count % 2];
  values[member] = value;
  ++meeting.arrivals;
  ++current->progress;
  ++count;
  do {
    yield();  // the last to come, too: threads go on in their order
  } while (meeting.arrivals < count * meeting.members);
  return values;
}

inline const std::vector<uint64_t>& meet_warp(uint64_t value) {
  Fibre& fibre = current->fibres[threadIdx.x];
  return meet(current->warps[threadIdx.x / kWarp], fibre.warp_meetings, threadIdx.x % kWarp, value);
}

inline const std::vector<uint64_t>& meet_block(uint64_t value) {
  Fibre& fibre = current->fibres[threadIdx.x];
  return meet(current->all, fibre.block_meetings, threadIdx.x, value);
}

inline void enter() {
  current->body();
  current->fibres[threadIdx.x].done = true;
  ++current->progress;
}

inline void begin_fibre(Block& block, unsigned thread) {
  ucontext_t& context = block.fibres[thread].context;
  getcontext(&context);
  context.uc_stack = {stack_of(thread), 0, kStack};
  context.uc_link = &block.scheduler;
  makecontext(&context, enter, 0);
}

// Lets each thread of a warp go on once. Returns whether one got further.
inline bool run_warp(Block& block, unsigned warp) {
  const uint64_t before = block.progress;
  for (unsigned lane = 0; lane < kWarp; ++lane) {
    const unsigned thread = warp * kWarp + (backwards ? kWarp - 1 - lane : lane);
    if (block.fibres[thread].done) continue;
    threadIdx.x = thread;
    swapcontext(&block.scheduler, &block.fibres[thread].context);
  }
  return block.progress != before;
}

inline void run_block(unsigned threads, const std::function<void()>& body) {
  // What shared memory holds at first is anybody's guess: here, NaN and impossible indices.
  std::memset(shared_memory(), 0xff, kShared);
  Block block(threads);
  block.body = body;
  current = &block;
  for (unsigned thread = 0; thread < threads; ++thread) begin_fibre(block, thread);
  std::vector<unsigned> order(threads / kWarp);
  std::iota(order.begin(), order.end(), 0u);
  std::mt19937_64 random(schedule);
  const auto done = [](const Fibre& fibre) { return fibre.done; };
  while (!std::all_of(block.fibres.begin(), block.fibres.end(), done)) {
    const uint64_t before = block.progress;
    if (schedule != 0) std::shuffle(order.begin(), order.end(), random);
    for (const unsigned warp : order) {
      while (run_warp(block, warp) && schedule != 0) {
      }
    }
    if (block.progress == before) {
      std::fputs("fibres: threads wait at different barriers\n", stderr);
      std::abort();
    }
  }
  current = nullptr;
}

// kernel<<<grid, threads>>>(...), where body calls the kernel.
inline void launch(unsigned grid, unsigned threads, const std::function<void()>& body) {
  gridDim.x = grid;
  blockDim.x = threads;
  for (unsigned block = 0; block < grid; ++block) {
    blockIdx.x = block;
    run_block(threads, body);
  }
}

template <class T>
uint64_t to_bits(T value) {
  static_assert(sizeof(T) <= sizeof(uint64_t));
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  return bits;
}

template <class T>
T from_bits(uint64_t bits) {
  T value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

}  // namespace fibres

// ---- CUDA's names

inline void __syncthreads() { fibres::meet_block(0); }
inline int __syncthreads_or(int predicate) {
  int any = 0;
  for (const uint64_t value : fibres::meet_block(predicate != 0)) any |= value != 0;
  return any;
}
inline void __syncwarp() { fibres::meet_warp(0); }
inline unsigned __ballot_sync(unsigned, bool predicate) {
  const auto& values = fibres::meet_warp(predicate);
  unsigned mask = 0;
  for (unsigned lane = 0; lane < fibres::kWarp; ++lane) mask |= unsigned(values[lane]) << lane;
  return mask;
}
inline bool __any_sync(unsigned mask, bool predicate) {
  return __ballot_sync(mask, predicate) != 0;
}
template <class T>
T __shfl_sync(unsigned, T value, int lane) {
  return fibres::from_bits<T>(fibres::meet_warp(fibres::to_bits(value))[unsigned(lane)]);
}
template <class T>
T __shfl_xor_sync(unsigned, T value, int mask) {
  const unsigned lane = threadIdx.x % fibres::kWarp ^ unsigned(mask);
  return fibres::from_bits<T>(fibres::meet_warp(fibres::to_bits(value))[lane]);
}
inline int __ffs(int value) { return __builtin_ffs(value); }
inline int __ffsll(long long value) { return __builtin_ffsll(value); }
inline int __ffs(int value) { return __builtin_ffs(value); }
inline int __popc(unsigned value) { return __builtin_popcount(value); }
inline void atomicAdd(float* address, float value) { *address += value; }
inline unsigned min(unsigned a, unsigned b) { return a < b ? a : b; }
inline int min(int a, int b) { return a < b ? a : b; }
inline unsigned max(unsigned a, unsigned b) { return a > b ? a : b; }
using std::isfinite;

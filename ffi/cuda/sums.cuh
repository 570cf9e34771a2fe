// Sums over an epoch's sampled ratings (lines 9-11 of Algorithm 1), per group of users and items.
// A thread block collects those of the most-rated groups, which are met most, in shared memory and
// adds them to the device's once, at its end; the others go to the device's by vectors.
#pragma once

#include <cstdint>

#include "cuda/hardware.cuh"
#include "cuda/model.h"

namespace mascot::cuda {

// Groups of each side whose sums a block collects in its shared memory: 0 .. users - 1 and
// 0 .. items - 1.
struct Held {
  uint32_t users;
  uint32_t items;
};

// Columns behind the padded gradient sum.
enum Statistic { kSquaredNorms, kCount, kLost };

// Rows of sums_width(factors) floats: the users' groups, then the items'.
struct Collector {
  float* block;   // [held.users + held.items, width], shared memory
  float* device;  // [user groups + item groups, width], global memory
  const Pass& pass;
  Held held;

  // The sums of one group, and whether they are the block's.
  struct Row {
    float* sums;
    bool shared;
    int padded;  // components

    template <int V>
    __device__ void add_gradient(int component, const Vector<V>& gradient) const {
#pragma unroll
      for (int v = 0; v < V; v += 4) {
        if (component + v >= padded) return;
        float* at = sums + component + v;
        if (shared) {
#pragma unroll
          for (int i = 0; i < 4; ++i) atomicAdd(at + i, gradient.at[v + i]);
        } else {
          add_floats(
              at, {{gradient.at[v], gradient.at[v + 1], gradient.at[v + 2], gradient.at[v + 3]}});
        }
      }
    }

    __device__ void add_statistics(float squared_norm, float lost) const {
      atomicAdd(sums + padded + kSquaredNorms, squared_norm);
      atomicAdd(sums + padded + kCount, 1.0f);
      atomicAdd(sums + padded + kLost, lost);
    }
  };

  __device__ Row user(uint32_t group) const { return row(group, group, group < held.users); }
  __device__ Row item(uint32_t group) const {
    return row(held.users + group, pass.users.groups + group, group < held.items);
  }

  // The next two are called by all threads of a block.
  __device__ void clear() const {
    for (int64_t i = threadIdx.x; i < held_floats(); i += blockDim.x) block[i] = 0;
    __syncthreads();
  }
  __device__ void flush() const {
    __syncthreads();
    const int64_t width = sums_width(pass.shape.factors);
    for (int64_t i = threadIdx.x * int64_t{4}; i < held_floats(); i += blockDim.x * int64_t{4}) {
      const int64_t of_items = i / width - held.users;  // negative: the group is the users'
      const int64_t skipped = of_items < 0 ? 0 : pass.users.groups - held.users;
      const float* sum = block + i;
      add_floats(device + i + skipped * width, {{sum[0], sum[1], sum[2], sum[3]}});
    }
  }

 private:
  __device__ int64_t held_floats() const {
    return (int64_t{held.users} + held.items) * sums_width(pass.shape.factors);
  }
  __device__ Row row(int64_t in_block, int64_t in_device, bool shared) const {
    const int64_t width = sums_width(pass.shape.factors);
    return {shared ? block + in_block * width : device + in_device * width, shared,
            static_cast<int>(padded_factors(pass.shape.factors))};
  }
};

}  // namespace mascot::cuda

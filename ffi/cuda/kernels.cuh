// The kernels: what one thread block does. Shared memory holds the warps' plans, the group tables
// of both sides, in an epoch the users' rows of its tiles as they were, and if it measures sums.
#pragma once

#include <cstdint>
#include <new>
#include <type_traits>

#include "core/dither.h"
#include "cuda/early_exit.cuh"
#include "cuda/update.cuh"

namespace mascot::cuda {

// The parts of a block's shared memory, one behind the other, each a multiple of 16 bytes. Memory:
// of a warp.
template <class Memory>
struct SharedBy {
  static_assert(sizeof(Memory) % 16 == 0);
  static constexpr int64_t kCommon = (sizeof(Common) + 15) / 16 * 16;
  static constexpr int64_t kWalk = kWarps * sizeof(Memory);

  char* memory;
  int64_t user_groups;  // bytes
  int64_t item_groups;
  int64_t rows;

  // chunks: of each user's row that is kept, at 16 bytes a lane.
  MASCOT_HD SharedBy(char* memory, const Pass& pass, int chunks)
      : memory(memory),
        user_groups(shared_bytes(pass.users, pass.lookup)),
        item_groups(shared_bytes(pass.items, pass.lookup)),
        rows(chunks * int64_t{kThreads} * static_cast<int64_t>(sizeof(Words<4>))) {}

  MASCOT_HD int64_t bytes() const { return kCommon + kWalk + user_groups + item_groups + rows; }
  __device__ Common* common() const { return reinterpret_cast<Common*>(memory); }
  __device__ Memory* walk() const { return reinterpret_cast<Memory*>(memory + kCommon); }
  __device__ char* of_users() const { return memory + kCommon + kWalk; }
  __device__ char* of_items() const { return of_users() + user_groups; }
  __device__ Words<4>* begin_of_runs() const {
    return reinterpret_cast<Words<4>*>(of_items() + item_groups) + threadIdx.x;
  }
  __device__ float* sums() const { return reinterpret_cast<float*>(memory + bytes()); }
};

using Shared = SharedBy<WarpMemory>;

template <class Memory = WarpMemory>
int64_t shared_bytes(const Pass& pass, int chunks, const Held& held) {
  const int64_t sums = (int64_t{held.users} + held.items) * sums_width(pass.shape.factors);
  return SharedBy<Memory>(nullptr, pass, chunks).bytes() +
         sums * static_cast<int64_t>(sizeof(float));
}

// The streams of draws that a pass reads, and which ratings it goes through, if not all.
struct Keys {
  uint64_t order;
  uint64_t dither;
  Stretches stretches = {};
};

// All threads of a block call it before they walk.
template <class Memory>
__device__ void prepare(const Pass& pass, const SharedBy<Memory>& shared, const Keys& keys,
                        const Sampling& sampling, const Rates& rates) {
  const GroupTable users(pass.users, pass.lookup, shared.of_users());
  const GroupTable items(pass.items, pass.lookup, shared.of_items());
  if (threadIdx.x == 0) {
    const Order order(pass.ratings.count, pass.block_size, keys.order, keys.stretches);
    new (shared.common()) Common{order, sampling, users, items, keys.dither, rates};
  }
  __syncthreads();
}

__device__ inline uint64_t epoch_key(const Training& training, Stream stream) {
  return stream_key(training.counters[0], training.counters[1], stream);
}

// Thread blocks that a multiprocessor should hold at once: 4, 3 and 2 leave a thread 64, 80 and 128
// registers, as its kernel needs. An epoch that measures has its shared memory to divide, too.
template <int C, class List, bool Samples = false, bool kStochastic = false>
constexpr int resident() {
  constexpr bool kScaled = kHas<Int8, List>, kInHalf = !kScaled && !kHas<Float32, List>;
  if (C == 8) return kScaled || Samples || (kStochastic && !kInHalf) ? 1 : 2;
  const int blocks = (C == 2 || (C == 4 && kInHalf) ? 4 : 3) - kStochastic - kScaled;
  return Samples || blocks < 2 ? 2 : blocks;
}

// Whether the updates of an epoch end at the first component near zero.
__device__ inline bool ends_early(const Training& training) {
  return training.thresholds != nullptr &&
         (training.thresholds[0] > 0 || training.thresholds[1] > 0);
}

// Part of an epoch: what one thread block does. Calls walk(rows, memory) with the UpdateRows and
// the warps' memory. The host does not know whether an epoch measures, nor whether its updates end
// early (that would mean waiting for the device), so all variants of a kernel are launched, and
// those that are not meant return.
template <class Memory, int C, class List, template <int> class Rounding, bool Samples, class Walk>
__device__ void update_rows(const Pass& pass, const Training& training, const Held& held,
                            const Walk& walk) {
  const float sample_ratio = training.rates[3];
  if ((sample_ratio > 0) != Samples) return;
  MASCOT_SHARED_MEMORY(memory);
  const SharedBy<Memory> shared(memory, pass, C);
  Sampling sampling = {};
  if constexpr (Samples) {
    sampling = {epoch_key(training, Stream::kSample),
                static_cast<uint64_t>(static_cast<double>(sample_ratio) * 0x1p32)};
  }
  prepare(pass, shared,
          {epoch_key(training, Stream::kBlockOrder), epoch_key(training, Stream::kDither),
           training.stretches},
          sampling, {training.rates[0], training.rates[1], training.rates[2]});
  const bool add = training.writes == Writes::kAdd;
  if constexpr (Samples) {
    const Collector collector = {shared.sums(), training.sums, pass, held};
    collector.clear();
    UpdateRows<C, List, Rounding, Collector> rows = {pass, add, shared.begin_of_runs(),
                                                     *shared.common(), collector};
    walk(rows, shared.walk());
    collector.flush();
  } else {
    UpdateRows<C, List, Rounding, NoSamples> rows = {
        pass, add, shared.begin_of_runs(), *shared.common(), {}};
    walk(rows, shared.walk());
  }
}

template <int C, class List, template <int> class Rounding, bool Samples>
__global__ void __launch_bounds__(kThreads, resident<C, List, Samples, Rounding<kWide>::kDraws>())
    update_kernel(const __grid_constant__ Pass pass, const Training training, const Held held) {
  if (ends_early(training)) return;
  update_rows<WarpMemory, C, List, Rounding, Samples>(
      pass, training, held, [&](const auto& rows, WarpMemory* memory) {
        UpdateRating<std::decay_t<decltype(rows)>> visit = {rows};
        walk(pass, rows.common, memory, visit);
      });
}

// The same where updates end early.
template <class List, template <int> class Rounding, bool Samples>
__global__ void __launch_bounds__(kThreads, resident<0, List, Samples, Rounding<kWide>::kDraws>())
    update_to_stop_kernel(const __grid_constant__ Pass pass, const Training training,
                          const Held held) {
  if (!ends_early(training)) return;
  const Thresholds thresholds = {training.thresholds[0], training.thresholds[1]};
  update_rows<WarpMemory, 0, List, Rounding, Samples>(
      pass, training, held, [&](const auto& rows, WarpMemory* memory) {
        using Seen = std::decay_t<decltype(rows.samples)>;
        UpdateToStop<List, Rounding, Seen> visit = {rows, thresholds};
        walk(pass, rows.common, memory, visit);
      });
}

template <int C, class List>
__global__ void __launch_bounds__(kThreads, resident<C, List>())
    stream_kernel(const __grid_constant__ Pass pass, const Training training) {
  MASCOT_SHARED_MEMORY(memory);
  const Shared shared(memory, pass, 0);
  prepare(pass, shared, {epoch_key(training, Stream::kBlockOrder), 0}, {}, {});
  StreamRating<C, List> visit = {pass};
  walk(pass, *shared.common(), shared.walk(), visit);
}

// Pieces in any order: the key is arbitrary.
template <int C>
__global__ void __launch_bounds__(kThreads, resident<C, StorageList<Float32, Float16>>())
    predict_kernel(const __grid_constant__ Pass pass, float* predictions) {
  MASCOT_SHARED_MEMORY(memory);
  const Shared shared(memory, pass, 0);
  prepare(pass, shared, {}, {}, {});
  PredictRating<C, Storages> visit = {pass, predictions};
  walk(pass, *shared.common(), shared.walk(), visit);
}

template <class List>
__global__ void __launch_bounds__(kThreads, resident<0, List>())
    predict_to_stop_kernel(const __grid_constant__ Pass pass, const float* thresholds,
                           float* predictions, uint32_t* stops) {
  MASCOT_SHARED_MEMORY(memory);
  const Shared shared(memory, pass, 0);
  prepare(pass, shared, {}, {}, {});
  PredictToStop<List> visit = {pass, {thresholds[0], thresholds[1]}, predictions, stops};
  walk(pass, *shared.common(), shared.walk(), visit);
}

// Calls body(chunks) with the smallest constant that holds k, or with 0 beyond 256.
template <class Body>
auto with_chunks(int64_t factors, const Body& body) {
  if (factors <= 64) return body(std::integral_constant<int, 2>{});
  if (factors <= 128) return body(std::integral_constant<int, 4>{});
  if (factors <= 256) return body(std::integral_constant<int, 8>{});
  return body(std::integral_constant<int, 0>{});
}

// Calls body(list) with the storages that rows may be in: one of FP32 and FP16, both, or all there
// are. Whatever is not in the list costs a kernel nothing.
template <class Body>
auto with_storages(const Pass& pass, const Body& body) {
  const auto has = [&](Storage storage) {
    const auto code = static_cast<int>(storage);
    return pass.users.tables[code].data != nullptr || pass.items.tables[code].data != nullptr;
  };
  if (has(kCode<Int8>)) return body(Storages{});
  if (!has(kCode<Float16>)) return body(StorageList<Float32>{});
  if (!has(kCode<Float32>)) return body(StorageList<Float16>{});
  return body(StorageList<Float32, Float16>{});
}

}  // namespace mascot::cuda

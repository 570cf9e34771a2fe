// What the variants need of the hardware besides cuda/hardware.cuh, all from compute capability 9.0
// on: reductions in bulk, for which a thread names bytes of shared memory, and that are made while
// it goes on; and rows that are fetched into L2 ahead of their use.
// Compiled for the host: tests/native/bulk_on_host.h.
#pragma once

#include <cstdint>

#include "core/storages/storages.h"
#include "cuda/hardware.cuh"

#if !defined(__CUDACC__)
#include "bulk_on_host.h"
#else

namespace mascot::cuda {

// ---- additions of shared memory to a row; bytes: a multiple of 16

__device__ inline void add_in_bulk(Float32, char* row, const char* shared, int bytes) {
  const auto from = static_cast<uint32_t>(__cvta_generic_to_shared(shared));
  asm volatile(
      "cp.reduce.async.bulk.global.shared::cta.bulk_group.add.f32 [%0], [%1], %2;" ::"l"(row),
      "r"(from), "r"(bytes)
      : "memory");
}
__device__ inline void add_in_bulk(Float16, char* row, const char* shared, int bytes) {
  const auto from = static_cast<uint32_t>(__cvta_generic_to_shared(shared));
  asm volatile(
      "cp.reduce.async.bulk.global.shared::cta.bulk_group.add.noftz.f16 [%0], [%1], %2;" ::"l"(row),
      "r"(from), "r"(bytes)
      : "memory");
}
// Makes what this thread has written to shared memory visible to additions in bulk.
__device__ inline void publish_to_bulk() {
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}
// Closes the group of the additions that this thread has asked for.
__device__ inline void commit_bulk() { asm volatile("cp.async.bulk.commit_group;" ::: "memory"); }
// Waits until this thread's additions have read shared memory; or until they are made, too.
__device__ inline void wait_for_bulk_reads() {
  asm volatile("cp.async.bulk.wait_group.read 0;" ::: "memory");
}
__device__ inline void wait_for_bulk() { asm volatile("cp.async.bulk.wait_group 0;" ::: "memory"); }

// ---- L2

__device__ inline void prefetch_row(const char* row, int bytes) {
  asm volatile("cp.async.bulk.prefetch.L2.global [%0], %1;" ::"l"(row), "r"(bytes) : "memory");
}

}  // namespace mascot::cuda

#endif

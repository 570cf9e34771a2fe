// From XLA buffers to what the CUDA kernels work on, with every check that needs no contents.
#pragma once

#include <new>
#include <vector>

#include "bind/decode.h"
#include "bind/signatures.h"
#include "cuda/launch.h"

namespace mascot::bind {

template <class T>
T* scratch(ffi::ScratchAllocator& allocator, int64_t count) {
  constexpr size_t kAlignment = 256;
  const auto memory = allocator.Allocate(static_cast<size_t>(count) * sizeof(T), kAlignment);
  if (!memory.has_value()) throw std::bad_alloc();
  return static_cast<T*>(*memory);
}

cuda::Writes decode_writes(const ExecutionAttribute& execution);
cuda::RowShape decode_shape(const RowAttribute& row);
cuda::Side decode_side(const GroupBuffers& groups, const std::vector<ffi::AnyBuffer>& tables,
                       const RowAttribute& row, const char* side);

// buffers: the tables of the users, then those of the items.
template <class Remaining>
cuda::Pass decode_pass(const Ratings& ratings, const GroupBuffers& user_groups,
                       const GroupBuffers& item_groups, const Remaining& buffers, RowAttribute row,
                       int64_t user_tables, int64_t block_size,
                       const ExecutionAttribute& execution) {
  require_block_size(block_size);
  const auto tables = static_cast<int64_t>(buffers.size());
  return {
      ratings,
      decode_side(user_groups, remaining(buffers, 0, user_tables), row, "users"),
      decode_side(item_groups, remaining(buffers, user_tables, tables - user_tables), row, "items"),
      decode_shape(row),
      block_size,
      decode_lookup(execution)};
}

// Scaled rows are written block by block of a scale, which takes all of them in registers.
void require_trainable(const cuda::Pass& pass);

// Other arithmetic than FP32 holds a row in registers, and knows one storage.
void require_computable(const cuda::Pass& pass, Arithmetic arithmetic);

// Updates that end early read rows as far as they go, and so cannot find a block's scale.
void require_stoppable(const cuda::Pass& pass, Arithmetic arithmetic);

// Gives Lookup::kPerRow what it reads.
void fill_metadata(cuda::Pass& pass, ffi::ScratchAllocator& allocator, cudaStream_t stream);

cuda::Training make_training(const cuda::Pass& pass, F32 rates, U32 counters, cuda::Writes writes,
                             ffi::ScratchAllocator& allocator);

}  // namespace mascot::bind

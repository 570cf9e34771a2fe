// What each FFI target takes and gives: the contract with mascot_jax.engine, the same on
// every back end. Tables updated in place are results aliased to operands.
#pragma once

#include <string_view>
#include <utility>

#include "xla/ffi/api/ffi.h"

namespace mascot::bind {

namespace ffi = ::xla::ffi;

// How a call is to be run (mascot_jax.engine.kernels.Execution).
struct ExecutionAttribute {
  int32_t threads;                   // CPU
  std::string_view instruction_set;  // CPU
  std::string_view lookup;
  std::string_view writes;  // CUDA
};

// What a row holds (mascot_jax.engine.kernels).
struct RowAttribute {
  int64_t factors;
  int64_t scale_block;  // components that share a scale, for int8
};

}  // namespace mascot::bind

XLA_FFI_REGISTER_STRUCT_ATTR_DECODING(mascot::bind::RowAttribute,
                                      ::xla::ffi::StructMember<int64_t>("factors"),
                                      ::xla::ffi::StructMember<int64_t>("scale_block"));

XLA_FFI_REGISTER_STRUCT_ATTR_DECODING(mascot::bind::ExecutionAttribute,
                                      ::xla::ffi::StructMember<int32_t>("threads"),
                                      ::xla::ffi::StructMember<std::string_view>("instruction_set"),
                                      ::xla::ffi::StructMember<std::string_view>("lookup"),
                                      ::xla::ffi::StructMember<std::string_view>("writes"));

namespace mascot::bind {

// Where each of an epoch's counters is. Buffers may be longer than what they hold, so that one
// compiled program serves many sizes: the CPU reads these sizes; a GPU is given exact buffers.
enum Counter : size_t {
  kSeed,
  kEpochNumber,
  kRatingsLow,  // 32 bits each
  kRatingsHigh,
  kUserRanges,
  kItemRanges,
  kCounters,
};

// Rates without thresholds, and with them: those of update/early_exit.h, in float32 arithmetic.
inline constexpr size_t kRates = 5, kRatesAndThresholds = 7;

using U32 = ffi::Buffer<ffi::U32>;
using U8 = ffi::Buffer<ffi::U8>;
using F32 = ffi::Buffer<ffi::F32>;
using Sums = ffi::Result<ffi::BufferR2<ffi::F32>>;
using Words = ffi::Result<ffi::BufferR2<ffi::U32>>;
using Predictions = ffi::Result<ffi::BufferR1<ffi::F32>>;

inline auto allocate_signature() {
  return ffi::Ffi::Bind().Ret<ffi::AnyBuffer>();  // table [rows, stride]
}

// Rows of embedding tables: core/embedding/kernel.h. wide, narrow: the tiers, [rows, elements] in
// the storages that the attributes name.
inline auto embedding_lookup_signature() {
  return ffi::Ffi::Bind()
      .Arg<ffi::BufferR2<ffi::U32>>()  // rows [batch, fields]
      .Arg<ffi::BufferR1<ffi::F32>>()  // scales [fields]
      .Arg<ffi::AnyBuffer>()           // wide
      .Arg<ffi::AnyBuffer>()           // narrow
      .Ret<ffi::BufferR3<ffi::F32>>()  // values [batch, fields, dimension]
      .Attr<std::string_view>("wide_storage")
      .Attr<std::string_view>("narrow_storage")
      .Attr<int64_t>("levels")  // 0: rows in float32 are not rounded
      .Attr<ExecutionAttribute>("execution");
}

// Lookups in the batch's order: on the CPU only.
inline auto embedding_update_signature() {
  return ffi::Ffi::Bind()
      .Arg<ffi::BufferR2<ffi::U32>>()  // rows [batch, fields]
      .Arg<ffi::BufferR3<ffi::F32>>()  // gradients [batch, fields, dimension]
      .Arg<ffi::BufferR0<ffi::F32>>()  // step size
      .Arg<ffi::BufferR1<ffi::U32>>()  // seed, step
      .Arg<ffi::AnyBuffer>()           // wide: aliased to the first result
      .Arg<ffi::AnyBuffer>()           // narrow: aliased to the second
      .Ret<ffi::AnyBuffer>()
      .Ret<ffi::AnyBuffer>()
      .Attr<std::string_view>("wide_storage")
      .Attr<std::string_view>("narrow_storage")
      .Attr<ExecutionAttribute>("execution");
}

inline auto embedding_coalesce_signature() {
  return ffi::Ffi::Bind()
      .Arg<ffi::BufferR2<ffi::U32>>()  // rows [batch, fields]
      .Arg<ffi::BufferR3<ffi::F32>>()  // gradients [batch, fields, dimension]
      .Ret<ffi::BufferR3<ffi::F32>>()  // sums [batch, fields, dimension]
      .Attr<ExecutionAttribute>("execution");
}

// The same of lookups that are sorted by row, equal ones in the batch's order: on a GPU only.
inline auto embedding_update_sorted_signature() {
  return ffi::Ffi::Bind()
      .Arg<ffi::BufferR1<ffi::U32>>()  // rows [batch * fields], sorted
      .Arg<ffi::BufferR1<ffi::U32>>()  // places [batch * fields]: b * fields + f of each
      .Arg<ffi::BufferR3<ffi::F32>>()  // gradients [batch, fields, dimension]
      .Arg<ffi::BufferR0<ffi::F32>>()  // step size
      .Arg<ffi::BufferR1<ffi::U32>>()  // seed, step
      .Arg<ffi::AnyBuffer>()           // wide: aliased to the first result
      .Arg<ffi::AnyBuffer>()           // narrow: aliased to the second
      .Ret<ffi::AnyBuffer>()
      .Ret<ffi::AnyBuffer>()
      .Attr<std::string_view>("wide_storage")
      .Attr<std::string_view>("narrow_storage")
      .Attr<ExecutionAttribute>("execution");
}

inline auto embedding_coalesce_sorted_signature() {
  return ffi::Ffi::Bind()
      .Arg<ffi::BufferR1<ffi::U32>>()  // rows [batch * fields], sorted
      .Arg<ffi::BufferR1<ffi::U32>>()  // places [batch * fields]
      .Arg<ffi::BufferR3<ffi::F32>>()  // gradients [batch, fields, dimension]
      .Ret<ffi::BufferR3<ffi::F32>>()  // sums [batch, fields, dimension]
      .Attr<ExecutionAttribute>("execution");
}

inline auto embedding_store_signature() {
  return ffi::Ffi::Bind()
      .Arg<ffi::BufferR2<ffi::F32>>()  // values [count, dimension]
      .Arg<ffi::BufferR1<ffi::U32>>()  // seed, first row
      .Arg<ffi::AnyBuffer>()           // table: aliased to the result
      .Ret<ffi::AnyBuffer>()
      .Attr<std::string_view>("storage")
      .Attr<ExecutionAttribute>("execution");
}

inline auto lay_out_signature() {
  return ffi::Ffi::Bind()
      .Arg<U32>()                      // users [n or more]
      .Arg<U32>()                      // items [n or more]
      .Arg<F32>()                      // ratings [n or more]
      .Arg<U32>()                      // user_part [user rows]
      .Arg<U32>()                      // item_part [item rows]
      .Arg<U32>()                      // seed, n, blocks
      .Ret<ffi::BufferR1<ffi::U32>>()  // users [n or more]
      .Ret<ffi::BufferR1<ffi::U32>>()  // items [n or more]
      .Ret<ffi::BufferR1<ffi::F32>>()  // ratings [n or more]
      .Ret<ffi::BufferR1<ffi::U32>>()  // begin [blocks or more]
      .Attr<int64_t>("longest_run")
      .Attr<int64_t>("least_sweeps")
      .Attr<int32_t>("threads");
}

// The operands of a pass over the ratings that updates rows, but its tables.
inline auto pass_operands() {
  return ffi::Ffi::Bind()
      .Arg<U32>()   // users [n]
      .Arg<U32>()   // items [n]
      .Arg<F32>()   // ratings [n]
      .Arg<U32>()   // user_starts [user groups + 1]
      .Arg<U8>()    // user_codes [user groups]
      .Arg<U32>()   // item_starts [item groups + 1]
      .Arg<U8>()    // item_codes [item groups]
      .Arg<F32>()   // rates: learning_rate, user_reg, item_reg, sample_ratio, quantiser; and, or
                    // not: user_threshold, item_threshold
      .Arg<U32>();  // counters: Counter
}

// What an epoch has behind its operands.
template <class Operands>
auto epoch_of(Operands&& operands) {
  return std::forward<Operands>(operands)
      .RemainingArgs()  // user tables, item tables: aliased to the remaining results
      .template Ret<ffi::BufferR2<ffi::F32>>()  // user_sums [user groups, factors + 4]
      .template Ret<ffi::BufferR2<ffi::F32>>()  // item_sums [item groups, factors + 4]
      .RemainingRets()
      .template Attr<RowAttribute>("row")
      .template Attr<int64_t>("user_tables")
      .template Attr<int64_t>("block_size")
      .template Attr<ExecutionAttribute>("execution")
      .template Attr<std::string_view>("rounding")     // of rows in fewer than 32 bits
      .template Attr<std::string_view>("arithmetic");  // core/model.h: what the quantiser is, too
}

inline auto epoch_signature() { return epoch_of(pass_operands()); }

// epoch_signature over ratings that are laid out in strata: on the CPU only.
inline auto strata_epoch_signature() {
  return epoch_of(pass_operands()
                      .Arg<U32>()   // user_ranges [user ranges + 1]: rows
                      .Arg<U32>()   // item_ranges [item ranges + 1]
                      .Arg<U32>())  // strata [user ranges * item ranges]: where each block begins
      .Attr<bool>("conflict_free")  // no two threads at a time in one range
      .Attr<int64_t>("rotations");  // of their order (core/rotations.h); 0: none
}

// strata_epoch_signature over interactions, sorted by user and item within each block, whose
// ratings are their weights.
inline auto interactions_epoch_signature() {
  return epoch_of(pass_operands()
                      .Arg<U32>()       // user_ranges [user ranges + 1]: rows
                      .Arg<U32>()       // item_ranges [item ranges + 1]
                      .Arg<U32>()       // strata [user ranges * item ranges]
                      .Arg<F32>()       // user_draws [users or more]: negatives, on average
                      .Arg<U32>()       // item_weights [items or more], in draws
                      .Arg<F32>())      // negative_weight [1]
      .Attr<bool>("conflict_free")      // no two threads at a time in one range
      .Attr<std::string_view>("loss");  // of squares, or logistic
}

// Part of an epoch of conflict-free strata: the blocks of a list, of which this process may hold
// some.
inline auto turns_signature() {
  return pass_operands()
      .Arg<U32>()  // user_ranges, item_ranges, strata: as for strata_epoch
      .Arg<U32>()
      .Arg<U32>()
      .Arg<U32>()                      // numbers [user ranges * item ranges]: each block's first,
                                       // in all of the training
      .Arg<U32>()                      // turns [t, 2]: user range, item range
      .Arg<U32>()                      // span [2]: the first turn to visit, and the one behind
      .RemainingArgs()                 // user sums, item sums, tables: aliased to the results
      .Ret<ffi::BufferR2<ffi::U32>>()  // user_sums [ranges' user groups or more, words]
      .Ret<ffi::BufferR2<ffi::U32>>()  // item_sums
      .RemainingRets()
      .Attr<RowAttribute>("row")
      .Attr<int64_t>("user_tables")
      .Attr<int64_t>("block_size")
      .Attr<ExecutionAttribute>("execution")
      .Attr<std::string_view>("rounding")
      .Attr<std::string_view>("arithmetic");
}

// Adds the sums of all ranges of a side up.
inline auto total_signature() {
  return ffi::Ffi::Bind()
      .Arg<U32>()                      // starts [groups + 1]
      .Arg<U8>()                       // codes [groups]
      .Arg<U32>()                      // ranges [ranges + 1]: rows
      .Arg<F32>()                      // rates: as for epoch
      .Arg<ffi::BufferR2<ffi::U32>>()  // sums [ranges' groups or more, words]
      .Ret<ffi::BufferR2<ffi::F32>>()  // totals [groups, factors + 4]
      .Attr<RowAttribute>("row");
}

// What pack and unpack have in common.
inline auto exchange_operands() {
  return ffi::Ffi::Bind()
      .Arg<U32>()                       // starts [groups + 1]
      .Arg<U8>()                        // codes [groups]
      .Arg<U32>()                       // ranges [ranges + 1]: rows
      .Arg<ffi::BufferR2<ffi::U32>>()   // moves [ranges, 2]: at which worker, to which
      .Arg<U32>()                       // pair [2]: the worker that sends, the one that gets it
      .Arg<ffi::BufferR2<ffi::U32>>();  // sums [ranges' groups or more, words]
}

inline auto pack_signature() {
  return exchange_operands()
      .RemainingArgs()                // the side's tables: aliased to the results, and unchanged
      .Ret<ffi::BufferR1<ffi::U8>>()  // parcel [bytes]
      .RemainingRets()
      .Attr<RowAttribute>("row");
}

inline auto unpack_signature() {
  return exchange_operands()           // sums: aliased to the result
      .Arg<ffi::BufferR1<ffi::U8>>()   // parcel [bytes]
      .RemainingArgs()                 // the side's tables: aliased to the results
      .Ret<ffi::BufferR2<ffi::U32>>()  // sums
      .RemainingRets()
      .Attr<RowAttribute>("row");
}

inline auto stream_signature() {
  return pass_operands()
      .RemainingArgs()  // user tables, item tables: aliased to the results
      .RemainingRets()
      .Attr<RowAttribute>("row")
      .Attr<int64_t>("user_tables")
      .Attr<int64_t>("block_size")
      .Attr<ExecutionAttribute>("execution");
}

inline auto promote_signature() {
  return ffi::Ffi::Bind()
      .Arg<U32>()       // starts [groups + 1]
      .Arg<U8>()        // old_codes [groups]
      .Arg<U8>()        // new_codes [groups]
      .RemainingArgs()  // the side's tables: aliased to the results
      .RemainingRets()
      .Attr<RowAttribute>("row")
      .Attr<ExecutionAttribute>("execution");
}

// predict_signature up to the first component below the thresholds, which ends the sum.
inline auto predict_to_stop_signature() {
  return ffi::Ffi::Bind()
      .Arg<U32>()                      // users [n]
      .Arg<U32>()                      // items [n]
      .Arg<U32>()                      // user_starts [user groups + 1]
      .Arg<U8>()                       // user_codes [user groups]
      .Arg<U32>()                      // item_starts [item groups + 1]
      .Arg<U8>()                       // item_codes [item groups]
      .Arg<F32>()                      // thresholds: of users, of items
      .RemainingArgs()                 // user tables, item tables
      .Ret<ffi::BufferR1<ffi::F32>>()  // predictions [n]
      .Ret<ffi::BufferR1<ffi::U32>>()  // stops [n]
      .Attr<RowAttribute>("row")
      .Attr<int64_t>("user_tables")
      .Attr<int64_t>("block_size")
      .Attr<ExecutionAttribute>("execution");
}

// What train.pruning `project` does between two epochs (core/projection.h): on the CPU only. On a
// GPU, JAX code does it.
inline auto joint_basis_signature() {
  return ffi::Ffi::Bind()
      .Arg<U32>()                      // users [n or more]
      .Arg<U32>()                      // items [n or more]
      .Arg<U32>()                      // user_starts [user groups + 1]
      .Arg<U8>()                       // user_codes [user groups]
      .Arg<U32>()                      // item_starts [item groups + 1]
      .Arg<U8>()                       // item_codes [item groups]
      .Arg<U32>()                      // counters: Counter
      .RemainingArgs()                 // user tables, item tables
      .Ret<ffi::BufferR2<ffi::F32>>()  // basis [factors, kept]
      .Attr<RowAttribute>("row")
      .Attr<int64_t>("user_tables")
      .Attr<ExecutionAttribute>("execution");
}

inline auto project_signature() {
  return ffi::Ffi::Bind()
      .Arg<ffi::BufferR2<ffi::F32>>()  // basis [factors, kept]
      .Arg<U32>()                      // starts [groups + 1]
      .Arg<U8>()                       // codes [groups]
      .Arg<U32>()                      // counters: Counter
      .RemainingArgs()                 // the side's tables
      .RemainingRets()                 // its new tables, as many, of rows of `kept` components
      .Attr<RowAttribute>("row")       // of the old tables
      .Attr<bool>("of_items")          // which draws to round by
      .Attr<std::string_view>("rounding")
      .Attr<ExecutionAttribute>("execution");
}

inline auto check_finite_signature() {
  return ffi::Ffi::Bind()
      .Arg<U32>()       // starts [groups + 1]
      .Arg<U8>()        // codes [groups]
      .RemainingArgs()  // the side's tables
      .Ret<U8>()        // finite [groups]
      .Attr<RowAttribute>("row")
      .Attr<ExecutionAttribute>("execution");
}

inline auto predict_signature() {
  return ffi::Ffi::Bind()
      .Arg<U32>()                      // users [n]
      .Arg<U32>()                      // items [n]
      .Arg<U32>()                      // user_starts [user groups + 1]
      .Arg<U8>()                       // user_codes [user groups]
      .Arg<U32>()                      // item_starts [item groups + 1]
      .Arg<U8>()                       // item_codes [item groups]
      .RemainingArgs()                 // user tables, item tables
      .Ret<ffi::BufferR1<ffi::F32>>()  // predictions [n]
      .Attr<RowAttribute>("row")
      .Attr<int64_t>("user_tables")
      .Attr<int64_t>("block_size")
      .Attr<ExecutionAttribute>("execution");
}

}  // namespace mascot::bind

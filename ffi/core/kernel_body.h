// The work on rows, written once for every instruction set: included by kernel_*.cc inside the
// namespace that defines Lanes and the storages (so no include guards here and in the parts), under
// that file's target pragma.
//
// The arithmetic, which the tests' NumPy reference repeats bit for bit:
//   p.q       64 partial sums: component c goes to partial c mod 64 by fused multiply-add, in
//             rising c; then partial i += partial i + n/2 for n = 64, 32, ..., 2
//   e         r - p.q
//   p'        fma(eta e, q, fma(-eta lambda_P, p, p)): two roundings, then the store's;
//             q' alike, from the old p
//   store     in FP16 with stochastic rounding: half.h, by the draws of kernel_rows.h
//   gradient  fma(e, q, -(lambda_P p)), of samples only

// clang-format off: each part is made of those before it
#include "core/kernel_rows.h"
#include "core/kernel_update.h"
#include "core/kernel_block.h"
// clang-format on

void update(const Task& task, Block block) {
  with_chunks(task.factors, [&](auto chunks) {
    with_rounding(task.dither.rounding, [&](auto rounding) {
      walk_block(task, block, chunks, rounding,
                 [&](auto u, auto v, int64_t i, bool sampled, const Ahead& ahead) MASCOT_INLINED {
                   update_rating<decltype(u), decltype(v)>(task, i, sampled, ahead, chunks);
                 });
    });
  });
}

void stream(const Task& task, Block block) {
  with_chunks(task.factors, [&](auto chunks) {
    walk_block(task, block, chunks, Nearest{},
               [&](auto u, auto v, int64_t i, bool, const Ahead& ahead) MASCOT_INLINED {
                 stream_rating<decltype(u), decltype(v)>(task, i, ahead, chunks);
               });
  });
}

void predict(const Task& task, Block block, float* predictions) {
  const Chunks<0> chunks{chunk_count(task.factors)};
  walk_block(task, block, chunks, Nearest{},
             [&](auto u, auto v, int64_t i, bool, const Ahead& ahead) MASCOT_INLINED {
               using U = decltype(u);
               using V = decltype(v);
               const Row<U, 0> p(row_of<U>(*task.users, task.ratings->user[i]), chunks);
               const Row<V, 0> q(row_of<V>(*task.items, task.ratings->item[i]), chunks);
               for (int64_t c = 0; c < chunks.count(); ++c) ahead.fetch(c);
               predictions[i] = dot(p, q, chunks);
             });
}

void widen(const Side& side, int64_t factors, int64_t begin, int64_t end) {
  using Half = Float16<Rounding::kNearest>;
  for (int64_t row = begin; row < end; ++row) {
    const uint16_t* from = row_of<Half>(side, static_cast<uint32_t>(row));
    float* to = row_of<Float32>(side, static_cast<uint32_t>(row));
    for (int64_t c = 0; c < chunk_count(factors); ++c) {
      store_floats(to + c * kLanes, Half::load(from + c * kLanes));
    }
  }
}

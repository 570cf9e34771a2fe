// The work on rows, written once for every instruction set: included by avx2.cc and the
// like inside the namespace that defines Lanes (so no include guards here and in the parts), under
// that file's target pragma.
//
// The arithmetic, which the tests' NumPy reference repeats bit for bit:
//   p.q       64 partial sums: component c goes to partial c mod 64 by fused multiply-add, in
//             rising c; then partial i += partial i + n/2 for n = 64, 32, ..., 2
//   e         r - p.q
//   p'        fma(eta e, q, fma(-eta lambda_P, p, p)): two roundings, then the store's;
//             q' alike, from the old p
//   store     of an item's row after each rating; of a user's after the last of those that follow
//             one another, by the draws of that one: core/storages
//   gradient  fma(e, q, -(lambda_P p)), of samples only
// In fewer bits than FP32: arithmetic.h. Up to the first component near zero: early_exit.h.

// clang-format off: each part is made of those before it
#include "core/update/codec.h"
#include "core/update/rows.h"
#include "core/update/sample.h"
#include "core/update/walk.h"
#include "core/update/held.h"
#include "core/update/arithmetic.h"
#include "core/update/early_exit.h"
#include "core/update/projection.h"
// clang-format on

// Eq. 2 and 3 for rating i, on the rows p and q.
template <class P, class Q, int C>
MASCOT_INLINE void update_rating(const Task& task, int64_t i, uint8_t plan, const Ahead& ahead,
                                 Chunks<C> chunks, P& p, Q& q) {
  const float error = task.ratings->rating[i] - dot(p, q, chunks);
  if (__builtin_expect(plan & kSampled, 0)) sample(task, i, plan, error, p, q, chunks);
  const Lanes step = broadcast(task.rates.learning_rate * error);
  const Lanes user_decay = broadcast(task.user_decay), item_decay = broadcast(task.item_decay);
  const Draws draws = Draws::of_user(task, i);
  for_chunks(chunks, [&](int64_t c) MASCOT_INLINED {
    ahead.fetch_chunk<P, Q>(c);
    const Lanes x = p[c], y = q[c];
    const Words draw = draws.chunk(c);
    p.set(c, fma(step, y, fma(user_decay, x, x)), draw);
    q.set(c, fma(step, x, fma(item_decay, y, y)), Draws::of_item(draw));
  });
}

struct Whole {
  template <class P, class Q, int C>
  MASCOT_INLINE static void update(const Task& task, int64_t i, uint8_t plan, const Ahead& ahead,
                                   Chunks<C> chunks, P& p, Q& q) {
    update_rating(task, i, plan, ahead, chunks, p, q);
  }
};

// One visit of a list, the user's row being p. U: how far it is updated.
template <class U, class Items, class P, int C>
MASCOT_INLINE void update_visit(const Task& task, const List& list, const uint32_t* visit,
                                Chunks<C> chunks, P& p) {
  const uint32_t place = *visit;
  const int64_t i = list.first + place;
  if ((visit - list.begin) % kTouchedAtOnce == 0) list.touch(visit + kPrefetchDistance + 1);
  const Ahead ahead = list.rows(visit + kPrefetchDistance);
  auto q = Items::open(task, list.item[place], chunks);
  U::update(task, i, list.plan[place], ahead, chunks, p, q);
  Items::close(task, i, chunks);
}

// A visit whose user's row is updated where it lies, in storage S.
template <class U, class S, Rounding R, class Items, int C>
MASCOT_INLINE void update_in_place(const Task& task, const List& list, const uint32_t* visit,
                                   Chunks<C> chunks) {
  void* row = task.users->row(kCode<S>, list.user[*visit]);
  StoredRow<S, R, C> p(static_cast<typename S::Element*>(row), chunks);
  update_visit<U, Items>(task, list, visit, chunks, p);
}

// A list whose users' rows are in FP32.
template <class U, class Items, int C>
void update_each(const Task& task, const List& shared, Chunks<C> chunks) {
  const List list = shared;  // a copy that no store to a row can reach: it stays in registers
  for (const uint32_t* visit = list.begin; visit < list.end; ++visit) {
    update_in_place<U, Float32, Rounding::kNearest, Items>(task, list, visit, chunks);
  }
}

// A list whose users' rows are in fewer than 32 bits. Where several ratings of one user follow one
// another, or rows are scaled, they work on a copy of its row.
template <class U, Rounding R, class Items, int C>
void update_runs(const Task& task, const List& shared, Chunks<C> chunks) {
  const List list = shared;
  const Storage storage = user_storage(list.pair);
  for (const uint32_t* visit = list.begin; visit < list.end;) {
    const uint32_t user = list.user[*visit];
    const uint32_t* end = visit + 1;
    while (end < list.end && list.user[*end] == user) ++end;
    const auto in_place = [&](auto s) MASCOT_INLINED {
      using S = decltype(s);
      if constexpr (kRoundsEach<S>) update_in_place<U, S, R, Items>(task, list, visit, chunks);
      return kRoundsEach<S>;
    };
    if (end == visit + 1 && with_storage(storage, in_place)) {
      ++visit;
      continue;
    }
    WorkingRow<C> p(*task.users, storage, user, task.scratch->user, chunks);
    while (visit < end) update_visit<U, Items>(task, list, visit++, chunks, p);
    p.template store<R>(Draws::of_user(task, list.first + *(end - 1)));
  }
}

template <class U, int C>
MASCOT_INLINE void update_lists(const Task& task, Block block, Chunks<C> chunks) {
  for_lists(task, block, chunks, [&](const List& list) {
    with_rounding(task.dither.rounding, [&](auto rounding) {
      with_storage(item_storage(list.pair), [&](auto s) {
        using S = decltype(s);
        using Items = ItemRow<S, S::kRounds ? rounding.value : Rounding::kNearest>;
        if constexpr (std::is_same_v<U, Whole> && kHeld<C> && !S::kScaled) {
          if (update_held_users<S, rounding.value>(task, list, chunks)) return;
        }
        if (user_storage(list.pair) == kCode<Float32>) {
          update_each<U, Items>(task, list, chunks);
        } else {
          update_runs<U, rounding.value, Items>(task, list, chunks);
        }
      });
    });
  });
}

void update(const Task& task, Block block) {
  if (update_by_arithmetic(task, block)) return;
  const auto [user, item] = task.computation.thresholds;
  if (user > 0 || item > 0) {
    return update_lists<ToTheStop>(task, block, Chunks<0>{chunk_count(task.factors)});
  }
  with_chunks(task.factors, [&](auto chunks) { update_lists<Whole>(task, block, chunks); });
}

void stream(const Task& task, Block block) {
  const Chunks<0> chunks{chunk_count(task.factors)};
  const auto pass = [](const TableLines& table, uint32_t row) MASCOT_INLINED {
    char* data = const_cast<char*>(table.data) + static_cast<int64_t>(row) * table.row_bytes;
    for (int64_t byte = 0; byte <= table.last; byte += kCacheLine) {
      float* line = reinterpret_cast<float*>(data + byte);
      Lanes lanes = load_floats(line);
      keep(lanes);
      store_floats(line, lanes);
    }
  };
  for_lists(task, block, chunks, [&](const List& list) {
    for (const uint32_t* visit = list.begin; visit < list.end; ++visit) {
      const Ahead ahead = list.rows(visit + kPrefetchDistance);
      for (int64_t c = 0; c < chunks.count(); ++c) ahead.fetch(c);
      pass(list.users, list.user[*visit]);
      pass(list.items, list.item[*visit]);
    }
  });
}

void predict(const Task& task, Block block, float* predictions) {
  const Chunks<0> chunks{chunk_count(task.factors)};
  for_lists(task, block, chunks, [&](const List& list) {
    const Storage users = user_storage(list.pair), items = item_storage(list.pair);
    Scratch& scratch = *task.scratch;
    for (const uint32_t* visit = list.begin; visit < list.end; ++visit) {
      const Ahead ahead = list.rows(visit + kPrefetchDistance);
      for (int64_t c = 0; c < chunks.count(); ++c) ahead.fetch(c);
      const Floats p = as_floats(*task.users, users, list.user[*visit], scratch.user, chunks);
      const Floats q = as_floats(*task.items, items, list.item[*visit], scratch.item, chunks);
      predictions[list.first + *visit] = dot(p, q, chunks);
    }
  });
}

void convert(const Side& side, Storage from, Storage to, int64_t factors, int64_t begin,
             int64_t end) {
  const Chunks<0> chunks{chunk_count(factors)};
  RowBuffer buffer(factors);
  const Table &old = side.table(from), &fresh = side.table(to);
  for (int64_t row = begin; row < end; ++row) {
    const auto number = static_cast<uint32_t>(row);
    decode(side.row(from, number), old, from, buffer.data(), chunks);
    void* data = side.row(to, number);
    // The padding, too: nobody has written it yet.
    std::memset(data, 0, static_cast<std::size_t>(fresh.stride * traits(to).bytes));
    encode<Rounding::kNearest>(data, fresh, to, buffer.data(), Draws::none(), chunks);
  }
}

// The work on interactions, written once for every instruction set, as core/update/body.h is.
//
// In a corner, one user after the other, in rising order: its visits as visits.h has them.
// A visit of an item, all as core/update/body.h does it but the error:
//   squared   e = w (t - p.q)
//   logistic  e = w (t - sigmoid(p.q)); w: an interaction's value, or that of negatives; t: 1, or 0
// The user's row is held in FP32 through all its visits of a corner and stored once, by the draws
// of the last. Where a rating has its number, a negative has its draw.

// clang-format off: each part is made of those before it
#include "core/update/codec.h"
#include "core/update/rows.h"
#include "core/update/sample.h"
// clang-format on

struct Visit {
  uint64_t number;
  uint32_t item;
  float target;
  float weight;
};

// The visits of a corner, user by user.
class Visits {
 public:
  Visits(const Task& task, const Negatives& negatives, const Corner& corner)
      : ratings_(*task.ratings),
        negatives_(negatives),
        corner_(corner),
        turns_(0, corner.begin, 0) {}

  // Goes on to a user; each comes after those with lower numbers.
  void begin(uint32_t user) {
    const int64_t begin = turns_.end();
    int64_t end = begin;
    while (end < corner_.end && ratings_.user[end] == user) ++end;
    const UserDraws draws(negatives_.key, user, negatives_.user_draws[user], corner_.items);
    key_ = draws.key;
    turns_ = Turns(begin, end, draws.count);
  }

  // Writes the next of the user's visits, up to so many; returns how many: 0 where none is left.
  int64_t next(Visit* visits, int64_t most) {
    int64_t count = 0;
    while (count < most && !turns_.over()) {
      const auto [met, number] = turns_.step();
      if (met) {
        if (ratings_.rating[number] == 0) continue;
        visits[count++] = {static_cast<uint64_t>(number), ratings_.item[number], 1,
                           ratings_.rating[number]};
        continue;
      }
      const uint64_t draw = draw64(key_, static_cast<uint64_t>(number));
      const uint32_t item = drawn_item(draw, corner_.items, negatives_.items_before);
      if (has_met(ratings_.item, turns_.begin(), turns_.end(), item)) continue;
      visits[count++] = {draw, item, 0, negatives_.weight};
    }
    return count;
  }

 private:
  const Ratings& ratings_;
  const Negatives& negatives_;
  const Corner& corner_;
  Turns turns_;  // of the user
  uint64_t key_ = 0;
};

// How a visit reaches an item's row: in its table, where all of a corner's rows are in storage S,
template <class S, Rounding R>
class RowInPlace {
 public:
  template <int C>
  RowInPlace(const Task& task, Chunks<C> chunks)
      : lines_(task.items->table(kCode<S>), kCode<S>, chunks) {}

  template <int C>
  MASCOT_INLINE StoredRow<S, R, C> open(const Task& task, uint32_t row, Chunks<C> chunks) const {
    return {static_cast<typename S::Element*>(task.items->row(kCode<S>, row)), chunks};
  }
  template <int C>
  MASCOT_INLINE void close(const Task&, const Visit&, Chunks<C>) const {}
  template <int C>
  MASCOT_INLINE Lines lines(const Task&, uint32_t row, Chunks<C>) const {
    return lines_.row(row);
  }
  MASCOT_INLINE static Storage storage(const Task&, uint32_t) { return kCode<S>; }

 private:
  TableLines lines_;
};

// or as a copy in FP32, from any storage and back to it.
template <Rounding R>
class RowCopied {
 public:
  template <int C>
  RowCopied(const Task&, Chunks<C>) {}

  template <int C>
  MASCOT_INLINE StoredRow<Float32, Rounding::kNearest, C> open(const Task& task, uint32_t row,
                                                               Chunks<C> chunks) const {
    const Storage from = storage(task, row);
    float* floats = task.scratch->item.data();
    decode(task.items->row(from, row), task.items->table(from), from, floats, chunks);
    return {floats, chunks};
  }
  template <int C>
  MASCOT_INLINE void close(const Task& task, const Visit& visit, Chunks<C> chunks) const {
    const Storage to = storage(task, visit.item);
    encode<R>(task.items->row(to, visit.item), task.items->table(to), to, task.scratch->item.data(),
              draws_of_item(task, visit), chunks);
  }
  template <int C>
  MASCOT_INLINE Lines lines(const Task& task, uint32_t row, Chunks<C> chunks) const {
    const Storage from = storage(task, row);
    return TableLines(task.items->table(from), from, chunks).row(row);
  }
  MASCOT_INLINE static Storage storage(const Task& task, uint32_t row) {
    return task.items->groups.storages()[row];
  }

 private:
  static Draws draws_of_item(const Task& task, const Visit& visit) {
    return Draws::of_item(task, static_cast<int64_t>(visit.number));
  }
};

// Adds a visit to both its groups' sums, before its update, as add_samples does a rating.
template <Rounding R>
__attribute__((noinline)) void add_visit(const Task& task, uint32_t user, const Visit& visit,
                                         Storage of_user, Storage of_item, float error) {
  const auto number = static_cast<int64_t>(visit.number);
  const Floats own = {task.scratch->own.data()}, other = {task.scratch->other.data()};
  const Sampled p = {*task.users, *task.user_sums, user, of_user, error, task.rates.user_reg};
  const Sampled q = {*task.items, *task.item_sums, visit.item, of_item, error, task.rates.item_reg};
  add_sample<R>(task, p, own, other, Draws::of_user(task, number));
  add_sample<R>(task, q, other, own, Draws::of_item(task, number));
}

template <Rounding R, class Items, int C>
MASCOT_INLINE void update_visit(const Task& task, const Negatives& negatives, const Items& items,
                                uint32_t user, const Visit& visit, const Lines& ahead,
                                Chunks<C> chunks, WorkingRow<C>& p) {
  auto q = items.open(task, visit.item, chunks);
  const float error = visit.weight * shortfall(negatives.loss, visit.target, dot(p, q, chunks));
  const auto number = static_cast<int64_t>(visit.number);
  if (__builtin_expect(draw32(task.sampling.key, visit.number) < task.sampling.threshold, 0)) {
    float *own = task.scratch->own.data(), *other = task.scratch->other.data();
    for_chunks(chunks, [&](int64_t c) MASCOT_INLINED {
      store_floats(own + c * kLanes, p[c]);
      store_floats(other + c * kLanes, q[c]);
    });
    add_visit<R>(task, user, visit, task.users->groups.storages()[user],
                 Items::storage(task, visit.item), error);
  }
  const Lanes step = broadcast(task.rates.learning_rate * error);
  const Lanes user_decay = broadcast(task.user_decay), item_decay = broadcast(task.item_decay);
  const Draws draws = Draws::of_user(task, number);
  using Q = decltype(q);
  for_chunks(chunks, [&](int64_t c) MASCOT_INLINED {
    if (c % Q::kLineChunks == 0) ahead.fetch(c / Q::kLineChunks);
    const Lanes x = p[c], y = q[c];
    const Words draw = draws.chunk(c);
    p.set(c, fma(step, y, fma(user_decay, x, x)), draw);
    q.set(c, fma(step, x, fma(item_decay, y, y)), Draws::of_item(draw));
  });
  items.close(task, visit, chunks);
}

// All visits of a corner.
template <Rounding R, class Items, int C>
void visit_corner(const Task& task, const Negatives& negatives, const Corner& corner,
                  Chunks<C> chunks) {
  constexpr int64_t kAtOnce = 256;
  const Items items(task, chunks);
  Visits visits(task, negatives, corner);
  Visit some[kAtOnce];
  for (uint32_t user = corner.first_user; user < corner.last_user; ++user) {
    visits.begin(user);
    int64_t count = visits.next(some, kAtOnce);
    if (count == 0) continue;
    const Storage storage = task.users->groups.storages()[user];
    WorkingRow<C> p(*task.users, storage, user, task.scratch->user, chunks);
    uint64_t last = 0;
    while (count != 0) {
      for (int64_t i = 0; i < count; ++i) {
        const Visit& later = some[std::min(i + kPrefetchDistance, count - 1)];
        const Lines ahead = items.lines(task, later.item, chunks);
        update_visit<R>(task, negatives, items, user, some[i], ahead, chunks, p);
      }
      last = some[count - 1].number;
      count = visits.next(some, kAtOnce);
    }
    p.template store<R>(Draws::of_user(task, static_cast<int64_t>(last)));
  }
}

void update_corner(const Task& task, const Negatives& negatives, const Corner& corner) {
  const auto [first, last] = std::pair{corner.items.first, corner.items.last};
  if (first == last) return;
  const Groups& groups = task.items->groups;
  const bool uniform = groups.uniform(first, last - 1);
  const Storage storage = groups.storages()[first];
  with_chunks(task.factors, [&](auto chunks) {
    with_rounding(task.dither.rounding, [&](auto rounding) {
      constexpr Rounding kR = decltype(rounding)::value;
      if (uniform && storage == kCode<Float32>) {
        visit_corner<kR, RowInPlace<Float32, Rounding::kNearest>>(task, negatives, corner, chunks);
      } else if (uniform && storage == kCode<Float16>) {
        visit_corner<kR, RowInPlace<Float16, kR>>(task, negatives, corner, chunks);
      } else {
        visit_corner<kR, RowCopied<kR>>(task, negatives, corner, chunks);
      }
    });
  });
}

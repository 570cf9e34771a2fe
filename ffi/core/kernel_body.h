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
//   store     of an item's row after each rating; of a user's after the last of those that follow
//             one another, by the draws of that one. FP16: half.h. Int8: kernel_codec.h
//   gradient  fma(e, q, -(lambda_P p)), of samples only

// clang-format off: each part is made of those before it
#include "core/kernel_codec.h"
#include "core/kernel_rows.h"
#include "core/kernel_sample.h"
#include "core/kernel_walk.h"
// clang-format on

// Eq. 2 and 3 for rating i: the user's row is p, the item's lies at q_data in storage I.
template <class I, class P, int C>
MASCOT_INLINE void update_rating(const Task& task, int64_t i, uint8_t plan, const Ahead& ahead,
                                 Chunks<C> chunks, P& p, typename I::Element* q_data) {
  const Row<I, C> q(q_data, chunks);
  const float error = task.ratings->rating[i] - dot(p, q, chunks);
  if (__builtin_expect(plan & kSampled, 0)) sample_rating(task, i, plan, error, p.floats());
  const auto [eta, user_reg, item_reg] = task.rates;
  const Lanes step = broadcast(eta * error);
  const Lanes user_decay = broadcast(-(eta * user_reg)), item_decay = broadcast(-(eta * item_reg));
  const Draws draws = Draws::of_item(task, i);
  for_chunks(chunks, [&](int64_t c) MASCOT_INLINED {
    ahead.fetch(c);
    const Lanes x = p[c], y = q[c];
    p.set(c, fma(step, y, fma(user_decay, x, x)));
    I::store(q_data + c * kLanes, fma(step, x, fma(item_decay, y, y)), draws.chunk(c));
  });
}

// The ratings of a list, in runs of one user. Items: how an item's row is reached.
template <class Items, Rounding R, int C>
void update_list(const Task& task, const List& list, Chunks<C> chunks) {
  const uint32_t* user = task.ratings->user + list.block.begin;
  for (int64_t number = list.begin; number < list.end;) {
    const uint32_t row = user[list.order[number]];
    UserRow<C> p(task, user_storage(list.pair), row, chunks);
    int64_t i;
    do {
      const uint32_t place = list.order[number];
      i = list.block.begin + place;
      const Ahead ahead = list.ahead(number);
      auto* q = Items::open(task, task.ratings->item[i], chunks);
      update_rating<typename Items::Row>(task, i, list.plan[place], ahead, chunks, p, q);
      Items::close(task, i, chunks);
      ++number;
    } while (number < list.end && user[list.order[number]] == row);
    p.template store<R>(task, i);
  }
}

void update(const Task& task, Block block) {
  with_chunks(task.factors, [&](auto chunks) {
    with_rounding(task.dither.rounding, [&](auto rounding) {
      constexpr Rounding R = rounding;
      for_lists(task, block, chunks, [&](const List& list) {
        switch (item_storage(list.pair)) {
          case Storage::kFloat32:
            return update_list<InPlace<Float32>, R>(task, list, chunks);
          case Storage::kFloat16:
            return update_list<InPlace<Float16<R>>, R>(task, list, chunks);
          case Storage::kInt8:
            return update_list<Decoded<R>, R>(task, list, chunks);
        }
      });
    });
  });
}

void stream(const Task& task, Block block) {
  const Chunks<0> chunks{chunk_count(task.factors)};
  const auto pass = [](char* row, int64_t bytes) MASCOT_INLINED {
    for (int64_t byte = 0; byte < bytes; byte += kCacheLine) {
      Lanes lanes = load_floats(reinterpret_cast<float*>(row + byte));
      keep(lanes);
      store_floats(reinterpret_cast<float*>(row + byte), lanes);
    }
  };
  for_lists(task, block, chunks, [&](const List& list) {
    const Storage users = user_storage(list.pair), items = item_storage(list.pair);
    const int64_t user_bytes = line_bytes(task.users->table(users), users, chunks);
    const int64_t item_bytes = line_bytes(task.items->table(items), items, chunks);
    for (int64_t number = list.begin; number < list.end; ++number) {
      const int64_t i = block.begin + list.order[number];
      const Ahead ahead = list.ahead(number);
      for (int64_t c = 0; c < chunks.count(); ++c) ahead.fetch(c);
      pass(static_cast<char*>(task.users->row(users, task.ratings->user[i])), user_bytes);
      pass(static_cast<char*>(task.items->row(items, task.ratings->item[i])), item_bytes);
    }
  });
}

void predict(const Task& task, Block block, float* predictions) {
  const Chunks<0> chunks{chunk_count(task.factors)};
  for_lists(task, block, chunks, [&](const List& list) {
    const Storage users = user_storage(list.pair), items = item_storage(list.pair);
    for (int64_t number = list.begin; number < list.end; ++number) {
      const int64_t i = block.begin + list.order[number];
      const Ahead ahead = list.ahead(number);
      for (int64_t c = 0; c < chunks.count(); ++c) ahead.fetch(c);
      Scratch& scratch = *task.scratch;
      const Floats p = as_floats(*task.users, users, task.ratings->user[i], scratch.user, chunks);
      const Floats q = as_floats(*task.items, items, task.ratings->item[i], scratch.item, chunks);
      predictions[i] = dot(p, q, chunks);
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
    std::memset(data, 0, static_cast<std::size_t>(fresh.stride * width_of(to)));
    encode<Rounding::kNearest>(data, fresh, to, buffer.data(), Draws::none(), chunks);
  }
}

// Part of body.h: users' rows in fewer than 32 bits, and rows short enough for registers.
//
// The next rating of a user begins with the row that the last one made: dot product, sum, error,
// new row, one after the other. The new item's row takes no part in that, and most instructions:
// rounding, conversion, store. These wait for the error, and would fill the core's queues before
// the next dot product could enter. So they come behind it, while its sum is made.

// A row as FP32 until it is stored.
template <class S, Rounding R, int C>
struct HeldRow {
  typename S::Element* data = nullptr;
  Lanes lanes[C];

  MASCOT_INLINE void load_from(void* row, Chunks<C> chunks) {
    data = static_cast<typename S::Element*>(row);
    for_chunks(chunks, [&](int64_t c) MASCOT_INLINED { lanes[c] = load(S{}, data + c * kLanes); });
  }
  MASCOT_INLINE void store_chunk(int64_t c, const Words& draws) const {
    store<R>(S{}, data + c * kLanes, lanes[c], draws);
  }
};

// A list in storages P and Q, as update_runs does it.
template <class P, class Q, Rounding R, int C>
void update_held(const Task& task, const List& shared, Chunks<C> chunks) {
  const List list = shared;
  int64_t user = -1;
  HeldRow<P, R, C> p;
  HeldRow<Q, R, C> q, last;     // last: of the visit before
  Draws draws = Draws::none();  // of the visit before
  void* nowhere = task.scratch->item.data();
  p.load_from(nowhere, chunks);
  last.load_from(nowhere, chunks);
  const auto store_user = [&]() MASCOT_INLINED {
    for_chunks(chunks, [&](int64_t c) MASCOT_INLINED { p.store_chunk(c, draws.chunk(c)); });
  };
  const auto store_item_chunk = [&](int64_t c) MASCOT_INLINED {
    last.store_chunk(c, Draws::of_item(draws.chunk(c)));
  };
  for (const uint32_t* visit = list.begin; visit < list.end;) {
    uint32_t item;
    do {
      const uint32_t place = *visit;
      const int64_t i = list.first + place;
      if ((visit - list.begin) % kTouchedAtOnce == 0) list.touch(visit + kPrefetchDistance + 1);
      const Ahead ahead = list.rows(visit + kPrefetchDistance);
      if (list.user[place] != user) {
        store_user();
        user = list.user[place];
        p.load_from(task.users->row(kCode<P>, list.user[place]), chunks);
      }
      item = list.item[place];
      q.load_from(task.items->row(kCode<Q>, list.item[place]), chunks);
      const float error = task.ratings->rating[i] - dot(p.lanes, q.lanes, chunks);
      for_chunks(chunks, [&](int64_t c) MASCOT_INLINED {
        ahead.fetch_chunk<StoredRow<P, R, C>, StoredRow<Q, R, C>>(c);
        store_item_chunk(c);
      });
      if (__builtin_expect(list.plan[place] & kSampled, 0)) {
        sample(task, i, list.plan[place], error, p.lanes, q.lanes, chunks);
      }
      const Lanes step = broadcast(task.rates.learning_rate * error);
      const Lanes user_decay = broadcast(task.user_decay), item_decay = broadcast(task.item_decay);
      draws = Draws::of_user(task, i);
      last.data = q.data;
      for_chunks(chunks, [&](int64_t c) MASCOT_INLINED {
        const Lanes x = p.lanes[c], y = q.lanes[c];
        p.lanes[c] = fma(step, y, fma(user_decay, x, x));
        last.lanes[c] = fma(step, x, fma(item_decay, y, y));
      });
      ++visit;
    } while (visit < list.end && list.item[*visit] != item);
    // The next visit is of the same item, and reads its row.
    for_chunks(chunks, store_item_chunk);
    last.data = static_cast<typename Q::Element*>(nowhere);
  }
  store_user();
}

// Does a list whose users' rows are rounded, but not scaled; returns whether they are.
template <class Q, Rounding R, int C>
MASCOT_INLINE bool update_held_users(const Task& task, const List& list, Chunks<C> chunks) {
  return with_storage(user_storage(list.pair), [&](auto s) MASCOT_INLINED {
    using P = decltype(s);
    if constexpr (kRoundsEach<P>) update_held<P, Q, R>(task, list, chunks);
    return kRoundsEach<P>;
  });
}

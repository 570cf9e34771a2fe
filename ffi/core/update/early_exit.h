// Part of body.h: an update that ends at the first component near zero (train.pruning: early-exit),
// the published method of dynamic pruning, to compare with.
//
//   stop      the first component c with |p_c| < T_P or |q_c| < T_Q
//   p.q       as in FP32, over the components before it
//   p', q'    as in FP32, of the components before it; the others stay as they are, but that int8
//   rounds them

// The components of a chunk: how many are left from each on, and their numbers.
alignas(kCacheLine) constexpr float kLeft[kLanes] = {16, 15, 14, 13, 12, 11, 10, 9,
                                                     8,  7,  6,  5,  4,  3,  2,  1};
alignas(kCacheLine) constexpr float kNumber[kLanes] = {0, 1, 2,  3,  4,  5,  6,  7,
                                                       8, 9, 10, 11, 12, 13, 14, 15};

// The first `count` lanes of a, and zeros.
MASCOT_INLINE Lanes first_lanes(const Lanes& a, int64_t count) {
  return zero_below(load_floats(kLeft), static_cast<float>(kLanes + 1 - count), a);
}
// The first `count` lanes of a, and the others of b.
MASCOT_INLINE Lanes first_lanes(const Lanes& a, int64_t count, const Lanes& b) {
  const Lanes others = zero_below(load_floats(kNumber), static_cast<float>(count), b);
  return floats_of(either(words_of(first_lanes(a, count)), words_of(others)));
}

// Where a pair of rows is cut off: behind `chunks` whole chunks and `lanes` of the next one.
struct Stop {
  int64_t chunks;
  int64_t lanes;
  int64_t components() const { return chunks * kLanes + lanes; }
};

// A row of which nothing is seen behind the stop.
template <class Row>
struct CutOff {
  const Row& row;
  Stop stop;
  MASCOT_INLINE Lanes operator[](int64_t c) const {
    if (c < stop.chunks) return row[c];
    return c == stop.chunks ? first_lanes(row[c], stop.lanes) : broadcast(0);
  }
};

// p.q up to the stop, which it finds.
template <class P, class Q>
MASCOT_INLINE float dot_to_stop(const Thresholds& thresholds, const P& p, const Q& q,
                                Chunks<0> chunks, Stop& stop) {
  Lanes partial[4] = {broadcast(0), broadcast(0), broadcast(0), broadcast(0)};
  stop = {chunks.count(), 0};
  bool on = true;
  for (int64_t c = 0; on && c < chunks.count(); c += 4) {
    for_chunks(Chunks<4>{}, [&](int64_t j) MASCOT_INLINED {
      if (!on || c + j >= chunks.count()) return;
      const Lanes x = p[c + j], y = q[c + j];
      const uint32_t small = below(floats_of(magnitude_bits(x)), thresholds.user) |
                             below(floats_of(magnitude_bits(y)), thresholds.item);
      if (small == 0) {
        partial[j] = fma(x, y, partial[j]);
        return;
      }
      on = false;
      stop = {c + j, __builtin_ctz(small)};
      partial[j] = fma(first_lanes(x, stop.lanes), y, partial[j]);
    });
  }
  return sum(add(add(partial[0], partial[2]), add(partial[1], partial[3])));
}

struct ToTheStop {
  template <class P, class Q>
  MASCOT_INLINE static void update(const Task& task, int64_t i, uint8_t plan, const Ahead& ahead,
                                   Chunks<0> chunks, P& p, Q& q) {
    Stop stop;
    const float error =
        task.ratings->rating[i] - dot_to_stop(task.computation.thresholds, p, q, chunks, stop);
    ahead.template fetch_chunk<P, Q>(0);
    if (__builtin_expect(plan & kSampled, 0)) {
      sample(task, i, plan, error, CutOff<P>{p, stop}, CutOff<Q>{q, stop}, chunks);
    }
    const Lanes step = broadcast(task.rates.learning_rate * error);
    const Lanes user_decay = broadcast(task.user_decay), item_decay = broadcast(task.item_decay);
    const Draws draws = Draws::of_user(task, i);
    for (int64_t c = 0; c < stop.chunks; ++c) {
      if (c > 0) ahead.template fetch_chunk<P, Q>(c);
      const Lanes x = p[c], y = q[c];
      const Words draw = draws.chunk(c);
      p.set(c, fma(step, y, fma(user_decay, x, x)), draw);
      q.set(c, fma(step, x, fma(item_decay, y, y)), Draws::of_item(draw));
    }
    if (stop.lanes == 0) return;
    const int64_t c = stop.chunks;
    const Lanes x = p[c], y = q[c];
    const Words draw = draws.chunk(c);
    p.set(c, first_lanes(fma(step, y, fma(user_decay, x, x)), stop.lanes, x), draw);
    q.set(c, first_lanes(fma(step, x, fma(item_decay, y, y)), stop.lanes, y), Draws::of_item(draw));
  }
};

void predict_to_stop(const Task& task, Block block, float* predictions, uint32_t* stops) {
  const Chunks<0> chunks{chunk_count(task.factors)};
  for_lists(task, block, chunks, [&](const List& list) {
    const Storage users = user_storage(list.pair), items = item_storage(list.pair);
    Scratch& scratch = *task.scratch;
    for (const uint32_t* visit = list.begin; visit < list.end; ++visit) {
      const Floats p = as_floats(*task.users, users, list.user[*visit], scratch.user, chunks);
      const Floats q = as_floats(*task.items, items, list.item[*visit], scratch.item, chunks);
      Stop stop;
      const int64_t i = list.first + *visit;
      predictions[i] = dot_to_stop(task.computation.thresholds, p, q, chunks, stop);
      stops[i] = static_cast<uint32_t>(std::min(stop.components(), task.factors));
    }
  });
}

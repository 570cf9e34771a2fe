// Part of body.h: updates computed in fewer bits than FP32, which the paper compares with.
// Rows lie in one storage, none is sampled, and each is stored after every rating.
//
// Half arithmetic is FP32's, its result rounded to FP16: h(x). In fixed point, numbers are whole
// multiples of a resolution, a power of two; their products are added up in FP32.
//
//   kFloat16  dot     partial sums as in FP32, every one of them and of their additions rounded
//             e       h(h(r) - dot), g = h(fma(e, q, h(h(-lambda_P) p)))
//             p'      h(fma(h(eta), g, p))
//   kMixed    x, y    h(p), h(q); e = h(r - h(x.y)), s = h(S e) with the loss scale S
//             p'      fma(eta / S, h(s y), fma(-eta lambda_P, p, p)); nothing where s overflows
//   kFixed    x, y    p and q, each quantised by its largest magnitude; e = r - x.y, quantised too
//             p'      fma(eta, g, fma(-eta lambda_P, p, p)), g being e y, quantised

MASCOT_INLINE float half_of(float x) { return half_to_float(float_to_half(x)); }

// Lane i plus lane i + n/2, down to one, rounded to FP16 each time.
MASCOT_INLINE float sum_in_half(Lanes a) {
  alignas(kCacheLine) float lanes[2 * kLanes] = {};
  for (int64_t half = kLanes / 2; half > 0; half /= 2) {
    store_floats(lanes, a);
    a = to_half(add(a, load_floats(lanes + half)));
  }
  store_floats(lanes, a);
  return lanes[0];
}

template <class P, class Q, int C>
MASCOT_INLINE float dot_in_half(const P& p, const Q& q, Chunks<C> chunks) {
  Lanes partial[4] = {broadcast(0), broadcast(0), broadcast(0), broadcast(0)};
  for_chunks(chunks, [&](int64_t c) MASCOT_INLINED {
    partial[c % 4] = to_half(fma(p[c], q[c], partial[c % 4]));
  });
  return sum_in_half(
      to_half(add(to_half(add(partial[0], partial[2])), to_half(add(partial[1], partial[3])))));
}

struct InHalf {
  template <class P, class Q, int C>
  MASCOT_INLINE static void update(const Task& task, int64_t i, const Ahead& ahead,
                                   Chunks<C> chunks, P& p, Q& q) {
    const auto [eta, user_reg, item_reg] = task.rates;
    const float error = half_of(half_of(task.ratings->rating[i]) - dot_in_half(p, q, chunks));
    const Lanes factor = broadcast(error), rate = broadcast(half_of(eta));
    const Lanes of_user = broadcast(half_of(-user_reg)), of_item = broadcast(half_of(-item_reg));
    for_chunks(chunks, [&](int64_t c) MASCOT_INLINED {
      ahead.fetch(c);
      const Lanes x = p[c], y = q[c];
      const Lanes user = to_half(fma(factor, y, to_half(multiply(of_user, x))));
      const Lanes item = to_half(fma(factor, x, to_half(multiply(of_item, y))));
      p.set(c, fma(rate, user, x), all(0));  // the store rounds
      q.set(c, fma(rate, item, y), all(0));
    });
  }
};

// p' and q' from FP32 rows and their quantised gradients, by chunk.
template <class P, class Q, int C, class UserGradient, class ItemGradient>
MASCOT_INLINE void step_in_full(const Task& task, float step_size, const Ahead& ahead,
                                Chunks<C> chunks, P& p, Q& q, const UserGradient& of_user,
                                const ItemGradient& of_item) {
  const Lanes step = broadcast(step_size);
  const Lanes user_decay = broadcast(task.user_decay), item_decay = broadcast(task.item_decay);
  for_chunks(chunks, [&](int64_t c) MASCOT_INLINED {
    ahead.fetch(c);
    const Lanes x = p[c], y = q[c];
    p.set(c, fma(step, of_user(c), fma(user_decay, x, x)), all(0));
    q.set(c, fma(step, of_item(c), fma(item_decay, y, y)), all(0));
  });
}

struct InMixed {
  template <class P, class Q, int C>
  MASCOT_INLINE static void update(const Task& task, int64_t i, const Ahead& ahead,
                                   Chunks<C> chunks, P& p, Q& q) {
    float *x = task.scratch->user.data(), *y = task.scratch->item.data();
    for_chunks(chunks, [&](int64_t c) MASCOT_INLINED {
      store_floats(x + c * kLanes, to_half(p[c]));
      store_floats(y + c * kLanes, to_half(q[c]));
    });
    const Floats user = {x}, item = {y};
    const float scale = task.computation.quantiser;
    const float error = half_of(task.ratings->rating[i] - half_of(dot(user, item, chunks)));
    const float scaled = half_of(scale * error);
    if (!std::isfinite(scaled)) return;
    const Lanes factor = broadcast(scaled);
    step_in_full(
        task, task.rates.learning_rate / scale, ahead, chunks, p, q,
        [&](int64_t c) MASCOT_INLINED { return to_half(multiply(factor, item[c])); },
        [&](int64_t c) MASCOT_INLINED { return to_half(multiply(factor, user[c])); });
  }
};

// What numbers up to a largest magnitude are multiples of, in words of so many bits: the smallest
// power of two of which no magnitude takes more than 2^(bits - 1) - 1.
class Resolution {
 public:
  MASCOT_INLINE Resolution(float largest, int bits) {
    if (!(largest >= kSmallestBlock)) return;  // all become zero
    const float most = static_cast<float>((1 << (bits - 1)) - 1);
    const uint32_t exponent = bits_of(largest) & 0x7f800000u;
    step_ = float_of(exponent - (static_cast<uint32_t>(bits - 2) << 23));
    if (largest > most * step_) step_ *= 2;
    per_unit_ = 1 / step_;  // exact
  }
  MASCOT_INLINE Lanes quantise(Lanes a) const {
    return multiply(to_whole(multiply(a, broadcast(per_unit_))), broadcast(step_));
  }
  MASCOT_INLINE float quantise(float a) const { return std::nearbyint(a * per_unit_) * step_; }

 private:
  float step_ = 0, per_unit_ = 0;
};

template <class Row, int C>
MASCOT_INLINE float largest_magnitude(const Row& row, Chunks<C> chunks) {
  Words most = all(0);
  for_chunks(chunks,
             [&](int64_t c) MASCOT_INLINED { most = maximum(most, magnitude_bits(row[c])); });
  return float_of(highest(most));
}

struct InFixed {
  template <class P, class Q, int C>
  MASCOT_INLINE static void update(const Task& task, int64_t i, const Ahead& ahead,
                                   Chunks<C> chunks, P& p, Q& q) {
    const int bits = static_cast<int>(task.computation.quantiser);
    const float most_p = largest_magnitude(p, chunks), most_q = largest_magnitude(q, chunks);
    const Resolution of_p(most_p, bits), of_q(most_q, bits);
    float *x = task.scratch->user.data(), *y = task.scratch->item.data();
    for_chunks(chunks, [&](int64_t c) MASCOT_INLINED {
      store_floats(x + c * kLanes, of_p.quantise(p[c]));
      store_floats(y + c * kLanes, of_q.quantise(q[c]));
    });
    const Floats user = {x}, item = {y};
    const float exact = task.ratings->rating[i] - dot(user, item, chunks);
    const float error = Resolution(std::fabs(exact), bits).quantise(exact);
    const Resolution of_user(std::fabs(error) * largest_magnitude(item, chunks), bits),
        of_item(std::fabs(error) * largest_magnitude(user, chunks), bits);
    const Lanes factor = broadcast(error);
    step_in_full(
        task, task.rates.learning_rate, ahead, chunks, p, q,
        [&](int64_t c) MASCOT_INLINED { return of_user.quantise(multiply(factor, item[c])); },
        [&](int64_t c) MASCOT_INLINED { return of_item.quantise(multiply(factor, user[c])); });
  }
};

// All rows are in storage S.
template <class A, class S>
void update_all(const Task& task, Block block) {
  with_chunks(task.factors, [&](auto chunks) {
    for_lists(task, block, chunks, [&](const List& list) {
      for (const uint32_t* visit = list.begin; visit < list.end; ++visit) {
        if ((visit - list.begin) % kTouchedAtOnce == 0) list.touch(visit + kPrefetchDistance + 1);
        const Ahead ahead = list.rows(visit + kPrefetchDistance);
        const auto row = [&](const Side& side, uint32_t number) {
          auto* data = static_cast<typename S::Element*>(side.row(kCode<S>, number));
          return StoredRow<S, Rounding::kNearest, decltype(chunks)::kConstant>(data, chunks);
        };
        auto p = row(*task.users, list.user[*visit]);
        auto q = row(*task.items, list.item[*visit]);
        A::update(task, list.first + *visit, ahead, chunks, p, q);
      }
    });
  });
}

// Does an update in another arithmetic than FP32; returns whether that was asked for.
inline bool update_by_arithmetic(const Task& task, Block block) {
  switch (task.computation.arithmetic) {
    case Arithmetic::kFloat32:
      return false;
    case Arithmetic::kFloat16:
      update_all<InHalf, Float16>(task, block);
      return true;
    case Arithmetic::kMixed:
      update_all<InMixed, Float32>(task, block);
      return true;
    case Arithmetic::kFixed:
      if (task.computation.quantiser >= kFullWord) return false;
      update_all<InFixed, Float32>(task, block);
      return true;
  }
  return false;
}

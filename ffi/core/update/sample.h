// Part of body.h: what is added to the groups' sums for a sampled rating.

// A rating's byte in the plan of a block: its pair of storages (pair_of), and whether it is
// sampled.
constexpr uint8_t kSampled = 1 << 2 * kCodeBits;
constexpr uint8_t kPairBits = kSampled - 1;
static_assert(2 * kCodeBits < 8);
constexpr uint8_t kNoPair = kPairBits;
static_assert(pair_of(Storage{kStorages - 1}, Storage{kStorages - 1}) < kNoPair);

// A row of a sampled rating, and how its update is made: error times the opposite row, less reg
// times its own.
struct Sampled {
  const Side& side;
  GroupSums& sums;
  uint32_t row;
  Storage storage;
  float error;
  float reg;
};

// The new row of a sampled rating, chunk by chunk, from the row as it lies in memory: in a run,
// that is the one that the run began with.
struct Renewed {
  Lanes step;
  Lanes decay;
  Floats other;

  MASCOT_INLINE Lanes operator()(int64_t c, const Lanes& own) const {
    return fma(step, other[c], fma(decay, own, own));
  }
};

MASCOT_INLINE Lanes add_square_of_difference(const Lanes& a, const Lanes& b, const Lanes& total) {
  const Lanes difference = subtract(a, b);
  return fma(difference, difference, total);
}

// Of a row that is rounded whole: its scales take all components of a block.
template <Rounding R>
float lost_by_store_of_scaled(const Task& task, const Sampled& sampled, const Renewed& renewed,
                              const Draws& draws) {
  const Chunks<0> chunks{chunk_count(task.factors)};
  const Table& table = sampled.side.table(sampled.storage);
  float *stored = task.scratch->stored.data(), *computed = task.scratch->computed.data();
  decode(sampled.side.row(sampled.storage, sampled.row), table, sampled.storage, stored, chunks);
  for (int64_t c = 0; c < chunks.count(); ++c) {
    store_floats(computed + c * kLanes, renewed(c, load_floats(stored + c * kLanes)));
  }
  void* encoded = task.scratch->encoded.data();
  encode<R>(encoded, table, sampled.storage, computed, draws, chunks);
  decode(encoded, table, sampled.storage, stored, chunks);
  Lanes lost = broadcast(0);
  for (int64_t c = 0; c < chunks.count(); ++c) {
    lost = add_square_of_difference(load_floats(stored + c * kLanes),
                                    load_floats(computed + c * kLanes), lost);
  }
  return sum(lost);
}

// Of a row in storage S, in one pass.
template <class S, Rounding R>
MASCOT_INLINE float lost_by_store_of(const Task& task, const Sampled& sampled,
                                     const Renewed& renewed, const Draws& draws) {
  using Element = typename S::Element;
  const auto* row = static_cast<const Element*>(sampled.side.row(kCode<S>, sampled.row));
  void* const scratch = task.scratch->encoded.data();
  auto* encoded = static_cast<Element*>(scratch);
  Lanes lost = broadcast(0);
  for (int64_t c = 0; c < chunk_count(task.factors); ++c) {
    const Lanes computed = renewed(c, load(S{}, row + c * kLanes));
    store<R>(S{}, encoded, computed, draws.chunk(c));
    lost = add_square_of_difference(load(S{}, encoded), computed, lost);
  }
  return sum(lost);
}

// The squared norm of what the store of a rating's update would change, as if that were stored by
// itself.
template <Rounding R>
float lost_by_store(const Task& task, const Sampled& sampled, Floats other, const Draws& draws) {
  const float rate = task.rates.learning_rate;
  const Renewed renewed = {broadcast(rate * sampled.error), broadcast(-(rate * sampled.reg)),
                           other};
  return with_storage(sampled.storage, [&](auto s) MASCOT_INLINED {
    using S = decltype(s);
    if constexpr (!S::kRounds) {
      return 0.0f;
    } else if constexpr (S::kScaled) {
      return lost_by_store_of_scaled<R>(task, sampled, renewed, draws);
    } else {
      return lost_by_store_of<S, R>(task, sampled, renewed, draws);
    }
  });
}

// One row's part in its group's sums (lines 9-11 of Algorithm 1): own is the row, other the
// opposite one.
template <Rounding R>
void add_sample(const Task& task, const Sampled& sampled, Floats own, Floats other,
                const Draws& draws) {
  const int64_t group = sampled.side.groups.find(sampled.row);
  float* total = sampled.sums.gradient(group);
  const Lanes error = broadcast(sampled.error), minus_lambda = broadcast(-sampled.reg);
  Lanes norm = broadcast(0);
  for (int64_t c = 0; c < chunk_count(task.factors); ++c) {
    const Lanes gradient = fma(error, other[c], multiply(minus_lambda, own[c]));
    store_floats(total + c * kLanes, add(load_floats(total + c * kLanes), gradient));
    norm = fma(gradient, gradient, norm);
  }
  GroupSums::Statistics& statistics = sampled.sums.statistics(group);
  statistics.squared_norms += sum(norm);
  statistics.count += 1;
  statistics.lost += lost_by_store<R>(task, sampled, other, draws);
}

// Adds rating i to both its groups' sums, before its update, the rows being own and other. Not
// inlined: it serves the sampled few, and its registers would cost all others.
[[maybe_unused]] __attribute__((noinline)) void add_samples(const Task& task, int64_t i,
                                                            uint8_t plan, float error, Floats own,
                                                            Floats other) {
  const int pair = plan & kPairBits;
  const auto [rate, user_reg, item_reg] = task.rates;
  const Sampled user = {*task.users,        *task.user_sums, task.ratings->user[i],
                        user_storage(pair), error,           user_reg};
  const Sampled item = {*task.items,        *task.item_sums, task.ratings->item[i],
                        item_storage(pair), error,           item_reg};
  with_rounding(task.dither.rounding, [&](auto rounding) {
    add_sample<rounding>(task, user, own, other, Draws::of_user(task, i));
    add_sample<rounding>(task, item, other, own, Draws::of_item(task, i));
  });
}

template <class P, class Q, int C>
MASCOT_INLINE void sample(const Task& task, int64_t i, uint8_t plan, float error, const P& p,
                          const Q& q, Chunks<C> chunks) {
  float *own = task.scratch->own.data(), *other = task.scratch->other.data();
  for_chunks(chunks, [&](int64_t c) MASCOT_INLINED {
    store_floats(own + c * kLanes, p[c]);
    store_floats(other + c * kLanes, q[c]);
  });
  add_samples(task, i, plan, error, {own}, {other});
}

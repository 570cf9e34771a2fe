// Part of kernel_body.h: what is added to the groups' sums for a sampled rating.

// A rating's byte in the plan of a block: its pair of storages (pair_of), and whether it is
// sampled.
constexpr uint8_t kPairBits = 15;
constexpr uint8_t kSampled = 16;

// One row's part in its group's sums (lines 9-11 of Algorithm 1): own is the row, other the
// opposite one. What its store would lose is measured as if it were stored after each rating.
template <Rounding R>
void add_sample(const Task& task, const Side& side, GroupSums& sums, uint32_t row, Storage storage,
                float error, float reg, Floats own, Floats other, const Draws& draws) {
  const Chunks<0> chunks{chunk_count(task.factors)};
  const int64_t group = side.groups.find(row);
  float* gradient_sum = sums.gradient(group);
  float* computed = task.scratch->computed.data();
  const float rate = task.rates.learning_rate;
  const Lanes errors = broadcast(error), minus_lambda = broadcast(-reg);
  const Lanes step = broadcast(rate * error), decay = broadcast(-(rate * reg));
  Lanes norm = broadcast(0), lost = broadcast(0);
  for (int64_t c = 0; c < chunks.count(); ++c) {
    const Lanes gradient = fma(errors, other[c], multiply(minus_lambda, own[c]));
    store_floats(gradient_sum + c * kLanes, add(load_floats(gradient_sum + c * kLanes), gradient));
    norm = fma(gradient, gradient, norm);
    store_floats(computed + c * kLanes, fma(step, other[c], fma(decay, own[c], own[c])));
  }
  if (storage != Storage::kFloat32) {
    float* stored = task.scratch->stored.data();
    void* encoded = task.scratch->encoded.data();
    encode<R>(encoded, side.table(storage), storage, computed, draws, chunks);
    decode(encoded, side.table(storage), storage, stored, chunks);
    for (int64_t c = 0; c < chunks.count(); ++c) {
      const Lanes rounding =
          subtract(load_floats(stored + c * kLanes), load_floats(computed + c * kLanes));
      lost = fma(rounding, rounding, lost);
    }
  }
  GroupSums::Statistics& statistics = sums.statistics(group);
  statistics.squared_norms += sum(norm);
  statistics.count += 1;
  statistics.lost += sum(lost);
}

// Adds rating i to both its groups' sums, before its update, the rows being own and other. Not
// inlined: it serves the sampled few, and its registers would cost all others.
__attribute__((noinline)) void add_samples(const Task& task, int64_t i, uint8_t plan, float error,
                                           Floats own, Floats other) {
  const int pair = plan & kPairBits;
  with_rounding(task.dither.rounding, [&](auto rounding) {
    add_sample<rounding>(task, *task.users, *task.user_sums, task.ratings->user[i],
                         user_storage(pair), error, task.rates.user_reg, own, other,
                         Draws::of_user(task, i));
    add_sample<rounding>(task, *task.items, *task.item_sums, task.ratings->item[i],
                         item_storage(pair), error, task.rates.item_reg, other, own,
                         Draws::of_item(task, i));
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

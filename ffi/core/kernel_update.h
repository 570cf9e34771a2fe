// Part of kernel_body.h: what is done to the two rows of one rating.

// One row's part in its group's sums (lines 9-11 of Algorithm 1).
template <class S>
class Sample {
 public:
  MASCOT_INLINE Sample(GroupSums& sums, const Groups& groups, uint32_t row, float error, float rate,
                       float reg)
      : group_(groups.find(row)),
        sums_(sums),
        gradient_sum_(sums.gradient(group_)),
        error_(broadcast(error)),
        minus_lambda_(broadcast(-reg)),
        step_(broadcast(rate * error)),
        decay_(broadcast(-(rate * reg))) {}

  // Adds chunk c of the row, own, next to that of the opposite row; draws: those of its store.
  MASCOT_INLINE void add_chunk(int64_t c, Lanes own, Lanes other, Words draws) {
    const Lanes gradient = fma(error_, other, multiply(minus_lambda_, own));
    float* total = gradient_sum_ + c * kLanes;
    store_floats(total, add(load_floats(total), gradient));
    norm_ = fma(gradient, gradient, norm_);
    const Lanes unrounded = fma(step_, other, fma(decay_, own, own));
    alignas(kCacheLine) typename S::Element stored[kLanes];
    S::store(stored, unrounded, draws);
    const Lanes rounding = subtract(S::load(stored), unrounded);
    lost_ = fma(rounding, rounding, lost_);
  }

  MASCOT_INLINE void finish() {
    GroupSums::Statistics& statistics = sums_.statistics(group_);
    statistics.squared_norms += sum(norm_);
    statistics.count += 1;
    statistics.lost += sum(lost_);
  }

 private:
  int64_t group_;
  GroupSums& sums_;
  float* gradient_sum_;
  Lanes error_, minus_lambda_, step_, decay_;
  Lanes norm_ = broadcast(0), lost_ = broadcast(0);
};

// Adds rating i to both its groups' sums, before its update. Not inlined: it serves the sampled
// few, and its registers would cost all others.
template <class U, class I>
__attribute__((noinline)) void sample_rating(const Task& task, int64_t i, float error) {
  const uint32_t user = task.ratings->user[i], item = task.ratings->item[i];
  const auto* p = row_of<U>(*task.users, user);
  const auto* q = row_of<I>(*task.items, item);
  const auto [rate, user_reg, item_reg] = task.rates;
  Sample<U> of_user(*task.user_sums, task.users->groups, user, error, rate, user_reg);
  Sample<I> of_item(*task.item_sums, task.items->groups, item, error, rate, item_reg);
  const Draws draws(task, i);
  for (int64_t c = 0; c < chunk_count(task.factors); ++c) {
    const Lanes x = U::load(p + c * kLanes), y = I::load(q + c * kLanes);
    of_user.add_chunk(c, x, y, draws.of_user(c));
    of_item.add_chunk(c, y, x, draws.of_item(c));
  }
  of_user.finish();
  of_item.finish();
}

// Eq. 2 and 3 for rating i.
template <class U, class I, int C>
MASCOT_INLINE void update_rating(const Task& task, int64_t i, bool sampled, const Ahead& ahead,
                                 Chunks<C> chunks) {
  Row<U, C> p(row_of<U>(*task.users, task.ratings->user[i]), chunks);
  Row<I, C> q(row_of<I>(*task.items, task.ratings->item[i]), chunks);
  const float error = task.ratings->rating[i] - dot(p, q, chunks);
  if (__builtin_expect(sampled, 0)) sample_rating<U, I>(task, i, error);
  const auto [eta, user_reg, item_reg] = task.rates;
  const Draws draws(task, i);
  const Lanes step = broadcast(eta * error);
  const Lanes user_decay = broadcast(-(eta * user_reg)), item_decay = broadcast(-(eta * item_reg));
  for_chunks(chunks, [&](int64_t c) MASCOT_INLINED {
    ahead.fetch(c);
    const Lanes x = p[c], y = q[c];
    p.store(c, fma(step, y, fma(user_decay, x, x)), draws.of_user(c));
    q.store(c, fma(step, x, fma(item_decay, y, y)), draws.of_item(c));
  });
}

// Loads and stores both rows of rating i as they lie in memory, with the prefetch of update_rating.
template <class U, class I, int C>
MASCOT_INLINE void stream_rating(const Task& task, int64_t i, const Ahead& ahead,
                                 Chunks<C> chunks) {
  const auto pass = [](void* row, int64_t offset) MASCOT_INLINED {
    float* line = reinterpret_cast<float*>(static_cast<char*>(row) + offset);
    Lanes lanes = load_floats(line);
    keep(lanes);
    store_floats(line, lanes);
  };
  auto* p = row_of<U>(*task.users, task.ratings->user[i]);
  auto* q = row_of<I>(*task.items, task.ratings->item[i]);
  constexpr int64_t kUserBytes = kLanes * sizeof(*p), kItemBytes = kLanes * sizeof(*q);
  for_chunks(chunks, [&](int64_t c) MASCOT_INLINED {
    ahead.fetch(c);
    if (c * kUserBytes % kCacheLine == 0) pass(p, c * kUserBytes);
    if (c * kItemBytes % kCacheLine == 0) pass(q, c * kItemBytes);
  });
}

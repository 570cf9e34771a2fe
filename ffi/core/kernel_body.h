// The work on rows, written once for every instruction set: included by kernel_*.cc inside the
// namespace that defines Lanes and the storages (so no include guard, no includes), under that
// file's target pragma.
//
// The arithmetic, which the tests' NumPy reference repeats bit for bit:
//   p.q       64 partial sums: component c goes to partial c mod 64 by fused multiply-add, in
//             rising c; then partial i += partial i + n/2 for n = 64, 32, ..., 2
//   e         r - p.q
//   p'        fma(eta e, q, fma(-eta lambda_P, p, p)): two roundings, then the store's;
//             q' alike, from the old p
//   gradient  fma(e, q, -(lambda_P p)), of samples only

// ---- constants

// Far enough ahead to cover DRAM latency, near enough to stay in L1:
// 16 ratings of two 512-byte rows are 16 KiB.
constexpr int64_t kPrefetchDistance = 16;
constexpr int64_t kCacheLine = 64;

// A rating's byte in the plan of a block: the storages of its rows, and whether it is sampled.
constexpr uint8_t kUserFloat16 = 1;
constexpr uint8_t kItemFloat16 = 2;
constexpr uint8_t kBothFloat16 = kUserFloat16 | kItemFloat16;
constexpr uint8_t kSampled = 4;
constexpr int kPairs = 4;  // of storages

// ---- rows

// Chunks of Lanes in a row: a compile-time constant, or with 0 the run-time value.
template <int Constant>
struct Chunks {
  static constexpr int kConstant = Constant;
  int64_t run_time;
  constexpr int64_t count() const { return Constant ? Constant : run_time; }
};

template <int64_t... Cs, class Body>
MASCOT_INLINE void for_constants(std::integer_sequence<int64_t, Cs...>, const Body& body) {
  (body(Cs), ...);
}

// Calls body(c) for every chunk. A constant count is spelled out rather than left to the unroller,
// which gives up on longer bodies and then keeps rows in memory: 18 instead of 49 million updates
// per second (k = 128, in cache).
template <int C, class Body>
MASCOT_INLINE void for_chunks(Chunks<C> chunks, const Body& body) {
  if constexpr (C > 0) {
    for_constants(std::make_integer_sequence<int64_t, C>{}, body);
  } else {
    for (int64_t c = 0; c < chunks.count(); ++c) body(c);
  }
}

template <class S>
MASCOT_INLINE typename S::Element* row_of(const Side& side, uint32_t row) {
  const Table& table = side.tables[static_cast<std::size_t>(S::kStorage)];
  return static_cast<typename S::Element*>(table.data) + static_cast<int64_t>(row) * table.stride;
}

// A factor row. Short rows are held in registers between the dot product and the store; long ones
// are read again, from L1, rather than spilled.
template <class S, int C>
class Row {
 public:
  using Element = typename S::Element;

  MASCOT_INLINE Row(Element* data, Chunks<C> chunks) : data_(data) {
    if constexpr (kHeld) {
      for_chunks(chunks, [&](int64_t c) MASCOT_INLINED { held_[c] = S::load(data + c * kLanes); });
    }
  }
  MASCOT_INLINE Lanes operator[](int64_t c) const {
    if constexpr (kHeld) return held_[c];
    return S::load(data_ + c * kLanes);
  }
  MASCOT_INLINE void store(int64_t c, Lanes lanes) { S::store(data_ + c * kLanes, lanes); }
  Element* data() const { return data_; }

 private:
  static constexpr bool kHeld = C > 0 && C <= kHeldChunks;
  Element* data_;
  Lanes held_[kHeld ? C : 1];
};

template <class P, class Q, int C>
MASCOT_INLINE float dot(const P& p, const Q& q, Chunks<C> chunks) {
  Lanes partial[4] = {broadcast(0), broadcast(0), broadcast(0), broadcast(0)};
  const auto step = [&](int64_t c, int64_t j)
                        MASCOT_INLINED { partial[j] = fma(p[c], q[c], partial[j]); };
  if constexpr (C > 0) {
    for_chunks(chunks, [&](int64_t c) MASCOT_INLINED { step(c, c % 4); });
  } else {  // four at a time, so that the partial sums stay in registers
    const int64_t fours = chunks.count() / 4 * 4;
    for (int64_t c = 0; c < fours; c += 4) {
      for_chunks(Chunks<4>{}, [&](int64_t j) MASCOT_INLINED { step(c + j, j); });
    }
    for_chunks(Chunks<3>{}, [&](int64_t j) MASCOT_INLINED {
      if (fours + j < chunks.count()) step(fours + j, j);
    });
  }
  return sum(add(add(partial[0], partial[2]), add(partial[1], partial[3])));
}

// ---- fetching rows before they are needed

// The two rows of a later rating. Their lines are asked for one by one between the stores of the
// present rating: all at once, they fill the core's miss buffers and everything behind them waits
// (measured: 1.2 to 1.5 times slower where the tables exceed the caches).
class Ahead {
 public:
  // plan: that of rating i; chunks: of a row.
  MASCOT_INLINE Ahead(const Task& task, int64_t i, uint8_t plan, int64_t chunks)
      : user_(*task.users, task.ratings->user[i], plan & kUserFloat16, chunks),
        item_(*task.items, task.ratings->item[i], plan & kItemFloat16, chunks) {}

  // Asks for line c of both rows; rows in float16 have fewer lines than chunks.
  MASCOT_INLINE void fetch(int64_t c) const {
    user_.fetch(c);
    item_.fetch(c);
  }

 private:
  class Lines {
   public:
    MASCOT_INLINE Lines(const Side& side, uint32_t row, bool half, int64_t chunks) {
      const Table& table =
          side.tables[static_cast<std::size_t>(half ? Storage::kFloat16 : Storage::kFloat32)];
      const int64_t width = half ? 2 : 4;
      begin_ =
          static_cast<const char*>(table.data) + static_cast<int64_t>(row) * table.stride * width;
      last_ = (chunks * kLanes * width - 1) / kCacheLine * kCacheLine;
    }
    MASCOT_INLINE void fetch(int64_t c) const {
      __builtin_prefetch(begin_ + std::min(c * kCacheLine, last_), 1);
    }

   private:
    const char* begin_;
    int64_t last_;
  };

  Lines user_;
  Lines item_;
};

// ---- the update of one rating

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
        rate_(broadcast(rate)),
        step_(broadcast(rate * error)),
        decay_(broadcast(-(rate * reg))) {}

  // Adds chunk c of the row, own, next to that of the opposite row.
  MASCOT_INLINE void add_chunk(int64_t c, Lanes own, Lanes other) {
    const Lanes gradient = fma(error_, other, multiply(minus_lambda_, own));
    float* total = gradient_sum_ + c * kLanes;
    store_floats(total, add(load_floats(total), gradient));
    norm_ = fma(gradient, gradient, norm_);
    const Lanes update = multiply(rate_, gradient);
    whole_ = fma(update, update, whole_);
    const Lanes unrounded = fma(step_, other, fma(decay_, own, own));
    const Lanes rounding = subtract(S::rounded(unrounded), unrounded);
    lost_ = fma(rounding, rounding, lost_);
  }

  MASCOT_INLINE void finish() {
    GroupSums::Statistics& statistics = sums_.statistics(group_);
    statistics.squared_norms += sum(norm_);
    statistics.count += 1;
    statistics.lost += sum(lost_);
    statistics.whole += sum(whole_);
  }

 private:
  int64_t group_;
  GroupSums& sums_;
  float* gradient_sum_;
  Lanes error_, minus_lambda_, rate_, step_, decay_;
  Lanes norm_ = broadcast(0), lost_ = broadcast(0), whole_ = broadcast(0);
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
  for (int64_t c = 0; c < chunk_count(task.factors); ++c) {
    const Lanes x = U::load(p + c * kLanes), y = I::load(q + c * kLanes);
    of_user.add_chunk(c, x, y);
    of_item.add_chunk(c, y, x);
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
  const Lanes step = broadcast(eta * error);
  const Lanes user_decay = broadcast(-(eta * user_reg)), item_decay = broadcast(-(eta * item_reg));
  for_chunks(chunks, [&](int64_t c) MASCOT_INLINED {
    ahead.fetch(c);
    const Lanes x = p[c], y = q[c];
    p.store(c, fma(step, y, fma(user_decay, x, x)));
    q.store(c, fma(step, x, fma(item_decay, y, y)));
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

// ---- a block of ratings

// Writes the byte of each rating of a block: ahead of the loop over rows, which then neither
// searches nor hashes, and in passes that vectorise.
void make_plan(const Task& task, Block block) {
  const StorageMap &users = task.users->groups.storages(), &items = task.items->groups.storages();
  const auto bit = [](Storage storage, uint8_t bit) {
    return static_cast<uint8_t>(storage == Storage::kFloat16 ? bit : 0);
  };
  const int64_t size = block.end - block.begin;
  const uint32_t* user = task.ratings->user + block.begin;
  const uint32_t* item = task.ratings->item + block.begin;
  uint8_t* __restrict__ plan = task.scratch->plan.data();  // bytes may alias anything otherwise
  if (users.uniform() && items.uniform()) {
    std::memset(plan, bit(users[0], kUserFloat16) | bit(items[0], kItemFloat16),
                static_cast<std::size_t>(size));
  } else {
    for (int64_t i = 0; i < size; ++i) {
      plan[i] = bit(users[user[i]], kUserFloat16) | bit(items[item[i]], kItemFloat16);
    }
  }
  const auto [key, threshold] = task.sampling;
  if (threshold == 0) return;
  for (int64_t i = 0; i < size; ++i) {
    const uint64_t draw = draw32(key, static_cast<uint64_t>(block.begin + i));
    plan[i] |= draw < threshold ? kSampled : 0;
  }
}

// Lists a block's ratings by their pair of storages, in their order within each, and returns where
// each of the four lists begins and the last ends. A loop that met the pairs at random would
// mispredict every other rating.
std::array<int64_t, kPairs + 1> sort_by_storages(const Task& task, Block block) {
  const uint8_t* plan = task.scratch->plan.data();
  uint32_t* __restrict__ order = task.scratch->order.data();
  const int64_t size = block.end - block.begin;
  // Four counters of 16 bits in one register: in memory, each increment would wait for the last.
  const auto shift = [&](int64_t i) { return (plan[i] & kBothFloat16) * 16; };
  uint64_t counts = 0;
  for (int64_t i = 0; i < size; ++i) counts += uint64_t{1} << shift(i);
  std::array<int64_t, kPairs + 1> begin = {};
  uint64_t next = 0;
  for (int pair = 0; pair < kPairs; ++pair) {
    next |= static_cast<uint64_t>(begin[pair]) << (pair * 16);
    begin[pair + 1] = begin[pair] + static_cast<int64_t>(counts >> (pair * 16) & 0xffff);
  }
  for (int64_t i = 0; i < size; ++i) {
    order[next >> shift(i) & 0xffff] = static_cast<uint32_t>(i);
    next += uint64_t{1} << shift(i);
  }
  return begin;
}

// Calls body(user storage, item storage) with the types that a plan byte names.
template <class Body>
MASCOT_INLINE void with_storages(uint8_t plan, const Body& body) {
  switch (plan & kBothFloat16) {
    case 0:
      return body(Float32{}, Float32{});
    case kUserFloat16:
      return body(Float16{}, Float32{});
    case kItemFloat16:
      return body(Float32{}, Float16{});
    default:
      return body(Float16{}, Float16{});
  }
}

// Calls body(chunks) with a constant number of chunks for the common k,
// else with the run-time number.
template <class Body>
void with_chunks(int64_t factors, const Body& body) {
  const int64_t count = chunk_count(factors);
  if constexpr (kHeldChunks == 0) return body(Chunks<0>{count});
  switch (count) {
    case 2:
      return body(Chunks<2>{count});
    case 4:
      return body(Chunks<4>{count});
    case 8:
      return body(Chunks<8>{count});
    case 16:
      return body(Chunks<16>{count});
    default:
      return body(Chunks<0>{count});
  }
}

// The plan byte that a pair of storages has, without the sample's bit.
template <class U, class I>
constexpr uint8_t pair_of() {
  return (U::kStorage == Storage::kFloat16 ? kUserFloat16 : 0) |
         (I::kStorage == Storage::kFloat16 ? kItemFloat16 : 0);
}

// Calls visit(user storage, item storage, i, sampled, rows ahead of i) for each rating of a block.
// With every rating in the same pair of storages they are visited in their order, else by their
// pair: then the storages are constants of each loop.
template <int C, class Visit>
MASCOT_INLINE void walk_block(const Task& task, Block block, Chunks<C> chunks, const Visit& visit) {
  make_plan(task, block);
  const uint8_t* plan = task.scratch->plan.data();
  const uint32_t* order = task.scratch->order.data();
  const int64_t size = block.end - block.begin;
  // Rows of visit `number`: at(number) is the place of its rating in the block, pair(place) the
  // storages of its rows.
  const auto rows = [&](int64_t number, const auto& at, const auto& pair) MASCOT_INLINED {
    const int64_t place = at(number);
    return Ahead(task, block.begin + place, pair(place), chunks.count());
  };
  const auto fetch_first = [&](const auto& at, const auto& pair) {
    for (int64_t number = 0; number < std::min(kPrefetchDistance, size); ++number) {
      const Ahead first = rows(number, at, pair);
      for (int64_t c = 0; c < chunks.count(); ++c) first.fetch(c);
    }
  };
  const auto walk = [&](int64_t from, int64_t to, const auto& at, const auto& pair, auto u,
                        auto v) MASCOT_INLINED {
    for (int64_t number = from; number < to; ++number) {
      const int64_t place = at(number);
      // Towards the end there is nothing ahead:
      // the last rating's rows, which are there, are asked for again.
      const Ahead ahead = rows(std::min(number + kPrefetchDistance, size - 1), at, pair);
      const bool sampled = task.sampling.threshold != 0 && (plan[place] & kSampled) != 0;
      visit(u, v, block.begin + place, sampled, ahead);
    }
  };
  if (task.users->groups.storages().uniform() && task.items->groups.storages().uniform()) {
    const auto in_order = [](int64_t number) MASCOT_INLINED { return number; };
    return with_storages(plan[0], [&](auto u, auto v) MASCOT_INLINED {
      const auto same = [](int64_t) MASCOT_INLINED { return pair_of<decltype(u), decltype(v)>(); };
      fetch_first(in_order, same);
      walk(0, size, in_order, same, u, v);
    });
  }
  const std::array<int64_t, kPairs + 1> begin = sort_by_storages(task, block);
  const auto by_pair = [&](int64_t number) MASCOT_INLINED { return int64_t{order[number]}; };
  const auto planned = [&](int64_t place) MASCOT_INLINED { return plan[place]; };
  fetch_first(by_pair, planned);
  for (int pair = 0; pair < kPairs; ++pair) {
    with_storages(static_cast<uint8_t>(pair), [&](auto u, auto v) MASCOT_INLINED {
      walk(begin[pair], begin[pair + 1], by_pair, planned, u, v);
    });
  }
}

// ---- the entries of the Kernel table

void update(const Task& task, Block block) {
  with_chunks(task.factors, [&](auto chunks) {
    walk_block(task, block, chunks,
               [&](auto u, auto v, int64_t i, bool sampled, const Ahead& ahead) MASCOT_INLINED {
                 update_rating<decltype(u), decltype(v)>(task, i, sampled, ahead, chunks);
               });
  });
}

void stream(const Task& task, Block block) {
  with_chunks(task.factors, [&](auto chunks) {
    walk_block(task, block, chunks,
               [&](auto u, auto v, int64_t i, bool, const Ahead& ahead) MASCOT_INLINED {
                 stream_rating<decltype(u), decltype(v)>(task, i, ahead, chunks);
               });
  });
}

void predict(const Task& task, Block block, float* predictions) {
  const Chunks<0> chunks{chunk_count(task.factors)};
  walk_block(task, block, chunks,
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
  for (int64_t row = begin; row < end; ++row) {
    const uint16_t* from = row_of<Float16>(side, static_cast<uint32_t>(row));
    float* to = row_of<Float32>(side, static_cast<uint32_t>(row));
    for (int64_t c = 0; c < chunk_count(factors); ++c) {
      Float32::store(to + c * kLanes, Float16::load(from + c * kLanes));
    }
  }
}

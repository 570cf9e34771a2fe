// The work on rows, written once for every instruction set: included by kernel_*.cc inside the namespace that defines
// Lanes and the storages (so no include guard, no includes), under that file's target pragma.
//
// The arithmetic, which the tests' NumPy reference repeats bit for bit:
//   dot product  64 partial sums; component c goes to partial c mod 64 by fused multiply-add in rising c; then partial
//                i += partial i + n/2 for n = 64, 32, ..., 2
//   e    = r - p.q
//   p'   = fma(eta e, q, fma(-eta lambda_P, p, p)),  q' alike from the old p: two roundings, then the store's
//   gradient (samples only)  fma(e, q, -(lambda_P p))

// ---- constants

// Far enough ahead to cover DRAM latency, near enough to stay in L1: 16 ratings of two 512-byte rows are 16 KiB.
constexpr int64_t kPrefetchDistance = 16;
constexpr int64_t kCacheLine = 64;

// A rating's byte in the plan of a block: the storages of its rows, and whether it is sampled.
constexpr uint8_t kUserFloat16 = 1;
constexpr uint8_t kItemFloat16 = 2;
constexpr uint8_t kSampled = 4;

// ---- rows

// Chunks of Lanes in a row: a compile-time constant, or with 0 the run-time value.
template <int Constant>
struct Chunks {
  static constexpr int kConstant = Constant;
  int64_t run_time;
  constexpr int64_t count() const { return Constant ? Constant : run_time; }
};

template <class S>
typename S::Element* row_of(const Side& side, uint32_t row) {
  constexpr int index = static_cast<int>(sizeof(typename S::Element) == 2 ? Storage::kFloat16
                                                                          : Storage::kFloat32);
  const Table& table = side.tables[index];
  return static_cast<typename S::Element*>(table.data) + static_cast<int64_t>(row) * table.stride;
}

template <class S, int C>
void prefetch(const Side& side, uint32_t row, Chunks<C> chunks) {
  const char* p = reinterpret_cast<const char*>(row_of<S>(side, row));
  const int64_t bytes = chunks.count() * kLanes * static_cast<int64_t>(sizeof(typename S::Element));
  for (int64_t line = 0; line < bytes; line += kCacheLine) __builtin_prefetch(p + line, 1);
}

// Calls body(c) for every chunk, unrolled where the count is a constant.
template <int C, class Body>
void for_chunks(Chunks<C> chunks, const Body& body) {
  if constexpr (C > 0 && C <= 16) {
#pragma GCC unroll 16
    for (int64_t c = 0; c < C; ++c) body(c);
  } else {
    for (int64_t c = 0; c < chunks.count(); ++c) body(c);
  }
}

// A factor row. Short rows are held in registers between the dot product and the store; long ones are read again,
// from L1, rather than spilled.
template <class S, int C>
class Row {
 public:
  using Element = typename S::Element;

  Row(Element* data, Chunks<C> chunks) : data_(data) {
    if constexpr (kHeld) for_chunks(chunks, [&](int64_t c) { held_[c] = S::load(data + c * kLanes); });
  }
  Lanes operator[](int64_t c) const {
    if constexpr (kHeld) return held_[c];
    return S::load(data_ + c * kLanes);
  }
  void store(int64_t c, Lanes lanes) { S::store(data_ + c * kLanes, lanes); }

 private:
  static constexpr bool kHeld = C > 0 && C <= kHeldChunks;
  Element* data_;
  Lanes held_[kHeld ? C : 1];
};

template <class P, class Q, int C>
float dot(const P& p, const Q& q, Chunks<C> chunks) {
  Lanes partial[4] = {broadcast(0), broadcast(0), broadcast(0), broadcast(0)};
  for_chunks(chunks, [&](int64_t c) { partial[c % 4] = fma(p[c], q[c], partial[c % 4]); });
  return sum(add(add(partial[0], partial[2]), add(partial[1], partial[3])));
}

// ---- the update of one rating

// Adds one row's gradient and update to its group's sums (lines 9-11 of Algorithm 1). Not inlined: it serves the
// sampled few, and its registers would cost all others.
template <class Own, class Other, int C>
__attribute__((noinline)) void sample(typename Own::Element* own, typename Other::Element* other,
                                      float error, float learning_rate, float reg, Chunks<C> chunks,
                                      float* gradient_sum, GroupSums::Statistics& statistics) {
  Lanes norm = broadcast(0), lost = broadcast(0), whole = broadcast(0);
  const Lanes e = broadcast(error), minus_lambda = broadcast(-reg), eta = broadcast(learning_rate);
  const Lanes step = broadcast(learning_rate * error), decay = broadcast(-(learning_rate * reg));
  for (int64_t c = 0; c < chunks.count(); ++c) {
    const Lanes x = Own::load(own + c * kLanes), y = Other::load(other + c * kLanes);
    const Lanes gradient = fma(e, y, multiply(minus_lambda, x));
    float* total = gradient_sum + c * kLanes;
    store_floats(total, add(load_floats(total), gradient));
    norm = fma(gradient, gradient, norm);
    const Lanes update = multiply(eta, gradient);
    whole = fma(update, update, whole);
    const Lanes unrounded = fma(step, y, fma(decay, x, x));
    const Lanes rounding = subtract(Own::rounded(unrounded), unrounded);
    lost = fma(rounding, rounding, lost);
  }
  statistics.squared_norms += sum(norm);
  statistics.count += 1;
  statistics.lost += sum(lost);
  statistics.whole += sum(whole);
}

// Eq. 2 and 3 for rating i.
template <class U, class I, int C>
void update_one(const Task& task, int64_t i, bool sampled, Chunks<C> chunks) {
  const uint32_t user = task.ratings->user[i], item = task.ratings->item[i];
  const auto [eta, user_reg, item_reg] = task.rates;
  auto* user_row = row_of<U>(*task.users, user);
  auto* item_row = row_of<I>(*task.items, item);
  Row<U, C> p(user_row, chunks);
  Row<I, C> q(item_row, chunks);
  const float error = task.ratings->rating[i] - dot(p, q, chunks);
  if (__builtin_expect(sampled, 0)) {
    const int64_t u = task.users->groups.find(user), g = task.items->groups.find(item);
    sample<U, I>(user_row, item_row, error, eta, user_reg, chunks, task.user_sums->gradient(u),
                 task.user_sums->statistics(u));
    sample<I, U>(item_row, user_row, error, eta, item_reg, chunks, task.item_sums->gradient(g),
                 task.item_sums->statistics(g));
  }
  const Lanes step = broadcast(eta * error);
  const Lanes user_decay = broadcast(-(eta * user_reg)), item_decay = broadcast(-(eta * item_reg));
  for_chunks(chunks, [&](int64_t c) {
    const Lanes x = p[c], y = q[c];
    p.store(c, fma(step, y, fma(user_decay, x, x)));
    q.store(c, fma(step, x, fma(item_decay, y, y)));
  });
}

// Loads and stores a row as it lies in memory, whatever its storage.
template <class S, int C>
void stream_row(const Side& side, uint32_t row, Chunks<C> chunks) {
  float* words = reinterpret_cast<float*>(row_of<S>(side, row));
  const int64_t bytes = chunks.count() * kLanes * static_cast<int64_t>(sizeof(typename S::Element));
  for (int64_t line = 0; line < bytes; line += kCacheLine) {
    Lanes lanes = load_floats(words + line / 4);
    keep(lanes);
    store_floats(words + line / 4, lanes);
  }
}

// ---- a block of ratings

// Calls visit(i) for each rating of a block while later ratings' rows are on their way.
template <class Prefetch, class Visit>
void walk(Block block, const Prefetch& ahead, const Visit& visit) {
  const int64_t first = std::min(block.begin + kPrefetchDistance, block.end);
  for (int64_t i = block.begin; i < first; ++i) ahead(i);
  for (int64_t i = block.begin; i < block.end - kPrefetchDistance; ++i) {
    ahead(i + kPrefetchDistance);
    visit(i);
  }
  for (int64_t i = std::max(block.begin, block.end - kPrefetchDistance); i < block.end; ++i) visit(i);
}

template <class U, class I, int C>
void prefetch_rows(const Task& task, int64_t i, Chunks<C> chunks) {
  prefetch<U>(*task.users, task.ratings->user[i], chunks);
  prefetch<I>(*task.items, task.ratings->item[i], chunks);
}

// The byte of each rating of a block: vectorises, so that the loop over rows neither searches nor hashes.
void make_plan(const Task& task, Block block) {
  const auto storages = [](const Groups& groups, uint8_t bit) {
    return static_cast<uint8_t>(groups.storage(0) == Storage::kFloat16 ? bit : 0);
  };
  const Groups &users = task.users->groups, &items = task.items->groups;
  const int64_t size = block.end - block.begin;
  const uint8_t uniform = storages(users, kUserFloat16) | storages(items, kItemFloat16);
  std::memset(task.plan, uniform, static_cast<std::size_t>(size));
  const auto mark = [&](const Groups& groups, const uint32_t* rows, uint8_t bit) {
    if (groups.uniform()) return;
    for (int64_t i = 0; i < size; ++i) {
      const bool half = groups.storage_of_row(rows[block.begin + i]) == Storage::kFloat16;
      task.plan[i] = static_cast<uint8_t>((task.plan[i] & ~bit) | (half ? bit : 0));
    }
  };
  mark(users, task.ratings->user, kUserFloat16);
  mark(items, task.ratings->item, kItemFloat16);
  if (task.sampling.threshold == 0) return;
  for (int64_t i = 0; i < size; ++i) {
    const uint64_t draw = draw32(task.sampling.key, static_cast<uint64_t>(block.begin + i));
    task.plan[i] |= draw < task.sampling.threshold ? kSampled : 0;
  }
}

// Calls body(user storage, item storage) with the types that a plan byte names.
template <class Body>
void with_storages(uint8_t plan, const Body& body) {
  switch (plan & (kUserFloat16 | kItemFloat16)) {
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

// Calls body(chunks) with a constant number of chunks for the common k, else with the run-time number.
template <class Body>
void with_chunks(int64_t factors, const Body& body) {
  const int64_t count = chunk_count(factors);
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

// Walks a block with visit(user storage, item storage, i, plan byte). Where every row of a side has the same storage
// and nothing is sampled, the storages are constants of the loop; else each rating's are looked up in the plan.
template <int C, class Visit>
void walk_planned(const Task& task, Block block, Chunks<C> chunks, const Visit& visit) {
  const Groups &users = task.users->groups, &items = task.items->groups;
  make_plan(task, block);
  if (users.uniform() && items.uniform() && task.sampling.threshold == 0) {
    return with_storages(task.plan[0], [&](auto u, auto g) {
      using U = decltype(u);
      using I = decltype(g);
      walk(
          block, [&](int64_t i) { prefetch_rows<U, I>(task, i, chunks); },
          [&](int64_t i) { visit(u, g, i, uint8_t{0}); });
    });
  }
  walk(
      block,
      [&](int64_t i) {
        with_storages(task.plan[i - block.begin], [&](auto u, auto g) {
          prefetch_rows<decltype(u), decltype(g)>(task, i, chunks);
        });
      },
      [&](int64_t i) {
        const uint8_t plan = task.plan[i - block.begin];
        with_storages(plan, [&](auto u, auto g) { visit(u, g, i, plan); });
      });
}

// ---- the entries of the Kernel table

void update(const Task& task, Block block) {
  with_chunks(task.factors, [&](auto chunks) {
    walk_planned(task, block, chunks, [&](auto u, auto g, int64_t i, uint8_t plan) {
      update_one<decltype(u), decltype(g)>(task, i, plan & kSampled, chunks);
    });
  });
}

void stream(const Task& task, Block block) {
  with_chunks(task.factors, [&](auto chunks) {
    walk_planned(task, block, chunks, [&](auto u, auto g, int64_t i, uint8_t) {
      stream_row<decltype(u)>(*task.users, task.ratings->user[i], chunks);
      stream_row<decltype(g)>(*task.items, task.ratings->item[i], chunks);
    });
  });
}

void predict(const Task& task, Block block, float* predictions) {
  with_chunks(task.factors, [&](auto chunks) {
    constexpr int kChunks = decltype(chunks)::kConstant;
    walk_planned(task, block, chunks, [&](auto u, auto g, int64_t i, uint8_t) {
      const Row<decltype(u), kChunks> p(row_of<decltype(u)>(*task.users, task.ratings->user[i]), chunks);
      const Row<decltype(g), kChunks> q(row_of<decltype(g)>(*task.items, task.ratings->item[i]), chunks);
      predictions[i] = dot(p, q, chunks);
    });
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

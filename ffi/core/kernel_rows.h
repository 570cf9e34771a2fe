// Part of kernel_body.h: factor rows in chunks of lanes, their dot product, and their prefetch.

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

// ---- rounding

using Nearest = std::integral_constant<Rounding, Rounding::kNearest>;
using Stochastic = std::integral_constant<Rounding, Rounding::kStochastic>;

// Calls body with a Rounding as a type.
template <class Body>
void with_rounding(Rounding rounding, const Body& body) {
  return rounding == Rounding::kNearest ? body(Nearest{}) : body(Stochastic{});
}

// The draws of one rating (dither.h), sixteen at a time.
class Draws {
 public:
  MASCOT_INLINE Draws(const Task& task, int64_t i) {
    const uint64_t draw = draw64(task.dither.key, static_cast<uint64_t>(i));
    const Words lanes = words(static_cast<uint32_t>(draw), kDitherStep);
    words_ = fold(multiply(fold(lanes), static_cast<uint32_t>(draw >> 32) | 1));
  }
  MASCOT_INLINE Words of_user(int64_t c) const { return multiply(words_, dither_factor(c)); }
  MASCOT_INLINE Words of_item(int64_t c) const { return rotate(of_user(c)); }

 private:
  Words words_;
};

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
  MASCOT_INLINE void store(int64_t c, Lanes lanes, Words draws) {
    S::store(data_ + c * kLanes, lanes, draws);
  }
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
// (up to 1.6 times slower in FP32 and 2.6 in FP16 where tables exceed the caches:
// docs/decisions.md).
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

// Part of body.h: the two rows of a rating, their dot product, and their prefetch.

// ---- constants

// Far enough ahead to cover DRAM latency, near enough to stay in L1:
// 16 ratings of two 512-byte rows are 16 KiB.
constexpr int64_t kPrefetchDistance = 16;

// Ratings whose rows' first lines are asked for together. A prefetch holds up what follows until
// its address is translated: one by one, the walks through the page tables would not overlap.
constexpr int64_t kTouchedAtOnce = 8;

// ---- rows

// A row whose elements are read again from memory, or were converted beforehand.
struct Floats {
  const float* data;
  MASCOT_INLINE Lanes operator[](int64_t c) const { return load_floats(data + c * kLanes); }
};

// A row as FP32: itself, or a copy in buffer.
template <int C>
MASCOT_INLINE Floats as_floats(const Side& side, Storage storage, uint32_t row, RowBuffer& buffer,
                               Chunks<C> chunks) {
  const void* data = side.row(storage, row);
  if (storage == kCode<Float32>) return {static_cast<const float*>(data)};
  decode(data, side.table(storage), storage, buffer.data(), chunks);
  return {buffer.data()};
}

// Short rows are held in registers between the dot product and the store; long ones are read again,
// from L1, rather than spilled.
template <int C>
constexpr bool kHeld = C > 0 && C <= kHeldChunks;

// Rows that are rounded, each component by itself.
template <class S>
constexpr bool kRoundsEach = S::kRounds && !S::kScaled;

// A row in storage S, as it lies. Each chunk is set once.
template <class S, Rounding R, int C>
class StoredRow {
 public:
  using Element = typename S::Element;
  static constexpr int64_t kLineChunks = kCacheLine / (kLanes * sizeof(Element));
  static constexpr bool kWhereItLies = true;
  MASCOT_INLINE StoredRow(Element* data, Chunks<C> chunks) : data_(data) {
    if constexpr (kHeld<C>) {
      for_chunks(chunks,
                 [&](int64_t c) MASCOT_INLINED { held_[c] = load(S{}, data + c * kLanes); });
    }
  }
  MASCOT_INLINE Lanes operator[](int64_t c) const {
    if constexpr (kHeld<C>) return held_[c];
    return load(S{}, data_ + c * kLanes);
  }
  MASCOT_INLINE void set(int64_t c, Lanes lanes, const Words& draws) {
    store<R>(S{}, data_ + c * kLanes, lanes, draws);
  }

 private:
  Element* data_;
  Lanes held_[kHeld<C> ? C : 1];
};

// A copy in FP32 of a row in another storage, for as long as ratings of its user follow one
// another.
template <int C>
class WorkingRow {
 public:
  static constexpr int64_t kLineChunks = 1;  // at least, whatever it is a copy of
  static constexpr bool kWhereItLies = false;

  MASCOT_INLINE WorkingRow(const Side& side, Storage storage, uint32_t row, RowBuffer& buffer,
                           Chunks<C> chunks)
      : chunks_(chunks),
        storage_(storage),
        table_(side.table(storage)),
        data_(side.row(storage, row)),
        floats_(buffer.data()) {
    decode(data_, table_, storage, floats_, chunks);
    if constexpr (kHeld<C>) {
      for_chunks(chunks,
                 [&](int64_t c) MASCOT_INLINED { held_[c] = load_floats(floats_ + c * kLanes); });
    }
  }
  MASCOT_INLINE Lanes operator[](int64_t c) const {
    if constexpr (kHeld<C>) return held_[c];
    return load_floats(floats_ + c * kLanes);
  }
  MASCOT_INLINE void set(int64_t c, Lanes lanes, const Words&) {
    if constexpr (kHeld<C>) {
      held_[c] = lanes;
    } else {
      store_floats(floats_ + c * kLanes, lanes);
    }
  }
  // Back to where it came from.
  template <Rounding R>
  MASCOT_INLINE void store(const Draws& draws) {
    if constexpr (kHeld<C>) {
      for_chunks(chunks_,
                 [&](int64_t c) MASCOT_INLINED { store_floats(floats_ + c * kLanes, held_[c]); });
    }
    encode<R>(data_, table_, storage_, floats_, draws, chunks_);
  }

 private:
  Chunks<C> chunks_;
  Storage storage_;
  const Table& table_;
  void* data_;
  float* floats_;
  Lanes held_[kHeld<C> ? C : 1];
};

// How an update reaches an item's row: in its table,
template <class S, Rounding R>
struct ItemRow {
  template <int C>
  MASCOT_INLINE static StoredRow<S, R, C> open(const Task& task, uint32_t row, Chunks<C> chunks) {
    return {static_cast<typename S::Element*>(task.items->row(kCode<S>, row)), chunks};
  }
  template <int C>
  MASCOT_INLINE static void close(const Task&, int64_t, Chunks<C>) {}
};

// or as a copy in FP32, from int8 and back to it after rating i.
template <Rounding R>
struct ItemRow<Int8, R> {
  template <int C>
  MASCOT_INLINE static auto open(const Task& task, uint32_t row, Chunks<C> chunks) {
    float* floats = task.scratch->item.data();
    decode(Int8{}, data(task, row), task.items->table(kCode<Int8>), floats, chunks);
    return Copy<C>{{floats, chunks}};
  }
  template <int C>
  MASCOT_INLINE static void close(const Task& task, int64_t i, Chunks<C> chunks) {
    encode<R>(Int8{}, data(task, task.ratings->item[i]), task.items->table(kCode<Int8>),
              task.scratch->item.data(), Draws::of_item(task, i), chunks);
  }

 private:
  template <int C>
  struct Copy : StoredRow<Float32, Rounding::kNearest, C> {
    static constexpr bool kWhereItLies = false;
  };
  MASCOT_INLINE static int8_t* data(const Task& task, uint32_t row) {
    return static_cast<int8_t*>(task.items->row(kCode<Int8>, row));
  }
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

// Bytes of a row that are in use, up to a whole number of cache lines.
template <int C>
int64_t line_bytes(const Table& table, Storage storage, Chunks<C> chunks) {
  const int64_t bytes = row_bytes(storage, chunks.count(), table.scale_chunks);
  return (bytes + kCacheLine - 1) / kCacheLine * kCacheLine;
}

// The lines of a row.
class Lines {
 public:
  MASCOT_INLINE Lines(const char* begin, int64_t last) : begin_(begin), last_(last) {}
  // Asks for line c, or the last where there are fewer.
  MASCOT_INLINE void fetch(int64_t c) const {
    __builtin_prefetch(begin_ + std::min(c * kCacheLine, last_), 1);
  }
  // Asks for line c, which there is.
  MASCOT_INLINE void fetch_line(int64_t c) const { __builtin_prefetch(begin_ + c * kCacheLine, 1); }
  // Asks for the line that begins with chunk c in a row like Row.
  template <class Row>
  MASCOT_INLINE void fetch_chunk(int64_t c) const {
    if (c % Row::kLineChunks != 0) return;
    if constexpr (Row::kWhereItLies) {
      fetch_line(c / Row::kLineChunks);
    } else {
      fetch(c);
    }
  }

 private:
  const char* begin_;
  int64_t last_;
};

// A side's rows in one storage.
struct TableLines {
  const char* data;
  int64_t row_bytes;
  int64_t last;

  template <int C>
  TableLines(const Table& table, Storage storage, Chunks<C> chunks)
      : data(static_cast<const char*>(table.data)),
        row_bytes(table.stride * traits(storage).bytes),
        last(line_bytes(table, storage, chunks) - kCacheLine) {}

  MASCOT_INLINE Lines row(uint32_t number) const {
    return {data + static_cast<int64_t>(number) * row_bytes, last};
  }
};

// The two rows of a later rating. Their lines are asked for one by one between the stores of the
// present rating: all at once, they fill the core's miss buffers and everything behind them waits
// (up to 1.6 times slower in FP32 and 2.6 in FP16 where tables exceed the caches:
// docs/cpu.md).
struct Ahead {
  Lines user;
  Lines item;

  // Asks for line c of both rows; rows in fewer bits have fewer lines than chunks.
  MASCOT_INLINE void fetch(int64_t c) const {
    user.fetch(c);
    item.fetch(c);
  }
  // Asks for the lines that begin with chunk c in rows like P and Q.
  template <class P, class Q>
  MASCOT_INLINE void fetch_chunk(int64_t c) const {
    user.fetch_chunk<P>(c);
    item.fetch_chunk<Q>(c);
  }
};

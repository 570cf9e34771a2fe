// Part of kernel_body.h: the two rows of a rating, their dot product, and their prefetch.

// ---- constants

// Far enough ahead to cover DRAM latency, near enough to stay in L1:
// 16 ratings of two 512-byte rows are 16 KiB.
constexpr int64_t kPrefetchDistance = 16;

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
  if (storage == Storage::kFloat32) return {static_cast<const float*>(data)};
  decode(data, side.table(storage), storage, buffer.data(), chunks);
  return {buffer.data()};
}

// An item's row. Short rows are held in registers between the dot product and the store; long ones
// are read again, from L1, rather than spilled.
template <class S, int C>
class Row {
 public:
  using Element = typename S::Element;

  MASCOT_INLINE Row(const Element* data, Chunks<C> chunks) : data_(data) {
    if constexpr (kHeld) {
      for_chunks(chunks, [&](int64_t c) MASCOT_INLINED { held_[c] = S::load(data + c * kLanes); });
    }
  }
  MASCOT_INLINE Lanes operator[](int64_t c) const {
    if constexpr (kHeld) return held_[c];
    return S::load(data_ + c * kLanes);
  }

 private:
  static constexpr bool kHeld = C > 0 && C <= kHeldChunks;
  const Element* data_;
  Lanes held_[kHeld ? C : 1];
};

// A user's row for as long as ratings of that user follow one another: in registers if it is short,
// else in memory as FP32, which is the row itself where it is stored so.
template <int C>
class UserRow {
 public:
  MASCOT_INLINE UserRow(const Task& task, Storage storage, uint32_t row, Chunks<C> chunks)
      : chunks_(chunks),
        storage_(storage),
        table_(task.users->table(storage)),
        data_(task.users->row(storage, row)),
        floats_(task.scratch->user.data()) {
    if (storage == Storage::kFloat32) {
      if constexpr (kHeld) {
        load(static_cast<const float*>(data_));
      } else {
        floats_ = static_cast<float*>(data_);
      }
      return;
    }
    decode(data_, table_, storage, floats_, chunks);
    if constexpr (kHeld) load(floats_);
  }
  MASCOT_INLINE Lanes operator[](int64_t c) const {
    if constexpr (kHeld) return held_[c];
    return load_floats(floats_ + c * kLanes);
  }
  MASCOT_INLINE void set(int64_t c, Lanes lanes) {
    if constexpr (kHeld) {
      held_[c] = lanes;
    } else {
      store_floats(floats_ + c * kLanes, lanes);
    }
  }
  // The row in memory, for reading.
  MASCOT_INLINE const float* floats() {
    if constexpr (kHeld) spill(floats_);
    return floats_;
  }
  // After rating i.
  template <Rounding R>
  MASCOT_INLINE void store(const Task& task, int64_t i) {
    if (storage_ == Storage::kFloat32) {
      if constexpr (kHeld) spill(static_cast<float*>(data_));
      return;
    }
    encode<R>(data_, table_, storage_, floats(), Draws::of_user(task, i), chunks_);
  }

 private:
  static constexpr bool kHeld = C > 0 && C <= kHeldChunks;

  MASCOT_INLINE void load(const float* from) {
    for_chunks(chunks_,
               [&](int64_t c) MASCOT_INLINED { held_[c] = load_floats(from + c * kLanes); });
  }
  MASCOT_INLINE void spill(float* to) const {
    for_chunks(chunks_, [&](int64_t c) MASCOT_INLINED { store_floats(to + c * kLanes, held_[c]); });
  }

  Chunks<C> chunks_;
  Storage storage_;
  const Table& table_;
  void* data_;
  float* floats_;
  Lanes held_[kHeld ? C : 1];
};

// How an item's row is reached: in its table, in storage S,
template <class S>
struct InPlace {
  using Row = S;
  template <int C>
  MASCOT_INLINE static typename S::Element* open(const Task& task, uint32_t row, Chunks<C>) {
    return static_cast<typename S::Element*>(task.items->row(S::kStorage, row));
  }
  template <int C>
  MASCOT_INLINE static void close(const Task&, int64_t, Chunks<C>) {}
};

// or as a copy in FP32, from int8 and back to it.
template <Rounding R>
struct Decoded {
  using Row = Float32;
  template <int C>
  MASCOT_INLINE static float* open(const Task& task, uint32_t row, Chunks<C> chunks) {
    const auto* data = static_cast<const int8_t*>(task.items->row(Storage::kInt8, row));
    float* floats = task.scratch->item.data();
    decode_int8(data, task.items->table(Storage::kInt8), floats, chunks.count());
    return floats;
  }
  template <int C>
  MASCOT_INLINE static void close(const Task& task, int64_t i, Chunks<C> chunks) {
    auto* data = static_cast<int8_t*>(task.items->row(Storage::kInt8, task.ratings->item[i]));
    encode_int8<R>(data, task.items->table(Storage::kInt8), task.scratch->item.data(),
                   Draws::of_item(task, i), chunks.count());
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
  int64_t bytes = chunks.count() * kLanes * width_of(storage);
  if (storage == Storage::kInt8) {
    bytes += scale_count(chunks.count(), table.scale_chunks) * static_cast<int64_t>(sizeof(float));
  }
  return (bytes + kCacheLine - 1) / kCacheLine * kCacheLine;
}

// Where a side's rows lie, by storage.
class Lines {
 public:
  template <int C>
  Lines(const Side& side, Chunks<C> chunks) {
    for (int s = 0; s < kStorages; ++s) {
      const auto storage = static_cast<Storage>(s);
      const Table& table = side.table(storage);
      if (table.data == nullptr) continue;
      lines_[s] = {static_cast<const char*>(table.data), table.stride * width_of(storage),
                   line_bytes(table, storage, chunks) - kCacheLine};
    }
  }

  // The lines of one row.
  class Of {
   public:
    MASCOT_INLINE Of(const char* begin, int64_t last) : begin_(begin), last_(last) {}
    // Asks for line c, or the last where there are fewer.
    MASCOT_INLINE void fetch(int64_t c) const {
      __builtin_prefetch(begin_ + std::min(c * kCacheLine, last_), 1);
    }

   private:
    const char* begin_;
    int64_t last_;
  };

  MASCOT_INLINE Of row(Storage storage, uint32_t row) const {
    const auto& [data, row_bytes, last] = lines_[static_cast<std::size_t>(storage)];
    return {data + static_cast<int64_t>(row) * row_bytes, last};
  }

 private:
  struct Entry {
    const char* data = nullptr;
    int64_t row_bytes = 0;
    int64_t last = 0;
  };
  std::array<Entry, 4> lines_;  // one more than storages: a power of two is indexed faster
};

// The two rows of a later rating. Their lines are asked for one by one between the stores of the
// present rating: all at once, they fill the core's miss buffers and everything behind them waits
// (up to 1.6 times slower in FP32 and 2.6 in FP16 where tables exceed the caches:
// docs/decisions.md).
class Ahead {
 public:
  MASCOT_INLINE Ahead(Lines::Of user, Lines::Of item) : user_(user), item_(item) {}

  // Asks for line c of both rows; rows in fewer bits have fewer lines than chunks.
  MASCOT_INLINE void fetch(int64_t c) const {
    user_.fetch(c);
    item_.fetch(c);
  }

 private:
  Lines::Of user_;
  Lines::Of item_;
};

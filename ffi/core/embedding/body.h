// The work on rows of embedding tables, written once for every instruction set, as
// core/update/body.h is: included inside the namespace that defines Lanes.

// clang-format off: each part is made of those before it
#include "core/update/codec.h"
#include "core/embedding/arithmetic.h"
// clang-format on

constexpr int64_t kAhead = 16;  // lookups, which are prefetched

// ---- rows of one storage; scale: the field's, of Int4Table; draw: of the row

template <int C>
MASCOT_INLINE void decode_row(Float32, const float* row, float, float* floats, Chunks<C> chunks) {
  decode(Float32{}, row, Table{}, floats, chunks);
}
template <int C>
MASCOT_INLINE void decode_row(Float16, const uint16_t* row, float, float* floats,
                              Chunks<C> chunks) {
  decode(Float16{}, row, Table{}, floats, chunks);
}
template <int C>
MASCOT_INLINE void decode_row(Int8, const int8_t* row, float, float* floats, Chunks<C> chunks) {
  const Lanes step = broadcast(*scales_of(row, chunks.count()));
  for_chunks(chunks, [&](int64_t c) MASCOT_INLINED {
    store_floats(floats + c * kLanes, multiply(load_int8(row + c * kLanes), step));
  });
}
template <int C>
MASCOT_INLINE void decode_row(Int4Table, const uint8_t* row, float scale, float* floats,
                              Chunks<C> chunks) {
  constexpr uint64_t kHalves = 0x0f0f0f0f0f0f0f0fu;
  const Lanes step = broadcast(scale);
  for_chunks(chunks, [&](int64_t c) MASCOT_INLINED {
    uint64_t packed;
    std::memcpy(&packed, row + c * (kLanes / 2), sizeof packed);
    const Lanes halves = of_bytes(packed & kHalves, packed >> 4 & kHalves);
    store_floats(floats + c * kLanes, of_halves(halves, step));
  });
}
template <int C>
MASCOT_INLINE void decode_row(Int4, const uint8_t* row, float, float* floats, Chunks<C> chunks) {
  uint16_t scale;
  std::memcpy(&scale, row + chunks.count() * (kLanes / 2), sizeof scale);
  decode_row(Int4Table{}, row, Int4::widened(scale), floats, chunks);
}

// Of float32, float16 and int8.
template <class S, int C>
MASCOT_INLINE void encode_row(S, typename S::Element* row, const float* floats, uint64_t draw,
                              Chunks<C> chunks) {
  const Table whole_rows = {nullptr, 0, chunks.count()};  // have one scale
  encode<Rounding::kStochastic>(S{}, row, whole_rows, floats, Draws::of(draw), chunks);
}
template <int C>
MASCOT_INLINE void encode_row(Int4, uint8_t* row, const float* floats, uint64_t draw,
                              Chunks<C> chunks) {
  Words most = all(0);
  for_chunks(chunks, [&](int64_t c) MASCOT_INLINED {
    most = maximum(most, magnitude_bits(load_floats(floats + c * kLanes)));
  });
  const float largest = float_of(highest(most));
  const uint16_t scale = Int4::scale(largest, draw);
  std::memcpy(row + chunks.count() * (kLanes / 2), &scale, sizeof scale);
  const Lanes step = broadcast(Int4::steps_per_unit(largest));
  const Draws draws = Draws::of(draw);
  for_chunks(chunks, [&](int64_t c) MASCOT_INLINED {
    const Lanes offset = random_offset(draws.chunk(c), Int4::kNoDraw);
    int8_t halves[kLanes];
    store_int8(halves, fma(load_floats(floats + c * kLanes), step, offset));
    uint64_t low, high;
    std::memcpy(&low, halves, sizeof low);
    std::memcpy(&high, halves + sizeof low, sizeof high);
    const uint64_t packed = low | high << 4;
    std::memcpy(row + c * (kLanes / 2), &packed, sizeof packed);
  });
}
template <int C>
MASCOT_INLINE void encode_row(Int4Table, uint8_t*, const float*, uint64_t, Chunks<C>) {}

// ---- tables

template <class Body>
MASCOT_INLINE void with_row_storage(RowStorage storage, const Body& body) {
  switch (storage) {
    case RowStorage::kFloat32:
      return body(Float32{});
    case RowStorage::kFloat16:
      return body(Float16{});
    case RowStorage::kInt8:
      return body(Int8{});
    case RowStorage::kInt4:
      return body(Int4{});
    case RowStorage::kInt4Table:
      return body(Int4Table{});
  }
}

// The dimensions of published models have loops of constant length.
template <class Body>
void with_dimension(int64_t dimension, const Body& body) {
  switch (dimension / kLanes) {
    case 1:
      return body(Chunks<1>{1});
    case 2:
      return body(Chunks<2>{2});
    case 4:
      return body(Chunks<4>{4});
    default:
      return body(Chunks<0>{dimension / kLanes});
  }
}

// Rows of a collection, each in the storage of its tier.
template <int C>
class Rows {
 public:
  Rows(const Embedding& embedding, Chunks<C> chunks)
      : embedding_(embedding),
        chunks_(chunks),
        wide_bytes_(row_bytes(embedding.wide.storage, chunks.count() * kLanes)),
        narrow_bytes_(row_bytes(embedding.narrow.storage, chunks.count() * kLanes)) {}

  MASCOT_INLINE void prefetch(uint32_t number) const {
    const uint8_t* row = at(number);
    const int64_t bytes = is_wide(number) ? wide_bytes_ : narrow_bytes_;
    for (int64_t byte = 0; byte < bytes; byte += kCacheLine) __builtin_prefetch(row + byte);
    __builtin_prefetch(row + bytes - 1);  // a row may begin anywhere in a line
  }
  // As it is looked up by a field.
  MASCOT_INLINE void look_up(uint32_t number, int64_t field, float* floats) const {
    with_row(number, [&](auto s, auto* row) MASCOT_INLINED {
      if constexpr (std::is_same_v<decltype(s), Float32>) {
        const float scale = embedding_.levels > 0 ? embedding_.scales[field] : 0;
        if (scale > 0) return round_to_levels(row, scale, floats);
      }
      read(s, row, field, floats);
    });
  }
  // w <- fma(-rate, sum, w)
  MASCOT_INLINE void add(uint32_t number, int64_t field, const float* sum, float rate,
                         uint64_t key) const {
    with_row(number, [&](auto s, auto* row) MASCOT_INLINED {
      if constexpr (std::is_same_v<decltype(s), Float32>) {
        step(row, sum, rate);
      } else {
        alignas(kCacheLine) float floats[C ? C * kLanes : kMostComponents];
        read(s, row, field, floats);
        step(floats, sum, rate);
        encode_row(s, row, floats, draw64(key, number), chunks_);
      }
    });
  }

 private:
  MASCOT_INLINE bool is_wide(uint32_t number) const { return number < embedding_.wide.count; }
  MASCOT_INLINE uint8_t* at(uint32_t number) const {
    if (is_wide(number)) return embedding_.wide.rows + number * wide_bytes_;
    return embedding_.narrow.rows + (number - embedding_.wide.count) * narrow_bytes_;
  }
  // Calls body(storage, elements of the row).
  template <class Body>
  MASCOT_INLINE void with_row(uint32_t number, const Body& body) const {
    const Tier& tier = is_wide(number) ? embedding_.wide : embedding_.narrow;
    with_row_storage(tier.storage, [&](auto s) MASCOT_INLINED {
      body(s, reinterpret_cast<typename decltype(s)::Element*>(at(number)));
    });
  }
  template <class S>
  MASCOT_INLINE void read(S, const typename S::Element* row, int64_t field, float* floats) const {
    const float scale = std::is_same_v<S, Int4Table> ? embedding_.scales[field] : 0;
    decode_row(S{}, row, scale, floats, chunks_);
  }
  MASCOT_INLINE void round_to_levels(const float* row, float scale, float* floats) const {
    for_chunks(chunks_, [&](int64_t c) MASCOT_INLINED {
      const Lanes lanes = load_floats(row + c * kLanes);
      store_floats(floats + c * kLanes, at_levels(lanes, scale, embedding_.levels));
    });
  }
  MASCOT_INLINE void step(float* row, const float* sum, float rate) const {
    const Lanes minus = broadcast(-rate);
    for_chunks(chunks_, [&](int64_t c) MASCOT_INLINED {
      float* to = row + c * kLanes;
      store_floats(to, stepped(load_floats(to), load_floats(sum + c * kLanes), minus));
    });
  }

  const Embedding& embedding_;
  Chunks<C> chunks_;
  int64_t wide_bytes_, narrow_bytes_;
};

template <class Body>
void with_rows(const Embedding& embedding, const Body& body) {
  with_dimension(embedding.dimension,
                 [&](auto chunks) { body(Rows<decltype(chunks)::kConstant>(embedding, chunks)); });
}

void look_up(const Embedding& embedding, const Lookups& lookups, int64_t begin, int64_t end,
             float* values) {
  with_rows(embedding, [&](const auto& rows) {
    int64_t field = 0;
    for (int64_t i = begin; i < end; ++i) {
      if (i + kAhead < end) rows.prefetch(lookups.rows[i + kAhead]);
      rows.look_up(lookups.rows[i], field, values + i * embedding.dimension);
      if (++field == lookups.fields) field = 0;
    }
  });
}

// Calls work(i, sum, place) for each unique row: the sum of its gradients, which is where they are
// if there is but one, and the first place.
template <class Work>
MASCOT_INLINE void for_sums(const Lookups& lookups, const UniqueRows& unique, int64_t field,
                            int64_t dimension, const float* gradients, const Work& work) {
  const int64_t impression = lookups.fields * dimension;
  const float* of_field = gradients + field * dimension;
  alignas(kCacheLine) float sum[kMostComponents];
  for (int64_t i = 0; i < unique.size(); ++i) {
    const int32_t first = unique.first(i);
    const float* gradient = of_field + first * impression;
    int32_t place = unique.next(first);
    if (place >= 0) {
      std::memcpy(sum, gradient, static_cast<std::size_t>(dimension) * sizeof(float));
      for (; place >= 0; place = unique.next(place)) {
        const float* other = of_field + place * impression;
        for (int64_t d = 0; d < dimension; d += kLanes) {
          store_floats(sum + d, add(load_floats(sum + d), load_floats(other + d)));
        }
      }
      gradient = sum;
    }
    work(i, gradient, first);
  }
}

void update_field(const Embedding& embedding, const Lookups& lookups, const UniqueRows& unique,
                  int64_t field, const float* gradients, float rate, uint64_t key) {
  with_rows(embedding, [&](const auto& rows) {
    const auto add = [&](int64_t i, const float* sum, int32_t) MASCOT_INLINED {
      if (i + kAhead < unique.size()) rows.prefetch(unique.row(i + kAhead));
      rows.add(unique.row(i), field, sum, rate, key);
    };
    for_sums(lookups, unique, field, embedding.dimension, gradients, add);
  });
}

void coalesce_field(const Lookups& lookups, const UniqueRows& unique, int64_t field,
                    int64_t dimension, const float* gradients, float* sums) {
  const int64_t impression = lookups.fields * dimension;
  const auto bytes = static_cast<std::size_t>(dimension) * sizeof(float);
  float* of_field = sums + field * dimension;
  for (int64_t b = 0; b < lookups.batch; ++b) std::memset(of_field + b * impression, 0, bytes);
  const auto write = [&](int64_t, const float* sum, int32_t place)
                         MASCOT_INLINED { std::memcpy(of_field + place * impression, sum, bytes); };
  for_sums(lookups, unique, field, dimension, gradients, write);
}

void store_rows(const Tier& tier, int64_t dimension, int64_t first, int64_t count,
                const float* values, uint64_t key) {
  const int64_t bytes = row_bytes(tier.storage, dimension);
  with_row_storage(tier.storage, [&](auto s) {
    with_dimension(dimension, [&](auto chunks) {
      for (int64_t i = 0; i < count; ++i) {
        const int64_t number = first + i;
        auto* row = reinterpret_cast<typename decltype(s)::Element*>(tier.rows + number * bytes);
        const uint64_t draw = draw64(key, static_cast<uint64_t>(number));
        encode_row(s, row, values + i * dimension, draw, chunks);
      }
    });
  });
}

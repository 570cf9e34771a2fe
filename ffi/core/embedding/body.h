// The work on rows of embedding tables, written once for every instruction set, as
// core/update/body.h is: included inside the namespace that defines Lanes.

// clang-format off: each part is made of those before it
#include "core/update/codec.h"
#include "core/embedding/arithmetic.h"
// clang-format on

constexpr int64_t kAhead = 16;  // lookups, which are prefetched

// ---- int8 and int4, a row of which has one scale

template <int C>
MASCOT_INLINE void decode_whole(const int8_t* row, float* floats, Chunks<C> chunks) {
  const Lanes step = broadcast(*scales_of(row, chunks.count()));
  for_chunks(chunks, [&](int64_t c) MASCOT_INLINED {
    store_floats(floats + c * kLanes, multiply(load_int8(row + c * kLanes), step));
  });
}

template <int C>
MASCOT_INLINE void decode_int4(const uint8_t* row, float scale, float* floats, Chunks<C> chunks) {
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
MASCOT_INLINE void decode(Int4, const uint8_t* row, const Table&, float* floats, Chunks<C> chunks) {
  uint16_t scale;
  std::memcpy(&scale, row + chunks.count() * (kLanes / 2), sizeof scale);
  decode_int4(row, Int4::widened(scale), floats, chunks);
}
template <int C>
MASCOT_INLINE void encode_int4(uint8_t* row, const float* floats, uint64_t draw_of_row,
                               Chunks<C> chunks) {
  Words most = all(0);
  for_chunks(chunks, [&](int64_t c) MASCOT_INLINED {
    most = maximum(most, magnitude_bits(load_floats(floats + c * kLanes)));
  });
  const float largest = float_of(highest(most));
  const uint16_t scale = Int4::scale(largest, draw_of_row);
  std::memcpy(row + chunks.count() * (kLanes / 2), &scale, sizeof scale);
  const Lanes step = broadcast(Int4::steps_per_unit(largest));
  const Draws draws = Draws::of(draw_of_row);
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

// ---- tables

template <class Body>
void with_narrow(Narrow storage, const Body& body) {
  switch (storage) {
    case Narrow::kFloat16:
      return body(Float16{});
    case Narrow::kInt8:
      return body(Int8{});
    case Narrow::kInt4:
      return body(Int4{});
    case Narrow::kInt4Table:
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

// Rows of a collection; S: the narrow rows' storage.
template <class S, int C>
class Rows {
 public:
  Rows(const Embedding& embedding, Chunks<C> chunks)
      : embedding_(embedding),
        chunks_(chunks),
        bytes_(row_bytes(embedding.storage, chunks.count() * kLanes)),
        table_{nullptr, 0, chunks.count()} {}

  MASCOT_INLINE void prefetch(uint32_t number) const {
    const bool is_wide = number < embedding_.wide_rows;
    const char* row = is_wide ? reinterpret_cast<const char*>(wide(number))
                              : reinterpret_cast<const char*>(narrow(number));
    const int64_t bytes = is_wide ? chunks_.count() * kCacheLine : bytes_;
    for (int64_t byte = 0; byte < bytes; byte += kCacheLine) __builtin_prefetch(row + byte);
    __builtin_prefetch(row + bytes - 1);  // a narrow row may begin anywhere in a line
  }
  // As it is looked up by a field.
  MASCOT_INLINE void look_up(uint32_t number, int64_t field, float* floats) const {
    if (number >= embedding_.wide_rows) return read(number, field, floats);
    const float* row = wide(number);
    const float scale = embedding_.levels > 0 ? embedding_.scales[field] : 0;
    for_chunks(chunks_, [&](int64_t c) MASCOT_INLINED {
      const Lanes lanes = load_floats(row + c * kLanes);
      store_floats(floats + c * kLanes,
                   scale > 0 ? at_levels(lanes, scale, embedding_.levels) : lanes);
    });
  }
  // w <- fma(-rate, sum, w)
  MASCOT_INLINE void add(uint32_t number, int64_t field, const float* sum, float rate,
                         uint64_t key) const {
    if (number < embedding_.wide_rows) return step(wide(number), sum, rate);
    alignas(kCacheLine) float floats[C ? C * kLanes : kMostComponents];
    read(number, field, floats);
    step(floats, sum, rate);
    write(narrow(number), floats, draw64(key, number));
  }
  MASCOT_INLINE void write(uint8_t* row, const float* floats, uint64_t draw) const {
    if constexpr (std::is_same_v<S, Int4>) {
      encode_int4(row, floats, draw, chunks_);
    } else if constexpr (!std::is_same_v<S, Int4Table>) {  // which is never written
      encode<Rounding::kStochastic>(S{}, reinterpret_cast<typename S::Element*>(row), table_,
                                    floats, Draws::of(draw), chunks_);
    }
  }

 private:
  float* wide(uint32_t number) const {
    return embedding_.wide + int64_t{number} * chunks_.count() * kLanes;
  }
  uint8_t* narrow(uint32_t number) const {
    return embedding_.narrow + (int64_t{number} - embedding_.wide_rows) * bytes_;
  }
  MASCOT_INLINE void read(uint32_t number, int64_t field, float* floats) const {
    const uint8_t* row = narrow(number);
    if constexpr (std::is_same_v<S, Int8>) {
      decode_whole(reinterpret_cast<const int8_t*>(row), floats, chunks_);
    } else if constexpr (std::is_same_v<S, Int4Table>) {
      decode_int4(row, embedding_.scales[field], floats, chunks_);
    } else {
      decode(S{}, reinterpret_cast<const typename S::Element*>(row), table_, floats, chunks_);
    }
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
  int64_t bytes_;
  Table table_;  // for the length of a scale's block
};

template <class Body>
void with_rows(const Embedding& embedding, const Body& body) {
  with_narrow(embedding.storage, [&](auto s) {
    with_dimension(embedding.dimension, [&](auto chunks) {
      body(Rows<decltype(s), decltype(chunks)::kConstant>(embedding, chunks));
    });
  });
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

void store_rows(const Embedding& embedding, int64_t first, int64_t count, const float* values,
                uint64_t key) {
  const int64_t bytes = row_bytes(embedding.storage, embedding.dimension);
  with_rows(embedding, [&](const auto& rows) {
    for (int64_t i = 0; i < count; ++i) {
      const int64_t number = first + i;
      rows.write(embedding.narrow + number * bytes, values + i * embedding.dimension,
                 draw64(key, static_cast<uint64_t>(number)));
    }
  });
}

// Part of body.h: rows of any storage to and from FP32.

#include "core/lanes/random_offset.h"

constexpr int64_t kCacheLine = 64;

// ---- chunks

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

// Calls body(chunks) with a constant number of chunks for the common k,
// else with the run-time number.
template <class Body>
void with_chunks(int64_t factors, const Body& body) {
  const int64_t count = chunk_count(factors);
  if constexpr (kHeldChunks == 0) return body(Chunks<0>{count});
  switch (count) {
    case 2:
      return body(Chunks<2>{count});
    case 3:
      return body(Chunks<3>{count});
    case 4:
      return body(Chunks<4>{count});
    case 5:
      return body(Chunks<5>{count});
    case 6:
      return body(Chunks<6>{count});
    case 8:
      return body(Chunks<8>{count});
    case 16:
      return body(Chunks<16>{count});
    default:
      return body(Chunks<0>{count});
  }
}

// ---- storages and roundings as types

template <class Body, class S, class... Others>
MASCOT_INLINE auto with_storage_in(StorageList<S, Others...>, Storage storage, const Body& body) {
  if constexpr (sizeof...(Others) == 0) {
    return body(S{});
  } else {
    if (storage == kCode<S>) return body(S{});
    return with_storage_in(StorageList<Others...>{}, storage, body);
  }
}
template <class Body>
MASCOT_INLINE auto with_storage(Storage storage, const Body& body) {
  return with_storage_in(Storages{}, storage, body);
}

using Nearest = std::integral_constant<Rounding, Rounding::kNearest>;
using Stochastic = std::integral_constant<Rounding, Rounding::kStochastic>;

template <class Body>
void with_rounding(Rounding rounding, const Body& body) {
  return rounding == Rounding::kNearest ? body(Nearest{}) : body(Stochastic{});
}

// Factors of the first chunks. They are read: from memory, a broadcast is part of the
// multiplication; that of a constant takes two instructions.
constexpr int64_t kFactors = 16;
constexpr std::array<uint32_t, kFactors> dither_factors() {
  std::array<uint32_t, kFactors> factors = {};
  for (int64_t c = 0; c < kFactors; ++c) factors[c] = dither_factor(c);
  return factors;
}
constexpr std::array<uint32_t, kFactors> kDitherFactors = dither_factors();

// The draws of a row's store (dither.h), sixteen at a time.
class Draws {
 public:
  MASCOT_INLINE static Draws of_user(const Task& task, int64_t i) { return {of_rating(task, i)}; }
  MASCOT_INLINE static Draws of_item(const Task& task, int64_t i) {
    return {of_item(of_rating(task, i))};
  }
  // The item's draws of a chunk from the user's.
  MASCOT_INLINE static Words of_item(const Words& of_user) {
    return shift_left<kDitherShift>(of_user);
  }
  MASCOT_INLINE static Draws none() { return {all(0)}; }
  // Those that follow from 64 random bits.
  MASCOT_INLINE static Draws of(uint64_t draw) {
    const Words lanes = words(static_cast<uint32_t>(draw), kDitherStep);
    return {fold(multiply(fold(lanes), all(static_cast<uint32_t>(draw >> 32) | 1)))};
  }
  MASCOT_INLINE Words chunk(int64_t c) const {
    return multiply(words_, all(c < kFactors ? factors_[c] : dither_factor(c)));
  }

 private:
  MASCOT_INLINE Draws(Words words) : words_(words) {
    __asm__("" : "+r"(factors_));  // or the compiler would see constants
  }
  MASCOT_INLINE static Words of_rating(const Task& task, int64_t i) {
    return of(draw64(task.dither.key, static_cast<uint64_t>(i))).words_;
  }

  Words words_;
  const uint32_t* factors_ = kDitherFactors.data();
};

// ---- rows; floats: [chunks * kLanes]

template <class S, int C>
MASCOT_INLINE void decode(S, const typename S::Element* row, const Table&, float* floats,
                          Chunks<C> chunks) {
  for_chunks(chunks, [&](int64_t c) MASCOT_INLINED {
    store_floats(floats + c * kLanes, load(S{}, row + c * kLanes));
  });
}
template <Rounding R, class S, int C>
MASCOT_INLINE void encode(S, typename S::Element* row, const Table&, const float* floats,
                          const Draws& draws, Chunks<C> chunks) {
  for_chunks(chunks, [&](int64_t c) MASCOT_INLINED {
    store<R>(S{}, row + c * kLanes, load_floats(floats + c * kLanes), draws.chunk(c));
  });
}

template <class Byte>
auto* scales_of(Byte* row, int64_t chunks) {
  using Float = std::conditional_t<std::is_const_v<Byte>, const float, float>;
  return reinterpret_cast<Float*>(row + chunks * kLanes);
}

template <int C>
MASCOT_INLINE void decode(Int8, const int8_t* row, const Table& table, float* floats,
                          Chunks<C> chunks) {
  const float* scale = scales_of(row, chunks.count());
  for (int64_t c = 0; c < chunks.count(); ++scale) {
    const Lanes lanes = broadcast(*scale);
    for (const int64_t end = std::min(c + table.scale_chunks, chunks.count()); c < end; ++c) {
      store_floats(floats + c * kLanes, multiply(load_int8(row + c * kLanes), lanes));
    }
  }
}

// Ordered as the magnitudes are, infinity and NaN last.
MASCOT_INLINE Words magnitude_bits(const Lanes& a) { return both(words_of(a), all(0x7fffffffu)); }

// Rounds chunks first .. end - 1, which have up to kLanes scales of their own. Their magnitudes
// come first, then all their scales at once: one after the other, each block would wait for its
// divisions.
template <Rounding R>
MASCOT_INLINE void encode_blocks(int8_t* row, float* scales, const float* floats,
                                 const Draws& draws, int64_t first, int64_t end,
                                 int64_t scale_chunks) {
  alignas(kCacheLine) float largest[kLanes] = {}, rounded[kLanes], steps[kLanes];
  int64_t count = 0;
  for (int64_t c = first; c < end; ++count) {
    Words most = all(0);
    for (const int64_t next = std::min(c + scale_chunks, end); c < next; ++c) {
      most = maximum(most, magnitude_bits(load_floats(floats + c * kLanes)));
    }
    largest[count] = float_of(highest(most));
  }
  const Lanes most = load_floats(largest);
  const Words exact = words_of(divide(most, broadcast(127)));
  const Words cut = both(add(exact, all(Int8::kScaleRounding)), all(Int8::kScaleMask));
  const Lanes scale = zero_below(most, kSmallestBlock, floats_of(cut));
  store_floats(rounded, scale);
  store_floats(steps, zero_below(scale, FLT_MIN, divide(broadcast(1), scale)));
  std::memcpy(scales, rounded, static_cast<std::size_t>(count) * sizeof(float));
  count = 0;
  for (int64_t c = first; c < end; ++count) {
    const Lanes step = broadcast(steps[count]);
    for (const int64_t next = std::min(c + scale_chunks, end); c < next; ++c) {
      Lanes offset = broadcast(Int8::kHalfStep);
      if constexpr (R == Rounding::kStochastic) {
        offset = random_offset(draws.chunk(c), Int8::kNoDraw);
      }
      store_int8(row + c * kLanes, fma(load_floats(floats + c * kLanes), step, offset));
    }
  }
}
template <Rounding R, int C>
MASCOT_INLINE void encode(Int8, int8_t* row, const Table& table, const float* floats,
                          const Draws& draws, Chunks<C> chunks) {
  const int64_t count = chunks.count(), at_once = table.scale_chunks * kLanes;
  float* scales = scales_of(row, count);
  for (int64_t c = 0; c < count; c += at_once, scales += kLanes) {
    const int64_t end = std::min(c + at_once, count);
    encode_blocks<R>(row, scales, floats, draws, c, end, table.scale_chunks);
  }
}

template <int C>
void decode(const void* row, const Table& table, Storage storage, float* floats, Chunks<C> chunks) {
  with_storage(storage, [&](auto s) MASCOT_INLINED {
    decode(s, static_cast<const typename decltype(s)::Element*>(row), table, floats, chunks);
  });
}
template <Rounding R, int C>
void encode(void* row, const Table& table, Storage storage, const float* floats, const Draws& draws,
            Chunks<C> chunks) {
  with_storage(storage, [&](auto s) MASCOT_INLINED {
    encode<R>(s, static_cast<typename decltype(s)::Element*>(row), table, floats, draws, chunks);
  });
}

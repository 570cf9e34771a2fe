// Part of kernel_body.h: rows of any storage to and from FP32.
//
// Int8: a scale for every block of components, 1/127 of the largest magnitude among them, cut to 17
// bits; a component is x / scale, rounded. So cut, 127 and every other multiple of a scale that a
// row holds is exact in FP32, and a row that has not changed is stored as it was.

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

// ---- rounding

using Nearest = std::integral_constant<Rounding, Rounding::kNearest>;
using Stochastic = std::integral_constant<Rounding, Rounding::kStochastic>;

// Calls body with a Rounding as a type.
template <class Body>
void with_rounding(Rounding rounding, const Body& body) {
  return rounding == Rounding::kNearest ? body(Nearest{}) : body(Stochastic{});
}

// The draws of a row's store (dither.h), sixteen at a time.
class Draws {
 public:
  MASCOT_INLINE static Draws of_user(const Task& task, int64_t i) { return {of_rating(task, i)}; }
  MASCOT_INLINE static Draws of_item(const Task& task, int64_t i) {
    return {shift_left<kDitherShift>(of_rating(task, i))};
  }
  MASCOT_INLINE static Draws none() { return {words(0, 0)}; }
  MASCOT_INLINE Words chunk(int64_t c) const { return multiply(words_, dither_factor(c)); }

 private:
  MASCOT_INLINE Draws(Words words) : words_(words) {}
  MASCOT_INLINE static Words of_rating(const Task& task, int64_t i) {
    const uint64_t draw = draw64(task.dither.key, static_cast<uint64_t>(i));
    const Words lanes = words(static_cast<uint32_t>(draw), kDitherStep);
    return fold(multiply(fold(lanes), static_cast<uint32_t>(draw >> 32) | 1));
  }

  Words words_;
};

// ---- int8

template <class Byte>
auto* scales_of(Byte* row, int64_t chunks) {
  using Float = std::conditional_t<std::is_const_v<Byte>, const float, float>;
  return reinterpret_cast<Float*>(row + chunks * kLanes);
}

// Rounds chunks first .. end - 1, which have up to kLanes scales of their own. Their magnitudes
// come first, then all their scales at once: one after the other, each block would wait for its
// divisions.
template <Rounding R>
MASCOT_INLINE void encode_blocks(int8_t* row, float* scales, const float* from, const Draws& draws,
                                 int64_t first, int64_t end, int64_t scale_chunks) {
  alignas(kCacheLine) uint32_t largest[kLanes] = {};
  alignas(kCacheLine) float steps[kLanes];
  int64_t count = 0;
  for (int64_t c = first; c < end; ++count) {
    Words most = words(0, 0);
    for (const int64_t next = std::min(c + scale_chunks, end); c < next; ++c) {
      most = maximum(most, magnitude_bits(load_floats(from + c * kLanes)));
    }
    largest[count] = highest(most);
  }
  const Lanes scale = int8_scales(load_words(largest));
  store_floats(steps, int8_steps(scale));
  alignas(kCacheLine) float all[kLanes];
  store_floats(all, scale);
  std::memcpy(scales, all, static_cast<std::size_t>(count) * sizeof(float));
  count = 0;
  for (int64_t c = first; c < end; ++count) {
    const Lanes step = broadcast(steps[count]);
    for (const int64_t next = std::min(c + scale_chunks, end); c < next; ++c) {
      // 128 and half a step, or a random part of one: cutting off then rounds a positive number.
      const Lanes offset =
          R == Rounding::kNearest ? broadcast(128.5f) : int8_offsets(draws.chunk(c));
      store_int8(row + c * kLanes, fma(load_floats(from + c * kLanes), step, offset));
    }
  }
}

template <Rounding R, int C>
MASCOT_INLINE void encode_int8(int8_t* row, const Table& table, const float* from,
                               const Draws& draws, Chunks<C> chunks) {
  const int64_t count = chunks.count(), at_once = table.scale_chunks * kLanes;
  float* scales = scales_of(row, count);
  for (int64_t c = 0; c < count; c += at_once, scales += kLanes) {
    encode_blocks<R>(row, scales, from, draws, c, std::min(c + at_once, count), table.scale_chunks);
  }
}

template <int C>
MASCOT_INLINE void decode_int8(const int8_t* row, const Table& table, float* to, Chunks<C> chunks) {
  const float* scale = scales_of(row, chunks.count());
  for (int64_t c = 0; c < chunks.count(); ++scale) {
    const Lanes lanes = broadcast(*scale);
    for (const int64_t end = std::min(c + table.scale_chunks, chunks.count()); c < end; ++c) {
      store_floats(to + c * kLanes, multiply(load_int8(row + c * kLanes), lanes));
    }
  }
}

// ---- rows of any storage

// to: [chunks * kLanes], as from below.
template <int C>
void decode(const void* row, const Table& table, Storage storage, float* to, Chunks<C> chunks) {
  switch (storage) {
    case Storage::kFloat32:
      std::memcpy(to, row, static_cast<std::size_t>(chunks.count() * kLanes) * sizeof(float));
      return;
    case Storage::kFloat16:
      for_chunks(chunks, [&](int64_t c) MASCOT_INLINED {
        const auto* halves = static_cast<const uint16_t*>(row) + c * kLanes;
        store_floats(to + c * kLanes, Float16<Rounding::kNearest>::load(halves));
      });
      return;
    case Storage::kInt8:
      decode_int8(static_cast<const int8_t*>(row), table, to, chunks);
  }
}

template <Rounding R, int C>
void encode(void* row, const Table& table, Storage storage, const float* from, const Draws& draws,
            Chunks<C> chunks) {
  switch (storage) {
    case Storage::kFloat32:
      std::memcpy(row, from, static_cast<std::size_t>(chunks.count() * kLanes) * sizeof(float));
      return;
    case Storage::kFloat16:
      for_chunks(chunks, [&](int64_t c) MASCOT_INLINED {
        auto* halves = static_cast<uint16_t*>(row) + c * kLanes;
        Float16<R>::store(halves, load_floats(from + c * kLanes), draws.chunk(c));
      });
      return;
    case Storage::kInt8:
      encode_int8<R>(static_cast<int8_t*>(row), table, from, draws, chunks);
  }
}

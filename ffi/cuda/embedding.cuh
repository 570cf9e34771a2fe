// Kernels of click models' tables. A tile of 4 to 32 lanes shares a row: a lane has four
// consecutive components, and in rows of more than 128 four of every chunk of 128. Rows are
// numbered, stored and rounded as on the CPU, to the same bits.
//
// Equal rows of a batch come sorted, one behind the other. The tile that finds the first of them
// sums their gradients in the batch's order and writes the row, which nobody else touches: a row's
// bytes are its own, and no access is wider than what all rows of its storage are aligned to.
#pragma once

#include <cmath>
#include <cstdint>

#include "core/embedding/kernel.h"
#include "core/lanes/single.h"
#include "cuda/model.h"
#include "cuda/rows.cuh"

namespace mascot::single {
#include "core/embedding/arithmetic.h"
}  // namespace mascot::single

namespace mascot::cuda {

inline constexpr unsigned kEmbeddingThreads = 256;

using Quad = Vector<4>;

template <RowStorage S>
inline constexpr int kComponentBits = static_cast<int>(traits(S).bits);
template <RowStorage S>
inline constexpr int kScaleBytes = static_cast<int>(traits(S).bytes);

// ---- a tier's storage, the same for all its rows, as a type

template <RowStorage S>
using StorageConstant = std::integral_constant<RowStorage, S>;

// Calls body(storage) with one that rows are written in.
template <class Body>
__device__ auto with_written(RowStorage storage, const Body& body) {
  switch (storage) {
    case RowStorage::kFloat32:
      return body(StorageConstant<RowStorage::kFloat32>{});
    case RowStorage::kFloat16:
      return body(StorageConstant<RowStorage::kFloat16>{});
    case RowStorage::kInt8:
      return body(StorageConstant<RowStorage::kInt8>{});
    default:
      return body(StorageConstant<RowStorage::kInt4>{});
  }
}
// Calls body(storage) with any.
template <class Body>
__device__ auto with_row_storage(RowStorage storage, const Body& body) {
  if (storage == RowStorage::kInt4Table) return body(StorageConstant<RowStorage::kInt4Table>{});
  return with_written(storage, body);
}

// ---- tiles

// The lanes that share a row, and which of its components are this lane's.
struct Tile {
  int bits;  // of their number
  int dimension;

  MASCOT_HD explicit Tile(int64_t dimension)
      : bits(dimension <= 16   ? 2
             : dimension <= 32 ? 3
             : dimension <= 64 ? 4
                               : 5),
        dimension(static_cast<int>(dimension)) {}

  MASCOT_HD int lanes() const { return 1 << bits; }
  __device__ int lane() const { return static_cast<int>(threadIdx.x) & (lanes() - 1); }
  // The first of this lane's four of a chunk.
  __device__ int component(int chunk) const { return (chunk << bits | lane()) * 4; }
  __device__ bool reaches(int chunk) const { return component(chunk) < dimension; }
};

// Calls body(i) for i from 0 on, one for each tile. The tiles of a warp stay together, for some of
// what they do takes all its lanes: i may be count or more.
template <class Body>
__device__ void for_tiles(const Tile& tile, int64_t count, const Body& body) {
  const int64_t thread = int64_t{blockIdx.x} * kEmbeddingThreads + threadIdx.x;
  const int64_t tiles = int64_t{gridDim.x} * kEmbeddingThreads >> tile.bits;
  const int64_t of_warp = thread / kWarp * kWarp >> tile.bits;
  const int64_t within = (thread >> tile.bits) - of_warp;
  for (int64_t first = of_warp; first < count; first += tiles) body(first + within);
}

// This lane's components of a row in registers, in up to H chunks.
template <int H>
struct Quads {
  Quad at[H];
};

// Calls body(chunk) for each chunk that reaches this lane.
template <int H, class Body>
__device__ void for_quads(const Tile& tile, const Body& body) {
#pragma unroll
  for (int c = 0; c < H; ++c) {
    if (tile.reaches(c)) body(c);
  }
}

__device__ inline Quad load_quad(const float* floats) {
  return OnDevice<Float32>::decode<4>(load_words<4>(floats));
}
__device__ inline void store_quad(float* floats, const Quad& quad) {
  store_words(floats, OnDevice<Float32>::encode<4>(quad));
}

template <int H>
__device__ Quads<H> load_quads(const Tile& tile, const float* row) {
  Quads<H> quads = {};
  for_quads<H>(tile, [&](int c) { quads.at[c] = load_quad(row + tile.component(c)); });
  return quads;
}
template <int H>
__device__ void store_quads(const Tile& tile, float* row, const Quads<H>& quads) {
  for_quads<H>(tile, [&](int c) { store_quad(row + tile.component(c), quads.at[c]); });
}

// ---- rows

template <RowStorage S>
__device__ uint8_t* row_at(const Tier& tier, int64_t index, int64_t dimension) {
  return tier.rows + index * (dimension * kComponentBits<S> / 8 + kScaleBytes<S>);
}

// Four half bytes of a row in INT4, which begins at any multiple of two bytes.
__device__ inline Quad read_halves(const uint8_t* row, int component) {
  constexpr uint32_t kLarge = 0x4b000000u;  // 2^23, as OnDevice<Int8>::decode
  const uint8_t* bytes = row + component / 16 * 8 + component % 8;
  const uint32_t packed = load_half_word(bytes) | load_half_word(bytes + 2) << 16;
  Quad halves;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    halves.at[i] = float_of(kLarge | (packed >> (8 * i + (component & 8) / 2) & 15u)) - 0x1p23f;
  }
  return halves;
}

// Four components of a row; table_scale: of kInt4Table.
template <RowStorage S>
__device__ Quad read_quad(const uint8_t* row, const Tile& tile, int component, float table_scale) {
  if constexpr (S == RowStorage::kFloat32) {
    return load_quad(reinterpret_cast<const float*>(row) + component);
  } else if constexpr (S == RowStorage::kFloat16) {
    return OnDevice<Float16>::decode<4>(load_words<2>(row + 2 * component));
  } else if constexpr (S == RowStorage::kInt8) {
    const float scale = float_of(load_words<1>(row + tile.dimension).at[0]);
    return scaled(OnDevice<Int8>::decode<4>(load_words<1>(row + component)), scale);
  } else {
    Quad quad = read_halves(row, component);
    float scale = table_scale;
    if constexpr (S == RowStorage::kInt4) {
      scale = Int4::widened(static_cast<uint16_t>(load_half_word(row + tile.dimension / 2)));
    }
#pragma unroll
    for (float& x : quad.at) x = single::of_halves(x, scale);
    return quad;
  }
}

// The random bits of this lane's components of a row: core/dither.h.
class QuadDraws {
 public:
  __device__ QuadDraws(const Tile& tile, uint64_t draw) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      words_[i] = dither_word(draw, static_cast<uint32_t>(tile.component(0) % 16 + i));
    }
  }
  __device__ Words<4> of(int component) const {
    const uint32_t factor = dither_factor(component / 16);
    Words<4> draws;
#pragma unroll
    for (int i = 0; i < 4; ++i) draws.at[i] = words_[i] * factor;
    return draws;
  }

 private:
  uint32_t words_[4];
};

// The bits of the largest magnitude in a tile's row. Takes all lanes of the warp.
template <int H>
__device__ uint32_t largest_in_row(const Tile& tile, const Quads<H>& quads) {
  uint32_t most = 0;
#pragma unroll
  for (const Quad& quad : quads.at) {
#pragma unroll
    for (const float x : quad.at) most = max(most, bits_of(x) & 0x7fffffffu);
  }
  for (int distance = tile.lanes() / 2; distance > 0; distance /= 2) {
    most = max(most, __shfl_xor_sync(kAllLanes, most, distance));
  }
  return most;
}

// Four whole numbers plus 128, as x / scale is cut off behind a random part of a step.
__device__ inline Quad add_random_offsets(Quad quad, float steps_per_unit, const Words<4>& draws,
                                          uint32_t no_draw) {
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const float offset = single::random_offset(draws.at[i], no_draw);
    quad.at[i] = fmaf(quad.at[i], steps_per_unit, offset);
  }
  return quad;
}

// A row, rounded stochastically. write(row, tile, quads, draw, active) takes all lanes of the warp;
// tiles that are not active write nothing. What lies beyond the dimension is 0.
template <RowStorage S>
struct Writer;

template <>
struct Writer<RowStorage::kFloat32> {
  template <int H>
  static __device__ void write(uint8_t* row, const Tile& tile, const Quads<H>& quads, uint64_t,
                               bool active) {
    if (active) store_quads(tile, reinterpret_cast<float*>(row), quads);
  }
};

template <>
struct Writer<RowStorage::kFloat16> {
  template <int H>
  static __device__ void write(uint8_t* row, const Tile& tile, const Quads<H>& quads, uint64_t draw,
                               bool active) {
    if (!active) return;
    const QuadDraws draws(tile, draw);
    for_quads<H>(tile, [&](int c) {
      const int component = tile.component(c);
      const Words<4> words = draws.of(component);
      Quad rounded = quads.at[c];
#pragma unroll
      for (int i = 0; i < 4; ++i) rounded.at[i] = dithered_for_half(rounded.at[i], words.at[i]);
      store_words(row + 2 * component, OnDevice<Float16>::encode<4>(rounded));
    });
  }
};

template <>
struct Writer<RowStorage::kInt8> {
  template <int H>
  static __device__ void write(uint8_t* row, const Tile& tile, const Quads<H>& quads, uint64_t draw,
                               bool active) {
    const float scale = OnDevice<Int8>::scale_for(largest_in_row(tile, quads));
    if (!active) return;
    const float steps = OnDevice<Int8>::steps_per_unit(scale);
    const QuadDraws draws(tile, draw);
    for_quads<H>(tile, [&](int c) {
      const int component = tile.component(c);
      const Quad whole = add_random_offsets(quads.at[c], steps, draws.of(component), Int8::kNoDraw);
      store_words(row + component, OnDevice<Int8>::encode<4>(whole));
    });
    if (tile.lane() == 0) store_words(row + tile.dimension, Words<1>{{bits_of(scale)}});
  }
};

template <>
struct Writer<RowStorage::kInt4> {
  template <int H>
  static __device__ void write(uint8_t* row, const Tile& tile, const Quads<H>& quads, uint64_t draw,
                               bool active) {
    const float largest = float_of(largest_in_row(tile, quads));
    const uint16_t scale = Int4::scale(largest, draw);
    const float steps = Int4::steps_per_unit(largest);
    const QuadDraws draws(tile, draw);
#pragma unroll
    for (int c = 0; c < H; ++c) {
      const int component = tile.component(c);
      const uint32_t own =
          halves_of(add_random_offsets(quads.at[c], steps, draws.of(component), Int4::kNoDraw));
      // Two lanes have eight components from here in the high halves of this lane's bytes.
      const uint32_t high = __shfl_xor_sync(kAllLanes, own, 2);
      if (!active || !tile.reaches(c) || component % 16 >= 8) continue;
      uint8_t* bytes = row + component / 16 * 8 + component % 8;
      const uint32_t packed = own | high << 4;
      store_half_word(bytes, packed & 0xffffu);
      store_half_word(bytes + 2, packed >> 16);
    }
    if (active && tile.lane() == 0) store_half_word(row + tile.dimension / 2, scale);
  }

 private:
  // A half byte in each byte: the low half of what is 128 too much.
  static __device__ uint32_t halves_of(const Quad& whole) {
    uint32_t packed = 0;
#pragma unroll
    for (int i = 0; i < 4; ++i) packed |= (to_byte(whole.at[i]) & 15u) << 8 * i;
    return packed;
  }
};

// Writes a row of a tier as Writer does; index: of an active tile's row.
template <int H>
__device__ void write_row(const Tier& tier, int64_t dimension, int64_t index, const Tile& tile,
                          const Quads<H>& quads, uint64_t draw, bool active) {
  with_written(tier.storage, [&](auto storage) {
    constexpr RowStorage S = decltype(storage)::value;
    uint8_t* row = row_at<S>(tier, active ? index : 0, dimension);
    Writer<S>::write(row, tile, quads, draw, active);
  });
}

// ---- equal rows of a batch

__device__ inline bool is_first(const SortedLookups& sorted, int64_t i) {
  return i == 0 || sorted.rows[i - 1] != sorted.rows[i];
}

// The sum of the gradients of the row at i, the first of its equals. Several gradients are on their
// way at a time: a popular row has as many as the batch has impressions.
template <int H>
__device__ Quads<H> sum_gradients(const Tile& tile, const SortedLookups& sorted, int64_t i,
                                  const float* gradients) {
  constexpr int kAhead = H < 8 ? 6 / H : 1;
  const auto load = [&](int64_t at) {
    return load_quads<H>(tile, gradients + int64_t{sorted.places[at]} * tile.dimension);
  };
  const uint32_t number = sorted.rows[i];
  Quads<H> sum = load(i);
  bool more = true;
  for (++i; more; i += kAhead) {
    Quads<H> next[kAhead];
    bool same[kAhead];
#pragma unroll
    for (int a = 0; a < kAhead; ++a) {
      same[a] = i + a < sorted.count && sorted.rows[i + a] == number;
      if (same[a]) next[a] = load(i + a);
    }
#pragma unroll
    for (int a = 0; a < kAhead; ++a) {
      if (!same[a]) continue;
#pragma unroll
      for (int c = 0; c < H; ++c) {
#pragma unroll
        for (int v = 0; v < 4; ++v) sum.at[c].at[v] += next[a].at[c].at[v];
      }
    }
    more = same[kAhead - 1];
  }
  return sum;
}

// ---- kernels

// A row's tier and its index there.
struct Located {
  Tier tier;
  int64_t index;
};
__device__ inline Located locate(const Embedding& tables, uint32_t number) {
  if (number < tables.wide.count) return {tables.wide, number};
  return {tables.narrow, number - tables.wide.count};
}

__global__ void __launch_bounds__(kEmbeddingThreads)
    lookup_kernel(const __grid_constant__ Embedding tables, const Lookups lookups, float* values) {
  const Tile tile(tables.dimension);
  const int64_t count = lookups.batch * lookups.fields;
  for_tiles(tile, count, [&](int64_t i) {
    if (i >= count) return;
    const uint32_t number = lookups.rows[i];
    float* to = values + i * tables.dimension;
    if (number >= tables.rows()) {
      const Quad none = {{NAN, NAN, NAN, NAN}};
      for (int c = 0; tile.reaches(c); ++c) store_quad(to + tile.component(c), none);
      return;
    }
    const Located at = locate(tables, number);
    with_row_storage(at.tier.storage, [&](auto storage) {
      constexpr RowStorage S = decltype(storage)::value;
      const uint8_t* row = row_at<S>(at.tier, at.index, tables.dimension);
      const bool levels = S == RowStorage::kFloat32 && tables.levels > 0;
      const bool has_scale = S == RowStorage::kInt4Table || levels;
      const float scale = has_scale ? tables.scales[i % lookups.fields] : 0;
      for (int c = 0; tile.reaches(c); ++c) {
        const int component = tile.component(c);
        Quad quad = read_quad<S>(row, tile, component, scale);
        if (levels && scale > 0) {
#pragma unroll
          for (float& x : quad.at) x = single::at_levels(x, scale, tables.levels);
        }
        store_quad(to + component, quad);
      }
    });
  });
}

// Of rows up to 128 components, four thread blocks are half of what a multiprocessor can hold: 64
// registers a thread.
template <int H>
__global__ void __launch_bounds__(kEmbeddingThreads, H == 1 ? 4 : 1)
    update_rows_kernel(const __grid_constant__ Embedding tables, const SortedLookups sorted,
                       const float* gradients, const float* rate, const uint32_t* counters) {
  Tile tile(tables.dimension);
  const uint64_t key = rows_key(counters);
  const float minus_rate = -*rate;
  for_tiles(tile, sorted.count, [&](int64_t i) {
    const uint32_t number = i < sorted.count ? sorted.rows[i] : 0;
    const bool updates = i < sorted.count && number < tables.rows() && is_first(sorted, i);
    const bool wide = number < tables.wide.count;
    Quads<H> quads = {};
    if (updates) {
      const Quads<H> sum = sum_gradients<H>(tile, sorted, i, gradients);
      // Or the compiler would have this lane's places in rows of every storage ready before the
      // loop, and in rows of 1,024 components take half as many registers again.
      __asm__ volatile("" : "+r"(tile.bits));
      const Located at = locate(tables, number);
      with_written(at.tier.storage, [&](auto storage) {
        constexpr RowStorage S = decltype(storage)::value;
        const uint8_t* row = row_at<S>(at.tier, at.index, tables.dimension);
        for_quads<H>(tile, [&](int c) {
          const Quad own = read_quad<S>(row, tile, tile.component(c), 0);
#pragma unroll
          for (int v = 0; v < 4; ++v) {
            quads.at[c].at[v] = single::stepped(own.at[v], sum.at[c].at[v], minus_rate);
          }
        });
      });
    }
    // The tiles of a warp meet again: they have read all of their rows.
    const auto write = [&](const Tier& tier, int64_t first, bool active) {
      if (!__any_sync(kAllLanes, active)) return;
      write_row(tier, tables.dimension, number - first, tile, quads, draw64(key, number), active);
    };
    write(tables.wide, 0, updates && wide);
    write(tables.narrow, tables.wide.count, updates && !wide);
  });
}

template <int H>
__global__ void __launch_bounds__(kEmbeddingThreads)
    coalesce_kernel(const SortedLookups sorted, int64_t dimension, const float* gradients,
                    float* sums) {
  const Tile tile(dimension);
  for_tiles(tile, sorted.count, [&](int64_t i) {
    if (i >= sorted.count) return;
    Quads<H> sum = {};
    if (is_first(sorted, i)) sum = sum_gradients<H>(tile, sorted, i, gradients);
    store_quads(tile, sums + int64_t{sorted.places[i]} * dimension, sum);
  });
}

template <int H>
__global__ void __launch_bounds__(kEmbeddingThreads)
    store_rows_kernel(const Tier tier, int64_t dimension, const float* values, int64_t count,
                      const uint32_t* counters) {
  const Tile tile(dimension);
  const uint64_t key = first_rows_key(counters);
  const int64_t first = counters[1];
  for_tiles(tile, count, [&](int64_t i) {
    const int64_t number = first + i;
    const bool active = i < count && number < tier.count;
    const auto quads = active ? load_quads<H>(tile, values + i * dimension) : Quads<H>{};
    write_row(tier, dimension, number, tile, quads, draw64(key, static_cast<uint64_t>(number)),
              active);
  });
}

// Calls body(chunks) with a constant that holds all of a row's.
template <class Body>
auto with_quads(int64_t dimension, const Body& body) {
  if (dimension <= 128) return body(std::integral_constant<int, 1>{});
  if (dimension <= 256) return body(std::integral_constant<int, 2>{});
  return body(std::integral_constant<int, kMostComponents / 128>{});
}

}  // namespace mascot::cuda

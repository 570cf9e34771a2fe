// Part of body.h: second moments of rows, and rows times a basis (core/projection.h).

// Rows whose moments are added up in FP32, before they go to sums in double: together they lie in
// the cache next to the core.
constexpr int64_t kMomentRows = 128;
// Entries of the moments that are added up together, as registers allow.
constexpr int kMomentTile = kHeldChunks >= 8 ? 4 : 1;

// Adds entries (i .. i + 3, chunks j .. j + C - 1) of the moments of rows to sums [width, width].
template <int C>
MASCOT_INLINE void add_moments_at(const float* rows, const float* weights, int64_t count,
                                  int64_t width, int64_t i, int64_t j, double* sums) {
  Lanes tile[4][C];
  for (auto& own : tile) {
    for (Lanes& lanes : own) lanes = broadcast(0);
  }
  for (int64_t r = 0; r < count; ++r) {
    const float* row = rows + r * width;
    Lanes x[C];
    for_chunks(Chunks<C>{},
               [&](int64_t c) MASCOT_INLINED { x[c] = load_floats(row + (j + c) * kLanes); });
    for_chunks(Chunks<4>{}, [&](int64_t k) MASCOT_INLINED {
      const Lanes weighted = broadcast(weights[r] * row[i + k]);
      for_chunks(Chunks<C>{},
                 [&](int64_t c) MASCOT_INLINED { tile[k][c] = fma(weighted, x[c], tile[k][c]); });
    });
  }
  alignas(kCacheLine) float lanes[kLanes];
  for (int64_t k = 0; k < 4; ++k) {
    for (int64_t c = 0; c < C; ++c) {
      store_floats(lanes, tile[k][c]);
      double* sum = sums + (i + k) * width + (j + c) * kLanes;
      for (int64_t lane = 0; lane < kLanes; ++lane) sum[lane] += static_cast<double>(lanes[lane]);
    }
  }
}

void add_moments(const Side& side, int64_t factors, const float* weights, int64_t begin,
                 int64_t end, double* sums) {
  const Chunks<0> chunks{chunk_count(factors)};
  const int64_t width = chunks.count() * kLanes;
  RowBuffer buffer(kMomentRows * width);
  float* rows = buffer.data();
  for (; begin < end; begin += kMomentRows) {
    const int64_t count = std::min(kMomentRows, end - begin);
    for (int64_t r = 0; r < count; ++r) {
      const auto row = static_cast<uint32_t>(begin + r);
      const Storage storage = side.groups.storages()[row];
      decode(side.row(storage, row), side.table(storage), storage, rows + r * width, chunks);
    }
    for (int64_t i = 0; i < width; i += 4) {
      int64_t j = i / kLanes;  // the moments are symmetric
      for (; j + kMomentTile <= chunks.count(); j += kMomentTile) {
        add_moments_at<kMomentTile>(rows, weights + begin, count, width, i, j, sums);
      }
      for (; j < chunks.count(); ++j) {
        add_moments_at<1>(rows, weights + begin, count, width, i, j, sums);
      }
    }
  }
}

// Component a of the result: the sum of x[d] basis[d, a] by fused multiply-add in 4 partial sums, d
// in partial d mod 4, in rising d; then (0 + 2) + (1 + 3).
MASCOT_INLINE void multiply_row(const float* x, const Projection& projection, Chunks<0> from,
                                Chunks<0> to, float* out) {
  const int64_t width = to.count() * kLanes;
  for (int64_t a = 0; a < to.count(); ++a) {
    Lanes partial[4] = {broadcast(0), broadcast(0), broadcast(0), broadcast(0)};
    const float* column = projection.basis + a * kLanes;
    for (int64_t d = 0; d < from.count() * kLanes; d += 4) {
      for_chunks(Chunks<4>{}, [&](int64_t j) MASCOT_INLINED {
        partial[j] = fma(broadcast(x[d + j]), load_floats(column + (d + j) * width), partial[j]);
      });
    }
    store_floats(out + a * kLanes, add(add(partial[0], partial[2]), add(partial[1], partial[3])));
  }
}

void project(const Side& from, const Side& to, const Projection& projection, int64_t begin,
             int64_t end) {
  const Chunks<0> wide{chunk_count(projection.factors)}, narrow{chunk_count(projection.kept)};
  RowBuffer floats(projection.factors), projected(projection.kept);
  for (int64_t row = begin; row < end; ++row) {
    const auto number = static_cast<uint32_t>(row);
    const Storage storage = from.groups.storages()[number];
    decode(from.row(storage, number), from.table(storage), storage, floats.data(), wide);
    multiply_row(floats.data(), projection, wide, narrow, projected.data());
    const Table& table = to.table(storage);
    void* data = to.row(storage, number);
    std::memset(data, 0, static_cast<std::size_t>(table.stride * traits(storage).bytes));
    const auto [rounding, key] = projection.dither;
    const Draws draws = Draws::of(draw64(key, projection.first_draw + static_cast<uint64_t>(row)));
    with_rounding(rounding, [&](auto how) {
      encode<how>(data, table, storage, projected.data(), draws, narrow);
    });
  }
}

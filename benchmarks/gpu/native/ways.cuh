// Ways to move a rating's rows, to be compared on a GPU before one of them becomes the kernels':
// the update as in cuda/update.cuh, to nearest, where all rows have one storage; and the same
// accesses without its arithmetic, which bound it.
#pragma once

#include <cstdint>
#include <type_traits>

#include "bulk.cuh"
#include "cuda/kernels.cuh"

namespace mascot::cuda {

enum class Way {
  kRead,    // rows are read only; no update
  kReduce,  // changes are added by reductions of 16 bytes, as the kernels do
  kStore,   // rows are stored
  kBulk,    // changes are added by bulk reductions from shared memory, one a row
};

// A variant's number of chunks: for k = 65 to 128, with which targets are set.
inline constexpr int kVariantChunks = 4;

// Components that a lane holds in 16 bytes.
template <class S>
inline constexpr int kComponents = 16 / kBytes<S>;

// Bytes of shared memory for a block's rows on their way to bulk reductions: two for each tile.
template <int C, class S, Way W>
constexpr int slot_bytes() {
  return W == Way::kBulk ? C * 32 * kBytes<S> : 0;
}
template <int C, class S, Way W>
constexpr int64_t slots_bytes() {
  return int64_t{2} * kThreads / kTile * slot_bytes<C, S, W>();
}

// Takes the words that a tile's lanes have for rows to these. All lanes of a warp call wait(), then
// put() where there is something, then send(); and drain() at the end.
template <int C, class S, Way W>
class Writer {
 public:
  static constexpr bool kAdds = W != Way::kStore;

  // memory: of the block, slots_bytes() of it.
  __device__ explicit Writer(char* memory)
      : slots_(memory + static_cast<int>(threadIdx.x) / kTile * 2 * kSlot) {}

  // Until words of the last rating are on their way.
  __device__ void wait() const {
    if constexpr (W != Way::kBulk) return;
    if (leads()) wait_for_bulk_reads();
    __syncwarp();
  }

  template <RatedSide Rated, class L>
  __device__ void put(const Place<L>& place, int chunk, const Words<4>& words) {
    char* const row = place.template at<S>(chunk);
    if constexpr (W == Way::kRead) {
      for (const uint32_t word : words.at) read_ ^= word;
    } else if constexpr (W == Way::kStore) {
      store_words(row, words);
    } else if constexpr (W == Way::kReduce) {
      add(S{}, row, words);
    } else {
      const int at = (chunk * kTile + static_cast<int>(threadIdx.x) % kTile) * 16;
      *reinterpret_cast<Words<4>*>(slot<Rated>() + at) = words;
    }
  }

  template <class L>
  __device__ void send(const Place<L>& item, bool has_item, const Place<L>& user, bool has_user,
                       int factors) const {
    if constexpr (W != Way::kBulk) return;
    publish_to_bulk();
    __syncwarp();
    if (!leads()) return;
    const int bytes = (factors + kComponents<S> - 1) / kComponents<S> * 16;
    if (has_item) add_in_bulk(S{}, item.template at<S>(0), slot<RatedSide::kItem>(), bytes);
    if (has_user) add_in_bulk(S{}, user.template at<S>(0), slot<RatedSide::kUser>(), bytes);
    commit_bulk();
  }

  // scratch: where something that depends on all that was read may go, or the compiler would leave
  // the reading out.
  __device__ void drain(uint32_t* scratch) const {
    if constexpr (W == Way::kBulk) wait_for_bulk();
    if constexpr (W == Way::kRead) {
      if (read_ == 0x9e3779b9u) *scratch = read_;
    }
  }

 private:
  static constexpr int kSlot = slot_bytes<C, S, W>();

  static __device__ bool leads() { return threadIdx.x % kTile == 0; }
  template <RatedSide Rated>
  __device__ char* slot() const {
    return slots_ + (Rated == RatedSide::kUser ? kSlot : 0);
  }
  static __device__ void add(Float32, char* row, const Words<4>& words) {
    add_floats(reinterpret_cast<float*>(row), OnDevice<Float32>::decode<4>(words));
  }
  static __device__ void add(Float16, char* row, const Words<4>& words) { add_halves(row, words); }

  char* slots_;  // this tile's
  uint32_t read_ = 0;
};

// Fetches the next rating's user into L2, where there is one: in one storage a plan has the order
// of its piece.
template <class S, class L>
__device__ void prefetch_next(const Pass& pass, const Planned& planned, const Piece& piece) {
  if (threadIdx.x % kTile != 0 || planned.number(piece) + 1 >= piece.begin + piece.size) return;
  const Place<L> next = user_place<L>(pass, (&planned)[1], pass.shape);
  prefetch_row(next.template at<S>(0), (pass.shape.factors * kBytes<S> + 15) / 16 * 16);
}

// Visits ratings to train on them.
template <int C, class S, Way W, bool kPrefetch>
struct UpdateInWay {
  using Stored = StorageList<S>;
  template <int V>
  using User = HeldRow<Layout<V, C, Stored>>;

  const Pass& pass;
  Words<4>* begin;  // this thread's place in shared memory for its part of a row
  const Common& common;
  Writer<C, S, W> writer;

  template <class L>
  __device__ void rating(HeldRow<L>& p, const Planned& planned, const Piece& piece,
                         const Turn& turn) {
    if constexpr (kPrefetch) prefetch_next<S, L>(pass, planned, piece);
    const RowShape& shape = pass.shape;
    const Place<L> item = item_place<L>(pass, planned, shape);
    HeldRow<L> q;
    load_rows(pass, planned, turn, shape, item, p, q, [&](const Loaded<L>& user) {
      if constexpr (!Writer<C, S, W>::kAdds) return;
      L::for_chunks(shape.factors, [&](int c) { begin[c * kThreads] = user.words[c]; });
    });
    const float error = planned.rating - dot<L>(p, q, shape.factors);
    const Steps by(common.rates, error);
    writer.wait();
    L::for_chunks(shape.factors, [&](int c) {
      const auto x = p[c], y = q[c];
      p[c] = updated(x, y, by.step, by.user_decay);
      q[c] = updated(y, x, by.step, by.item_decay);
      if (!turn.active || !L::reaches(shape.factors, c)) return;
      writer.template put<RatedSide::kItem>(item, c, to_write(y, q[c]));
    });
    const Place<L> user = user_place<L>(pass, planned, shape);
    if (turn.last) {
      L::for_chunks(shape.factors, [&](int c) {
        if (!L::reaches(shape.factors, c)) return;
        Vector<L::kVector> before = {};
        if constexpr (Writer<C, S, W>::kAdds) {
          before = OnDevice<S>::template decode<L::kVector>(begin[c * kThreads]);
        }
        writer.template put<RatedSide::kUser>(user, c, to_write(before, p[c]));
      });
    }
    writer.send(item, turn.active, user, turn.last, shape.factors);
  }

 private:
  template <int V>
  static __device__ Words<4> to_write(const Vector<V>& before, Vector<V> after) {
    if constexpr (Writer<C, S, W>::kAdds) {
#pragma unroll
      for (int v = 0; v < V; ++v) after.at[v] -= before.at[v];
    }
    return OnDevice<S>::template encode<V>(after);
  }
};

// Visits ratings to read their rows, and to write what was read or to add zero.
template <int C, class S, Way W>
struct MoveInWay {
  using Stored = StorageList<S>;
  template <int V>
  using User = Loaded<Layout<V, C, Stored>>;

  const Pass& pass;
  uint32_t zero;  // the compiler must not know it: it would not read what is to be added to
  Writer<C, S, W> writer;

  template <class L>
  __device__ void rating(Loaded<L>& p, const Planned& planned, const Piece&, const Turn& turn) {
    const RowShape& shape = pass.shape;
    const Place<L> item = item_place<L>(pass, planned, shape),
                   user = user_place<L>(pass, planned, shape);
    const Loaded<L> q = load_row(item, shape, turn.active);
    if (turn.first) p = load_row(user, shape, true);
    writer.wait();
    L::for_chunks(shape.factors, [&](int c) {
      if (!L::reaches(shape.factors, c)) return;
      if (turn.active) writer.template put<RatedSide::kItem>(item, c, to_write(q.words[c]));
      if (turn.last) writer.template put<RatedSide::kUser>(user, c, to_write(p.words[c]));
    });
    writer.send(item, turn.active, user, turn.last, shape.factors);
  }

 private:
  __device__ Words<4> to_write(Words<4> words) const {
    if constexpr (W == Way::kReduce || W == Way::kBulk) {
#pragma unroll
      for (uint32_t& word : words.at) word &= zero;
    }
    return words;
  }
};

// Chunks of a user's row that wait in shared memory for the end of a run.
template <class S, Way W, bool kUpdates>
inline constexpr int kKept =
    kUpdates && W != Way::kStore ? kVariantChunks * kBytes<S> / kBytes<Float32> : 0;

// kBlocks: that a multiprocessor should hold at least. scratch: 4 bytes.
template <class S, Way W, bool kUpdates, bool kPrefetch, int kBlocks>
__global__ void __launch_bounds__(kThreads, kBlocks)
    way_kernel(const __grid_constant__ Pass pass, const Training training, uint32_t zero,
               uint32_t* scratch) {
  constexpr int C = kVariantChunks;
  MASCOT_SHARED_MEMORY(memory);
  const Shared shared(memory, pass, kKept<S, W, kUpdates>);
  prepare(pass, shared, {epoch_key(training, Stream::kBlockOrder), 0}, {},
          {training.rates[0], training.rates[1], training.rates[2]});
  const Writer<C, S, W> writer(memory + shared.bytes());
  const auto run = [&](auto visit) {
    walk(pass, *shared.common(), shared.walk(), visit);
    visit.writer.drain(scratch);
  };
  if constexpr (kUpdates) {
    run(UpdateInWay<C, S, W, kPrefetch>{pass, shared.begin_of_runs(), *shared.common(), writer});
  } else {
    run(MoveInWay<C, S, W>{pass, zero, writer});
  }
}

// A variant as a type.
template <class S, Way W, bool kUpdates, bool kPrefetch>
struct Variant {
  static constexpr bool kHasUpdate = kUpdates;
  template <int kBlocks>
  static constexpr auto kernel = way_kernel<S, W, kUpdates, kPrefetch, kBlocks>;

  // Bytes of a block's shared memory.
  static int64_t shared(const Pass& pass) {
    return Shared(nullptr, pass, kKept<S, W, kUpdates>).bytes() +
           slots_bytes<kVariantChunks, S, W>();
  }
};

template <class S, bool kUpdates, bool kPrefetch, class Body>
bool with_way(Way way, const Body& body) {
  const auto call = [&](auto variant) {
    body(variant);
    return true;
  };
  switch (way) {
    case Way::kRead:
      if constexpr (!kUpdates) return call(Variant<S, Way::kRead, false, false>{});
      return false;
    case Way::kReduce:
      return call(Variant<S, Way::kReduce, kUpdates, kPrefetch>{});
    case Way::kStore:
      return call(Variant<S, Way::kStore, kUpdates, kPrefetch>{});
    case Way::kBulk:
      return call(Variant<S, Way::kBulk, kUpdates, kPrefetch>{});
  }
  return false;
}

// What to do with a rating. prefetch: of an update only.
struct Choice {
  Way way;
  bool updates;
  bool prefetch;
};

// Calls body(Variant) with what was chosen, for the storage of the rows. False if there is no such
// variant.
template <class Body>
bool with_variant(const Pass& pass, const Choice& choice, const Body& body) {
  const auto of = [&](auto s) {
    using S = decltype(s);
    if (!choice.updates) return !choice.prefetch && with_way<S, false, false>(choice.way, body);
    return choice.prefetch ? with_way<S, true, true>(choice.way, body)
                           : with_way<S, true, false>(choice.way, body);
  };
  if (pass.shape.factors > kVariantChunks * 32) return false;
  const auto has = [&](Storage storage) {
    return pass.users.tables[static_cast<int>(storage)].data != nullptr;
  };
  return has(kCode<Float32>) ? of(Float32{}) : has(kCode<Float16>) && of(Float16{});
}

}  // namespace mascot::cuda

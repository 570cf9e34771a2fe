// Part of kernel_body.h: the way through a block of ratings.

// Writes the byte of each rating of a block: ahead of the loop over rows, which then neither
// searches nor hashes, and in passes that vectorise.
void make_plan(const Task& task, Block block) {
  const StorageMap &users = task.users->groups.storages(), &items = task.items->groups.storages();
  const auto bit = [](Storage storage, uint8_t bit) {
    return static_cast<uint8_t>(storage == Storage::kFloat16 ? bit : 0);
  };
  const int64_t size = block.end - block.begin;
  const uint32_t* user = task.ratings->user + block.begin;
  const uint32_t* item = task.ratings->item + block.begin;
  uint8_t* __restrict__ plan = task.scratch->plan.data();  // bytes may alias anything otherwise
  if (users.uniform() && items.uniform()) {
    std::memset(plan, bit(users[0], kUserFloat16) | bit(items[0], kItemFloat16),
                static_cast<std::size_t>(size));
  } else {
    for (int64_t i = 0; i < size; ++i) {
      plan[i] = bit(users[user[i]], kUserFloat16) | bit(items[item[i]], kItemFloat16);
    }
  }
  const auto [key, threshold] = task.sampling;
  if (threshold == 0) return;
  for (int64_t i = 0; i < size; ++i) {
    const uint64_t draw = draw32(key, static_cast<uint64_t>(block.begin + i));
    plan[i] |= draw < threshold ? kSampled : 0;
  }
}

// Lists a block's ratings by their pair of storages, in their order within each, and returns where
// each of the four lists begins and the last ends. A loop that met the pairs at random would
// mispredict every other rating.
std::array<int64_t, kPairs + 1> sort_by_storages(const Task& task, Block block) {
  const uint8_t* plan = task.scratch->plan.data();
  uint32_t* __restrict__ order = task.scratch->order.data();
  const int64_t size = block.end - block.begin;
  // Four counters of 16 bits in one register: in memory, each increment would wait for the last.
  const auto shift = [&](int64_t i) { return (plan[i] & kBothFloat16) * 16; };
  uint64_t counts = 0;
  for (int64_t i = 0; i < size; ++i) counts += uint64_t{1} << shift(i);
  std::array<int64_t, kPairs + 1> begin = {};
  uint64_t next = 0;
  for (int pair = 0; pair < kPairs; ++pair) {
    next |= static_cast<uint64_t>(begin[pair]) << (pair * 16);
    begin[pair + 1] = begin[pair] + static_cast<int64_t>(counts >> (pair * 16) & 0xffff);
  }
  for (int64_t i = 0; i < size; ++i) {
    order[next >> shift(i) & 0xffff] = static_cast<uint32_t>(i);
    next += uint64_t{1} << shift(i);
  }
  return begin;
}

// Calls body(user storage, item storage) with the types that a plan byte names.
template <class Half, class Body>
MASCOT_INLINE void with_storages(uint8_t plan, const Body& body) {
  switch (plan & kBothFloat16) {
    case 0:
      return body(Float32{}, Float32{});
    case kUserFloat16:
      return body(Half{}, Float32{});
    case kItemFloat16:
      return body(Float32{}, Half{});
    default:
      return body(Half{}, Half{});
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
    case 4:
      return body(Chunks<4>{count});
    case 8:
      return body(Chunks<8>{count});
    case 16:
      return body(Chunks<16>{count});
    default:
      return body(Chunks<0>{count});
  }
}

// The plan byte that a pair of storages has, without the sample's bit.
template <class U, class I>
constexpr uint8_t pair_of() {
  return (U::kStorage == Storage::kFloat16 ? kUserFloat16 : 0) |
         (I::kStorage == Storage::kFloat16 ? kItemFloat16 : 0);
}

// Calls visit(user storage, item storage, i, sampled, rows ahead of i) for each rating of a block.
// With every rating in the same pair of storages they are visited in their order, else by their
// pair: then the storages are constants of each loop. rounding: Nearest or Stochastic.
template <int C, class R, class Visit>
MASCOT_INLINE void walk_block(const Task& task, Block block, Chunks<C> chunks, R rounding,
                              const Visit& visit) {
  using Half = Float16<rounding>;
  make_plan(task, block);
  const uint8_t* plan = task.scratch->plan.data();
  const uint32_t* order = task.scratch->order.data();
  const int64_t size = block.end - block.begin;
  // Rows of visit `number`: at(number) is the place of its rating in the block, pair(place) the
  // storages of its rows.
  const auto rows = [&](int64_t number, const auto& at, const auto& pair) MASCOT_INLINED {
    const int64_t place = at(number);
    return Ahead(task, block.begin + place, pair(place), chunks.count());
  };
  const auto fetch_first = [&](const auto& at, const auto& pair) {
    for (int64_t number = 0; number < std::min(kPrefetchDistance, size); ++number) {
      const Ahead first = rows(number, at, pair);
      for (int64_t c = 0; c < chunks.count(); ++c) first.fetch(c);
    }
  };
  const auto walk = [&](int64_t from, int64_t to, const auto& at, const auto& pair, auto u,
                        auto v) MASCOT_INLINED {
    for (int64_t number = from; number < to; ++number) {
      const int64_t place = at(number);
      // Towards the end there is nothing ahead:
      // the last rating's rows, which are there, are asked for again.
      const Ahead ahead = rows(std::min(number + kPrefetchDistance, size - 1), at, pair);
      const bool sampled = task.sampling.threshold != 0 && (plan[place] & kSampled) != 0;
      visit(u, v, block.begin + place, sampled, ahead);
    }
  };
  if (task.users->groups.storages().uniform() && task.items->groups.storages().uniform()) {
    const auto in_order = [](int64_t number) MASCOT_INLINED { return number; };
    return with_storages<Half>(plan[0], [&](auto u, auto v) MASCOT_INLINED {
      const auto same = [](int64_t) MASCOT_INLINED { return pair_of<decltype(u), decltype(v)>(); };
      fetch_first(in_order, same);
      walk(0, size, in_order, same, u, v);
    });
  }
  const std::array<int64_t, kPairs + 1> begin = sort_by_storages(task, block);
  const auto by_pair = [&](int64_t number) MASCOT_INLINED { return int64_t{order[number]}; };
  const auto planned = [&](int64_t place) MASCOT_INLINED { return plan[place]; };
  fetch_first(by_pair, planned);
  for (int pair = 0; pair < kPairs; ++pair) {
    with_storages<Half>(static_cast<uint8_t>(pair), [&](auto u, auto v) MASCOT_INLINED {
      walk(begin[pair], begin[pair + 1], by_pair, planned, u, v);
    });
  }
}

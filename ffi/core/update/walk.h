// Part of body.h: the way through a block of ratings.

// The ratings of a block that have one pair of storages, in the order of their visits.
struct List {
  int pair;
  const uint32_t* begin;  // places in the block
  const uint32_t* end;
  const uint8_t* plan;   // by place
  const uint32_t* user;  // by place, as item
  const uint32_t* item;
  int64_t first;  // the number of the rating at place 0
  TableLines users;
  TableLines items;

  // Asks for the first lines of some visits' rows.
  MASCOT_INLINE void touch(const uint32_t* visit) const {
    for (int64_t i = 0; i < kTouchedAtOnce; ++i) rows(visit + i).fetch(0);
  }

  // The rows of a visit. Beyond the last there is nothing: its rows, which are there, are asked for
  // again.
  MASCOT_INLINE Ahead rows(const uint32_t* visit) const {
    const uint32_t place = *std::min(visit, end - 1);
    return {users.row(user[place]), items.row(item[place])};
  }
};

// A set of pairs of storages, a bit each.
using PairSet = std::conditional_t<kPairs <= 32, uint32_t, uint64_t>;
static_assert(kPairs <= 64);

// Writes each rating's pair of storages, which find(groups, row) gives; returns the set of pairs.
template <class Find>
PairSet find_pairs(const Task& task, Block block, uint8_t* __restrict__ plan, const Find& find) {
  const Groups &users = task.users->groups, &items = task.items->groups;
  const uint32_t* user = task.ratings->user + block.begin;
  const uint32_t* item = task.ratings->item + block.begin;
  PairSet pairs = 0;
  for (int64_t i = 0; i < block.end - block.begin; ++i) {
    plan[i] = pair_of(find(users, user[i]), find(items, item[i]));
    pairs |= PairSet{1} << plan[i];
  }
  return pairs;
}

PairSet find_pairs(const Task& task, Block block, uint8_t* plan) {
  switch (task.users->groups.lookup()) {
    case Lookup::kDirect:
      return find_pairs(task, block, plan,
                        [](const Groups& groups, uint32_t row) { return groups.storages()[row]; });
    case Lookup::kSearch:
      return find_pairs(task, block, plan,
                        [](const Groups& groups, uint32_t row) { return groups.searched(row); });
    case Lookup::kPerRow:
      return find_pairs(task, block, plan, [](const Groups& groups, uint32_t row) {
        return groups.from_metadata(row);
      });
  }
  return 0;
}

// Writes the byte of each rating of a block: ahead of the loop over rows, which then neither
// searches nor hashes, and in passes that vectorise. Returns the set of pairs.
PairSet make_plan(const Task& task, Block block) {
  const int64_t size = block.end - block.begin;
  uint8_t* __restrict__ plan = task.scratch->plan.data();  // bytes may alias anything otherwise
  PairSet pairs = 0;
  if (block.pair != Block::kUnknown) {
    std::memset(plan, block.pair, static_cast<std::size_t>(size));
    pairs = PairSet{1} << block.pair;
  } else {
    pairs = find_pairs(task, block, plan);
  }
  const auto [key, threshold] = task.sampling;
  if (threshold == 0) return pairs;
  for (int64_t i = 0; i < size; ++i) {
    const uint64_t draw = draw32(key, static_cast<uint64_t>(block.begin + i));
    plan[i] |= draw < threshold ? kSampled : 0;
  }
  return pairs;
}

// Lists a block's ratings by their pair of storages, in their order within each, and returns where
// each pair's begin. A loop that met the pairs at random would mispredict every other rating.
std::array<int64_t, kPairs + 1> sort_by_pairs(const Task& task, Block block, PairSet pairs) {
  uint8_t* plan = task.scratch->plan.data();
  uint32_t* __restrict__ order = task.scratch->order.data();
  const auto size = static_cast<uint32_t>(block.end - block.begin);
  std::memset(plan + size, kNoPair, kSelected);
  std::array<int64_t, kPairs + 1> begin = {};
  int64_t next = 0;
  for (int pair = 0; pair < kPairs; ++pair) {
    begin[pair] = next;
    const PairSet only = PairSet{1} << pair;
    if (pairs == only) {
      for (uint32_t i = 0; i < size; ++i) order[i] = i;
      next = size;
    } else if (pairs & only) {
      for (uint32_t i = 0; i < size; i += kSelected) {
        next += select(order + next, i, plan + i, kPairBits, static_cast<uint8_t>(pair));
      }
    }
  }
  begin[kPairs] = next;
  return begin;
}

// Calls body(list) for each pair of storages in a block; its first rows have been asked for.
template <int C, class Body>
MASCOT_INLINE void for_lists(const Task& task, Block block, Chunks<C> chunks, const Body& body) {
  const PairSet pairs = make_plan(task, block);
  const std::array<int64_t, kPairs + 1> begin = sort_by_pairs(task, block, pairs);
  const uint32_t* order = task.scratch->order.data();
  for (int pair = 0; pair < kPairs; ++pair) {
    if (begin[pair] == begin[pair + 1]) continue;
    const Storage users = user_storage(pair), items = item_storage(pair);
    const List list = {pair,
                       order + begin[pair],
                       order + begin[pair + 1],
                       task.scratch->plan.data(),
                       task.ratings->user + block.begin,
                       task.ratings->item + block.begin,
                       block.begin,
                       {task.users->table(users), users, chunks},
                       {task.items->table(items), items, chunks}};
    for (const uint32_t* visit = list.begin; visit < list.begin + kPrefetchDistance; ++visit) {
      const Ahead first = list.rows(visit);
      for (int64_t c = 0; c < chunks.count(); ++c) first.fetch(c);
    }
    body(list);
  }
}

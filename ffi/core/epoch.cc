#include "core/epoch.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <deque>
#include <vector>

#include "core/parallel.h"
#include "core/random.h"
#include "core/rotations.h"

namespace mascot {
namespace {

#if defined(__x86_64__)
constexpr std::array<const Kernel*, 3> kKernels = {&kAvx512, &kAvx2, &kPortable};
#elif defined(__aarch64__)
constexpr std::array<const Kernel*, 2> kKernels = {&kNeon, &kPortable};
#else
constexpr std::array<const Kernel*, 1> kKernels = {&kPortable};
#endif

Task make_task(const Epoch& epoch) {
  Task task = {};
  task.ratings = &epoch.ratings;
  task.users = &epoch.users;
  task.items = &epoch.items;
  task.factors = epoch.factors;
  task.rates = epoch.rates;
  task.user_decay = -(epoch.rates.learning_rate * epoch.rates.user_reg);
  task.item_decay = -(epoch.rates.learning_rate * epoch.rates.item_reg);
  task.sampling.key = stream_key(epoch.seed, epoch.number, Stream::kSample);
  task.sampling.threshold = static_cast<uint64_t>(epoch.sample_ratio * 0x1p32);
  task.dither = {epoch.rounding, stream_key(epoch.seed, epoch.number, Stream::kDither)};
  task.computation = epoch.computation;
  return task;
}

// The storage of rows first .. last, or kMixed where there are several, or each is looked up: by
// the paper's ways every row is, also where all are in one storage.
constexpr int kMixed = -1;
int storage_of(const Groups& groups, uint32_t first, uint32_t last) {
  if (groups.lookup() != Lookup::kDirect || !groups.uniform(first, last)) return kMixed;
  return static_cast<int>(groups.storages()[first]);
}

// storage_of each of a side's ranges; an empty one has no rating.
std::vector<int> storages_of_ranges(const uint32_t* starts, int64_t ranges, const Groups& groups) {
  std::vector<int> storages(ranges, kMixed);
  for (int64_t range = 0; range < ranges; ++range) {
    if (starts[range] == starts[range + 1]) continue;
    storages[range] = storage_of(groups, starts[range], starts[range + 1] - 1);
  }
  return storages;
}

int pair_or_unknown(int user, int item) {
  if (user == kMixed || item == kMixed) return Block::kUnknown;
  return pair_of(static_cast<Storage>(user), static_cast<Storage>(item));
}

// The blocks that an epoch's ratings are cut into.
class Blocks {
 public:
  explicit Blocks(const Epoch& epoch) : epoch_(epoch) {
    const Strata& strata = epoch.strata;
    const auto whole = [](const Groups& groups) {
      return storage_of(groups, 0, static_cast<uint32_t>(groups.end(groups.size() - 1)) - 1);
    };
    if (strata.blocks() == 0) {
      users_ = {whole(epoch.users.groups)};
      items_ = {whole(epoch.items.groups)};
    } else {
      users_ = storages_of_ranges(strata.user_starts, strata.user_ranges, epoch.users.groups);
      items_ = storages_of_ranges(strata.item_starts, strata.item_ranges, epoch.items.groups);
    }
  }

  int64_t count() const {
    const int64_t size = epoch_.block_size;
    return laid_out() ? epoch_.strata.blocks() : (epoch_.ratings.count + size - 1) / size;
  }

  Block operator[](int64_t number) const {
    if (!laid_out()) {
      const int64_t begin = number * epoch_.block_size;
      return {begin, std::min(begin + epoch_.block_size, epoch_.ratings.count),
              pair_or_unknown(users_[0], items_[0])};
    }
    const uint32_t* begin = epoch_.strata.begin;
    const int64_t item_ranges = epoch_.strata.item_ranges;
    const bool last = number + 1 == count();
    return {begin[number], last ? epoch_.ratings.count : begin[number + 1],
            pair_or_unknown(users_[number / item_ranges], items_[number % item_ranges])};
  }

 private:
  bool laid_out() const { return epoch_.strata.blocks() != 0; }

  const Epoch& epoch_;
  std::vector<int> users_, items_;  // storage of each range; of the whole side without strata
};

// Calls work(part) for parts of a block of at most block_size ratings.
template <class Work>
void for_parts(const Epoch& epoch, Block block, const Work& work) {
  for (int64_t begin = block.begin; begin < block.end; begin += epoch.block_size) {
    work(Block{begin, std::min(begin + epoch.block_size, block.end), block.pair});
  }
}

// Calls work(task, number) for every block, in the order index(turn, count), by threads that may
// meet; each thread has a task of its own, which prepare(task) completes before any thread starts.
template <class Index, class Prepare, class Work>
void for_numbers(const Epoch& epoch, int64_t count, const Index& index, const Prepare& prepare,
                 const Work& work) {
  const auto threads = static_cast<int>(std::clamp<int64_t>(count, 1, epoch.threads));
  std::vector<Scratch> scratch(threads, Scratch(epoch.block_size, epoch.factors));
  std::vector<Task> tasks(threads, make_task(epoch));
  for (int thread = 0; thread < threads; ++thread) {
    tasks[thread].scratch = &scratch[thread];
    prepare(tasks[thread]);
  }
  std::atomic<int64_t> next = 0;
  run_threads(threads, [&](int thread) {
    for (int64_t turn = next++; turn < count; turn = next++) {
      work(tasks[thread], index(turn, count));
    }
  });
}

// The same with work(task, block), on the blocks of ratings.
template <class Index, class Prepare, class Work>
void for_blocks(const Epoch& epoch, const Index& index, const Prepare& prepare, const Work& work) {
  const Blocks blocks(epoch);
  for_numbers(epoch, blocks.count(), index, prepare, [&](const Task& task, int64_t number) {
    for_parts(epoch, blocks[number], [&](Block part) { work(task, part); });
  });
}

// The epoch's order of blocks.
class Shuffled {
 public:
  explicit Shuffled(const Epoch& epoch)
      : key_(stream_key(epoch.seed, epoch.number, Stream::kBlockOrder)) {}
  int64_t operator()(int64_t turn, int64_t blocks) const {
    const Permutation order(key_, static_cast<uint64_t>(blocks));
    return static_cast<int64_t>(order(static_cast<uint64_t>(turn)));
  }

 private:
  uint64_t key_;
};

void unprepared(Task&) {}

int64_t in_order(int64_t turn, int64_t) { return turn; }

// Parts of both sides' sums, to be added up in their order.
struct SumParts {
  std::deque<GroupSums> users, items;
};

// Sums of a task's own, if it samples.
void give_sums(const Epoch& epoch, Task& task, SumParts& sums) {
  if (task.sampling.threshold == 0) return;
  task.user_sums = &sums.users.emplace_back(epoch.users.groups.size(), epoch.factors);
  task.item_sums = &sums.items.emplace_back(epoch.items.groups.size(), epoch.factors);
}

SumParts run_hogwild(const Kernel& kernel, const Epoch& epoch) {
  SumParts sums;
  const auto prepare = [&](Task& task) { give_sums(epoch, task, sums); };
  for_blocks(epoch, Shuffled(epoch), prepare, kernel.update);
  return sums;
}

// Sums for every range of a side, each of the groups that it has rows of. A range is worked on by
// one thread at a time, and in an order that the threads have no part in: so are its sums.
std::deque<GroupSums> sums_of_ranges(const uint32_t* starts, int64_t ranges, const Groups& groups,
                                     int64_t factors) {
  std::deque<GroupSums> sums;
  for (int64_t range = 0; range < ranges; ++range) {
    const GroupSpan span = groups_of(starts, range, groups);
    sums.emplace_back(span.count, factors, span.first);
  }
  return sums;
}

// Of both sides, before the first rating; none if the epoch samples nothing.
SumParts empty_sums(const Epoch& epoch) {
  if (make_task(epoch).sampling.threshold == 0) return {};
  const Strata& strata = epoch.strata;
  return {
      sums_of_ranges(strata.user_starts, strata.user_ranges, epoch.users.groups, epoch.factors),
      sums_of_ranges(strata.item_starts, strata.item_ranges, epoch.items.groups, epoch.factors)};
}

// How far a stream's key moves for a block. Draw n is that of key + n gamma: a block's ratings keep
// their numbers wherever they lie.
uint64_t moved(const Strata& strata, int64_t block) {
  if (strata.numbers == nullptr) return 0;
  return (uint64_t{strata.numbers[block]} - strata.begin[block]) * kGoldenGamma;
}

// Calls work(task, turn) for the blocks of a list, no two with a common range at a time; sums go on
// from empty_sums.
template <class Work>
void for_turns(const Epoch& epoch, const std::vector<Turn>& turns, SumParts& sums,
               const Work& work) {
  const Strata& strata = epoch.strata;
  const auto most = std::min(strata.user_ranges, strata.item_ranges);
  const auto threads = static_cast<int>(std::clamp<int64_t>(most, 1, epoch.threads));
  std::vector<Scratch> scratch(threads, Scratch(epoch.block_size, epoch.factors));
  const Task common = make_task(epoch);
  Schedule schedule(strata, turns, threads);
  run_threads(threads, [&](int thread) {
    Task task = common;
    task.scratch = &scratch[thread];
    schedule.run([&](const Turn& turn) {
      if (common.sampling.threshold != 0) {
        task.user_sums = &sums.users[turn.user_range];
        task.item_sums = &sums.items[turn.item_range];
      }
      work(task, turn);
    });
  });
}

void run_list(const Kernel& kernel, const Epoch& epoch, const RangePair* list, int64_t count,
              SumParts& sums) {
  const Strata& strata = epoch.strata;
  const Blocks blocks(epoch);
  for_turns(epoch, turns_of(strata, list, count), sums, [&](const Task& common, const Turn& turn) {
    const int64_t block = turn.user_range * strata.item_ranges + turn.item_range;
    Task task = common;
    task.sampling.key += moved(strata, block);
    task.dither.key += moved(strata, block);
    for_parts(epoch, blocks[block], [&](Block part) { kernel.update(task, part); });
  });
}

SumParts run_conflict_free(const Kernel& kernel, const Epoch& epoch) {
  const Strata& strata = epoch.strata;
  const uint32_t users = strata.user_starts[strata.user_ranges];
  const uint32_t items = strata.item_starts[strata.item_ranges];
  const auto list = draw_rotations(strata.user_ranges, strata.item_ranges, strata.rotations,
                                   users >= items, epoch.seed, epoch.number);
  SumParts sums = empty_sums(epoch);
  run_list(kernel, epoch, list.data(), static_cast<int64_t>(list.size()), sums);
  return sums;
}

// Weights of all items before each, and how each range of items takes part in draws.
class Shares {
 public:
  Shares(const Strata& strata, const uint32_t* weights)
      : before_(strata.item_starts[strata.item_ranges] + std::size_t{1}) {
    for (std::size_t item = 0; item + 1 < before_.size(); ++item) {
      before_[item + 1] = before_[item] + weights[item];
    }
    for (int64_t range = 0; range < strata.item_ranges; ++range) {
      const bool equal =
          std::all_of(weights + strata.item_starts[range], weights + strata.item_starts[range + 1],
                      [](uint32_t weight) { return weight == 1; });
      ranges_.push_back(drawn_range(strata.item_starts, static_cast<uint64_t>(range),
                                    static_cast<uint64_t>(strata.item_ranges), before(), equal));
    }
  }
  const uint64_t* before() const { return before_.data(); }
  const DrawnRange& operator[](int64_t range) const { return ranges_[range]; }

 private:
  std::vector<uint64_t> before_;
  std::vector<DrawnRange> ranges_;
};

// The corners of an epoch over interactions, by the number of their block.
class Corners {
 public:
  Corners(const Epoch& epoch, const Drawing& drawing)
      : epoch_(epoch), shares_(epoch.strata, drawing.item_weights) {
    negatives_ = {drawing.loss, drawing.weight,
                  stream_key(epoch.seed, epoch.number, Stream::kNegatives), drawing.user_draws,
                  shares_.before()};
  }

  const Negatives& negatives() const { return negatives_; }
  Corner operator[](int64_t block) const {
    const Strata& strata = epoch_.strata;
    const int64_t users = block / strata.item_ranges, items = block % strata.item_ranges;
    const bool last = block + 1 == strata.blocks();
    return {strata.begin[block], last ? epoch_.ratings.count : strata.begin[block + 1],
            strata.user_starts[users], strata.user_starts[users + 1], shares_[items]};
  }

 private:
  const Epoch& epoch_;
  Shares shares_;
  Negatives negatives_ = {};
};

SumParts interact_conflict_free(const Kernel& kernel, const Epoch& epoch, const Corners& corners) {
  Strata all = epoch.strata;
  all.begin = nullptr;  // blocks without interactions have negatives
  const auto list = draw_list(all.user_ranges, all.item_ranges, epoch.seed, epoch.number);
  const auto turns = turns_of(all, list.data(), static_cast<int64_t>(list.size()));
  SumParts sums = empty_sums(epoch);
  for_turns(epoch, turns, sums, [&](const Task& task, const Turn& turn) {
    const int64_t block = turn.user_range * all.item_ranges + turn.item_range;
    kernel.interact(task, corners.negatives(), corners[block]);
  });
  return sums;
}

// In the same order as run_hogwild's blocks.
SumParts interact_hogwild(const Kernel& kernel, const Epoch& epoch, const Corners& corners) {
  SumParts sums;
  const auto prepare = [&](Task& task) { give_sums(epoch, task, sums); };
  for_numbers(epoch, epoch.strata.blocks(), Shuffled(epoch), prepare,
              [&](const Task& task, int64_t number) {
                kernel.interact(task, corners.negatives(), corners[number]);
              });
  return sums;
}

// The sum of parts, in their order.
void write_total(const std::deque<GroupSums>& parts, const Groups& groups, int64_t factors,
                 double rate, float* out) {
  GroupSums sum(groups.size(), factors);
  for (const GroupSums& part : parts) sum.add(part);
  sum.write(out, factors, rate);
}

void write_sums(const Epoch& epoch, const SumParts& parts, float* user_sums, float* item_sums) {
  const double rate = epoch.rates.learning_rate;
  write_total(parts.users, epoch.users.groups, epoch.factors, rate, user_sums);
  write_total(parts.items, epoch.items.groups, epoch.factors, rate, item_sums);
}

}  // namespace

void run_epoch(const Kernel& kernel, const Epoch& epoch, float* user_sums, float* item_sums) {
  const IeeeArithmetic ieee;  // for adding up, as for the threads
  const SumParts parts =
      epoch.strata.conflict_free ? run_conflict_free(kernel, epoch) : run_hogwild(kernel, epoch);
  write_sums(epoch, parts, user_sums, item_sums);
}

void run_interactions(const Kernel& kernel, const Epoch& epoch, const Drawing& drawing,
                      float* user_sums, float* item_sums) {
  const IeeeArithmetic ieee;
  const Corners corners(epoch, drawing);
  const auto run = epoch.strata.conflict_free ? interact_conflict_free : interact_hogwild;
  write_sums(epoch, run(kernel, epoch, corners), user_sums, item_sums);
}

void run_turns(const Kernel& kernel, const Epoch& epoch, const RangePair* list, int64_t count,
               uint32_t* user_sums, uint32_t* item_sums) {
  SumParts sums = empty_sums(epoch);
  const uint32_t *users = user_sums, *items = item_sums;
  for (GroupSums& part : sums.users) users = part.load(users);
  for (GroupSums& part : sums.items) items = part.load(items);
  run_list(kernel, epoch, list, count, sums);
  for (const GroupSums& part : sums.users) user_sums = part.save(user_sums);
  for (const GroupSums& part : sums.items) item_sums = part.save(item_sums);
}

int64_t count_words(const uint32_t* starts, int64_t ranges, const Groups& groups, int64_t factors) {
  int64_t count = 0;
  for (int64_t range = 0; range < ranges; ++range) count += groups_of(starts, range, groups).count;
  return count * GroupSums::words(factors);
}

void total_sums(const uint32_t* starts, int64_t ranges, const Groups& groups, int64_t factors,
                double rate, const uint32_t* sums, float* out) {
  const IeeeArithmetic ieee;  // for adding up, as for the threads
  std::deque<GroupSums> parts = sums_of_ranges(starts, ranges, groups, factors);
  for (GroupSums& part : parts) sums = part.load(sums);
  write_total(parts, groups, factors, rate, out);
}

void run_stream(const Kernel& kernel, const Epoch& epoch) {
  for_blocks(epoch, Shuffled(epoch), unprepared, kernel.stream);
}

void run_predict(const Kernel& kernel, const Epoch& epoch, float* predictions) {
  for_blocks(epoch, in_order, unprepared,
             [&](const Task& task, Block block) { kernel.predict(task, block, predictions); });
}

void run_predict_to_stop(const Kernel& kernel, const Epoch& epoch, float* predictions,
                         uint32_t* stops) {
  for_blocks(epoch, in_order, unprepared, [&](const Task& task, Block block) {
    kernel.predict_to_stop(task, block, predictions, stops);
  });
}

const Kernel* find_kernel(std::string_view name) {
  for (const Kernel* kernel : kKernels) {
    const bool wanted = name.empty() || name == "auto" || name == kernel->name;
    if (wanted && kernel->supported()) return kernel;
  }
  return nullptr;
}

}  // namespace mascot

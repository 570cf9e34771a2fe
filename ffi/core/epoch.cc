#include "core/epoch.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <deque>
#include <vector>

#include "core/parallel.h"
#include "core/random.h"

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
    const auto& [user_starts, item_starts, begin, user_ranges, item_ranges, conflict_free] =
        epoch_.strata;
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

// Calls work(task, block) for every block of ratings, in the order index(turn, blocks); each thread
// has a task of its own, which prepare(task) completes before any thread starts.
template <class Index, class Prepare, class Work>
void for_blocks(const Epoch& epoch, const Index& index, const Prepare& prepare, const Work& work) {
  const Blocks blocks(epoch);
  const int64_t count = blocks.count();
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
      for_parts(epoch, blocks[index(turn, count)], [&](Block part) { work(tasks[thread], part); });
    }
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

SumParts run_hogwild(const Kernel& kernel, const Epoch& epoch) {
  SumParts sums;
  const auto give_sums = [&](Task& task) {
    if (task.sampling.threshold == 0) return;
    task.user_sums = &sums.users.emplace_back(epoch.users.groups.size(), epoch.factors);
    task.item_sums = &sums.items.emplace_back(epoch.items.groups.size(), epoch.factors);
  };
  for_blocks(epoch, Shuffled(epoch), give_sums, kernel.update);
  return sums;
}

// Sums for every range of a side, each of the groups that it has rows of. A range is worked on by
// one thread at a time, and in an order that the threads have no part in: so are its sums.
std::deque<GroupSums> sums_of_ranges(const uint32_t* starts, int64_t ranges, const Groups& groups,
                                     int64_t factors) {
  std::deque<GroupSums> sums;
  for (int64_t range = 0; range < ranges; ++range) {
    const bool empty = starts[range] == starts[range + 1];
    const int64_t first = empty ? 0 : groups.find(starts[range]);
    const int64_t last = empty ? -1 : groups.find(starts[range + 1] - 1);
    sums.emplace_back(last - first + 1, factors, first);
  }
  return sums;
}

SumParts run_conflict_free(const Kernel& kernel, const Epoch& epoch) {
  const Strata& strata = epoch.strata;
  const auto most = std::min(strata.user_ranges, strata.item_ranges);
  const auto threads = static_cast<int>(std::clamp<int64_t>(most, 1, epoch.threads));
  std::vector<Scratch> scratch(threads, Scratch(epoch.block_size, epoch.factors));
  const Task common = make_task(epoch);
  const bool sampling = common.sampling.threshold != 0;
  SumParts sums;
  if (sampling) {
    sums.users =
        sums_of_ranges(strata.user_starts, strata.user_ranges, epoch.users.groups, epoch.factors);
    sums.items =
        sums_of_ranges(strata.item_starts, strata.item_ranges, epoch.items.groups, epoch.factors);
  }
  const Blocks blocks(epoch);
  Schedule schedule(strata, epoch.seed, epoch.number, threads);
  run_threads(threads, [&](int thread) {
    Task task = common;
    task.scratch = &scratch[thread];
    schedule.run([&](const Turn& turn) {
      if (sampling) {
        task.user_sums = &sums.users[turn.user_range];
        task.item_sums = &sums.items[turn.item_range];
      }
      for_parts(epoch, blocks[turn.user_range * strata.item_ranges + turn.item_range],
                [&](Block part) { kernel.update(task, part); });
    });
  });
  return sums;
}

}  // namespace

void run_epoch(const Kernel& kernel, const Epoch& epoch, float* user_sums, float* item_sums) {
  const IeeeArithmetic ieee;  // for adding up, as for the threads
  const SumParts parts =
      epoch.strata.conflict_free ? run_conflict_free(kernel, epoch) : run_hogwild(kernel, epoch);
  const auto total = [&](const std::deque<GroupSums>& all, const Groups& groups, float* out) {
    GroupSums sum(groups.size(), epoch.factors);
    for (const GroupSums& part : all) sum.add(part);
    sum.write(out, epoch.factors, epoch.rates.learning_rate);
  };
  total(parts.users, epoch.users.groups, user_sums);
  total(parts.items, epoch.items.groups, item_sums);
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

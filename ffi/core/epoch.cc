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
  return task;
}

// Calls work(task, block) for every block of ratings, in the order index(turn, blocks); each thread
// has a task of its own, which prepare(task) completes before any thread starts.
template <class Index, class Prepare, class Work>
void for_blocks(const Epoch& epoch, const Index& index, const Prepare& prepare, const Work& work) {
  const int64_t size = epoch.block_size, count = epoch.ratings.count;
  const int64_t blocks = (count + size - 1) / size;
  const auto threads = static_cast<int>(std::clamp<int64_t>(blocks, 1, epoch.threads));
  std::vector<Scratch> scratch(threads, Scratch(size));
  std::vector<Task> tasks(threads, make_task(epoch));
  for (int thread = 0; thread < threads; ++thread) {
    tasks[thread].scratch = &scratch[thread];
    prepare(tasks[thread]);
  }
  std::atomic<int64_t> next = 0;
  run_threads(threads, [&](int thread) {
    for (int64_t turn = next++; turn < blocks; turn = next++) {
      const int64_t begin = index(turn, blocks) * size;
      work(tasks[thread], Block{begin, std::min(begin + size, count)});
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

SumParts run_strata(const Kernel& kernel, const Epoch& epoch) {
  const Strata& strata = epoch.strata;
  const int64_t size = epoch.block_size, factors = epoch.factors;
  const auto most = std::min(strata.user_ranges, strata.item_ranges);
  const auto threads = static_cast<int>(std::clamp<int64_t>(most, 1, epoch.threads));
  std::vector<Scratch> scratch(threads, Scratch(size));
  const Task common = make_task(epoch);
  const bool sampling = common.sampling.threshold != 0;
  SumParts sums;
  if (sampling) {
    sums.users =
        sums_of_ranges(strata.user_starts, strata.user_ranges, epoch.users.groups, factors);
    sums.items =
        sums_of_ranges(strata.item_starts, strata.item_ranges, epoch.items.groups, factors);
  }
  Schedule schedule(strata, epoch.seed, epoch.number);
  run_threads(threads, [&](int thread) {
    Task task = common;
    task.scratch = &scratch[thread];
    schedule.run([&](const Turn& turn) {
      if (sampling) {
        task.user_sums = &sums.users[turn.user_range];
        task.item_sums = &sums.items[turn.item_range];
      }
      const int64_t block = turn.user_range * strata.item_ranges + turn.item_range;
      const bool last = block + 1 == strata.blocks();
      const int64_t end = last ? epoch.ratings.count : strata.begin[block + 1];
      for (int64_t begin = strata.begin[block]; begin < end; begin += size) {
        kernel.update(task, {begin, std::min(begin + size, end)});
      }
    });
  });
  return sums;
}

}  // namespace

void run_epoch(const Kernel& kernel, const Epoch& epoch, float* user_sums, float* item_sums) {
  const IeeeArithmetic ieee;  // for adding up, as for the threads
  const bool strata = epoch.strata.blocks() != 0;
  const SumParts parts = strata ? run_strata(kernel, epoch) : run_hogwild(kernel, epoch);
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
  const auto in_order = [](int64_t turn, int64_t) { return turn; };
  for_blocks(epoch, in_order, unprepared,
             [&](const Task& task, Block block) { kernel.predict(task, block, predictions); });
}

const Kernel* find_kernel(std::string_view name) {
  for (const Kernel* kernel : kKernels) {
    const bool wanted = name.empty() || name == "auto" || name == kernel->name;
    if (wanted && kernel->supported()) return kernel;
  }
  return nullptr;
}

}  // namespace mascot

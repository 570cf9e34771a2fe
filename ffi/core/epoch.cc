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

}  // namespace

void run_epoch(const Kernel& kernel, const Epoch& epoch, float* user_sums, float* item_sums) {
  const IeeeArithmetic ieee;  // for adding up, as for the threads
  std::deque<GroupSums> users, items;
  const auto give_sums = [&](Task& task) {
    if (task.sampling.threshold == 0) return;
    task.user_sums = &users.emplace_back(epoch.users.groups.size(), epoch.factors);
    task.item_sums = &items.emplace_back(epoch.items.groups.size(), epoch.factors);
  };
  for_blocks(epoch, Shuffled(epoch), give_sums, kernel.update);
  const auto total = [&](const std::deque<GroupSums>& parts, const Groups& groups, float* out) {
    GroupSums sum(groups.size(), epoch.factors);
    for (const GroupSums& part : parts) sum.add(part);
    sum.write(out, epoch.factors, epoch.rates.learning_rate);
  };
  total(users, epoch.users.groups, user_sums);
  total(items, epoch.items.groups, item_sums);
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

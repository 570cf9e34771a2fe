#include "core/epoch.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
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
  return task;
}

// Calls work(task, turn, blocks) for every turn below the number of blocks; each thread has a task
// of its own, which prepare(task, thread) completes.
template <class Prepare, class Work>
void for_blocks(const Epoch& epoch, int64_t block_size, const Prepare& prepare, const Work& work) {
  const int64_t count = epoch.ratings.count;
  const int64_t blocks = (count + block_size - 1) / block_size;
  std::atomic<int64_t> next = 0;
  run_threads(static_cast<int>(std::clamp<int64_t>(blocks, 1, epoch.threads)), [&](int thread) {
    Task task = make_task(epoch);
    Scratch scratch(block_size);
    task.scratch = &scratch;
    prepare(task, thread);
    for (int64_t turn = next++; turn < blocks; turn = next++) work(task, turn, blocks);
  });
}

Block block_at(const Epoch& epoch, int64_t index, int64_t block_size) {
  return {index * block_size, std::min((index + 1) * block_size, epoch.ratings.count)};
}

}  // namespace

void run_epoch(const Kernel& kernel, const Epoch& epoch, float* user_sums, float* item_sums) {
  const bool sampling = epoch.sample_ratio > 0;
  const uint64_t order_key = stream_key(epoch.seed, epoch.number, Stream::kBlockOrder);
  // Sums are per thread, in a fixed place each, and added up in that order.
  std::vector<std::unique_ptr<GroupSums>> users(epoch.threads), items(epoch.threads);
  for_blocks(
      epoch, epoch.block_size,
      [&](Task& task, int thread) {
        if (!sampling) return;
        users[thread] = std::make_unique<GroupSums>(epoch.users.groups.size(), epoch.factors);
        items[thread] = std::make_unique<GroupSums>(epoch.items.groups.size(), epoch.factors);
        task.user_sums = users[thread].get();
        task.item_sums = items[thread].get();
      },
      [&](const Task& task, int64_t turn, int64_t blocks) {
        const Permutation order(order_key, static_cast<uint64_t>(blocks));
        const auto index = static_cast<int64_t>(order(static_cast<uint64_t>(turn)));
        kernel.update(task, block_at(epoch, index, epoch.block_size));
      });
  const auto total = [&](const auto& parts, const Groups& groups, float* out) {
    GroupSums sum(groups.size(), epoch.factors);
    for (const auto& part : parts) {
      if (part) sum.add(*part);
    }
    sum.write(out, epoch.factors, epoch.rates.learning_rate);
  };
  total(users, epoch.users.groups, user_sums);
  total(items, epoch.items.groups, item_sums);
}

void run_stream(const Kernel& kernel, const Epoch& epoch) {
  const uint64_t order_key = stream_key(epoch.seed, epoch.number, Stream::kBlockOrder);
  for_blocks(
      epoch, epoch.block_size, [](Task&, int) {},
      [&](const Task& task, int64_t turn, int64_t blocks) {
        const Permutation order(order_key, static_cast<uint64_t>(blocks));
        const auto index = static_cast<int64_t>(order(static_cast<uint64_t>(turn)));
        kernel.stream(task, block_at(epoch, index, epoch.block_size));
      });
}

void run_predict(const Kernel& kernel, const Epoch& epoch, float* predictions) {
  for_blocks(
      epoch, epoch.block_size, [](Task&, int) {},
      [&](const Task& task, int64_t turn, int64_t) {
        kernel.predict(task, block_at(epoch, turn, epoch.block_size), predictions);
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

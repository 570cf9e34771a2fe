#include <algorithm>
#include <atomic>

#include "core/embedding/kernel.h"
#include "core/epoch.h"
#include "core/parallel.h"

namespace mascot {
namespace {

constexpr const EmbeddingKernel* kKernels[] = {
#if defined(__x86_64__)
    &kAvx512Embedding, &kAvx2Embedding,
#elif defined(__aarch64__)
    &kNeonEmbedding,
#endif
    &kPortableEmbedding};

// Lookups for which one more thread pays. With a fifth as many, a batch of 3,328 look-ups took 1.1
// to 1.3 times as long by two threads as by one.
constexpr int64_t kLookupsPerThread = 8192;

int team(const Lookups& lookups, int threads) {
  const int64_t useful = lookups.batch * lookups.fields / kLookupsPerThread;
  return static_cast<int>(std::clamp<int64_t>(useful, 1, threads));
}

// Rows of a Zipf distribution are small numbers in part: their hash is not.
uint64_t hash_of(uint32_t row) { return (row * kGoldenGamma) >> 32; }

// Calls work(unique rows, field) for every field. A field's rows are its own: no two threads share
// one.
template <class Work>
void for_fields(const Lookups& lookups, int threads, const Work& work) {
  std::atomic<int64_t> next = 0;
  run_threads(team(lookups, threads), [&](int) {
    UniqueRows unique(lookups.batch);
    for (int64_t field = next++; field < lookups.fields; field = next++) {
      unique.find(lookups, field);
      work(unique, field);
    }
  });
}

}  // namespace

UniqueRows::UniqueRows(int64_t batch)
    : unique_(static_cast<std::size_t>(batch)), next_(static_cast<std::size_t>(batch)) {
  std::size_t slots = 1;
  while (slots < 2 * unique_.size()) slots *= 2;
  slots_.resize(slots);
}

void UniqueRows::find(const Lookups& lookups, int64_t field) {
  std::fill(slots_.begin(), slots_.end(), Slot{0, -1});
  const std::size_t mask = slots_.size() - 1;
  const uint32_t* row = lookups.rows + field;
  int32_t found = 0;
  for (int32_t place = 0; place < lookups.batch; ++place, row += lookups.fields) {
    next_[static_cast<std::size_t>(place)] = -1;
    std::size_t at = hash_of(*row) & mask;
    while (slots_[at].index >= 0 && slots_[at].row != *row) at = (at + 1) & mask;
    Slot& slot = slots_[at];
    if (slot.index < 0) {
      slot = {*row, found};
      unique_[static_cast<std::size_t>(found++)] = {*row, place, place};
    } else {
      int32_t& last = unique_[static_cast<std::size_t>(slot.index)].last;
      next_[static_cast<std::size_t>(last)] = place;
      last = place;
    }
  }
  size_ = found;
}

const EmbeddingKernel* find_embedding_kernel(std::string_view name) {
  const Kernel* kernel = find_kernel(name);
  if (kernel == nullptr) return nullptr;
  for (const EmbeddingKernel* embedding : kKernels) {
    if (std::string_view(embedding->name) == kernel->name) return embedding;
  }
  return nullptr;
}

void run_lookup(const EmbeddingKernel& kernel, const Embedding& embedding, const Lookups& lookups,
                int threads, float* values) {
  const int members = team(lookups, threads);
  run_threads(members, [&](int thread) {
    // Whole impressions, so that every part begins with field 0.
    const int64_t begin = lookups.batch * thread / members * lookups.fields;
    const int64_t end = lookups.batch * (thread + 1) / members * lookups.fields;
    kernel.lookup(embedding, lookups, begin, end, values);
  });
}

void run_update(const EmbeddingKernel& kernel, const Embedding& embedding, const Lookups& lookups,
                int threads, const float* gradients, float rate, uint64_t key) {
  for_fields(lookups, threads, [&](const UniqueRows& unique, int64_t field) {
    kernel.update(embedding, lookups, unique, field, gradients, rate, key);
  });
}

void run_coalesce(const EmbeddingKernel& kernel, const Lookups& lookups, int64_t dimension,
                  int threads, const float* gradients, float* sums) {
  for_fields(lookups, threads, [&](const UniqueRows& unique, int64_t field) {
    kernel.coalesce(lookups, unique, field, dimension, gradients, sums);
  });
}

}  // namespace mascot

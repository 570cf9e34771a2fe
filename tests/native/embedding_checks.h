// Part of core_driver.cc: tables of embeddings by every kernel and number of threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/embedding/kernel.h"
#include "core/random.h"

namespace mascot::checks {

struct TierStorages {
  RowStorage wide, narrow;
};

// Memory of exactly the sizes that rows take, so that what lies behind is poisoned.
struct EmbeddingWorld {
  static constexpr int64_t kBatch = 1300, kFields = 27, kWide = 60, kNarrow = 300;

  EmbeddingWorld(const TierStorages& storages, int64_t dimension)
      : wide(static_cast<std::size_t>(kWide * row_bytes(storages.wide, dimension))),
        narrow(static_cast<std::size_t>(kNarrow * row_bytes(storages.narrow, dimension))),
        values(static_cast<std::size_t>(kNarrow * dimension)),
        gradients(static_cast<std::size_t>(kBatch * kFields * dimension)),
        rows(kBatch * kFields),
        scales(kFields, 0.01f) {
    fill(values, 2);
    fill(gradients, 3);
    // A row is of the field that its number leaves as remainder.
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const auto field = static_cast<uint32_t>(i % kFields);
      const uint32_t draw = draw32(4, i);
      const uint32_t most = draw % 3 == 0 ? 1 : (kWide + kNarrow) / kFields;
      rows[i] = draw / 3 % most * kFields + field;
    }
    scales[3] = 0;
  }
  static void fill(std::vector<float>& numbers, uint64_t key) {
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      numbers[i] = static_cast<float>(static_cast<int32_t>(draw32(key, i))) * 0x1p-31f;
      if (i % 97 == 0) numbers[i] *= 0x1p-110f;
    }
  }

  std::vector<uint8_t> wide, narrow;
  std::vector<float> values, gradients;
  std::vector<uint32_t> rows;
  std::vector<float> scales;
};

template <class Number>
void append(std::vector<unsigned char>& bytes, const std::vector<Number>& numbers) {
  const auto* first = reinterpret_cast<const unsigned char*>(numbers.data());
  bytes.insert(bytes.end(), first, first + numbers.size() * sizeof(Number));
}

// Everything that a kernel does, and all that is left in memory.
inline std::vector<unsigned char> run_embedding(const EmbeddingKernel& kernel,
                                                const TierStorages& storages, int64_t dimension,
                                                int threads) {
  EmbeddingWorld world(storages, dimension);
  const Embedding embedding = {{world.wide.data(), EmbeddingWorld::kWide, storages.wide},
                               {world.narrow.data(), EmbeddingWorld::kNarrow, storages.narrow},
                               dimension,
                               world.scales.data(),
                               7};
  const Lookups lookups = {world.rows.data(), EmbeddingWorld::kBatch, EmbeddingWorld::kFields};
  kernel.store(embedding.wide, dimension, 0, EmbeddingWorld::kWide, world.values.data(), 1);
  if (storages.narrow == RowStorage::kInt4Table) {
    for (std::size_t i = 0; i < world.narrow.size(); ++i) {
      world.narrow[i] = static_cast<uint8_t>(i);
    }
  } else {
    kernel.store(embedding.narrow, dimension, 0, EmbeddingWorld::kNarrow, world.values.data(), 5);
    run_update(kernel, embedding, lookups, threads, world.gradients.data(), 0.1f, 6);
  }
  std::vector<float> values(world.gradients.size()), sums(world.gradients.size());
  run_lookup(kernel, embedding, lookups, threads, values.data());
  run_coalesce(kernel, lookups, dimension, threads, world.gradients.data(), sums.data());
  std::vector<unsigned char> bytes;
  append(bytes, world.wide);
  append(bytes, world.narrow);
  append(bytes, values);
  append(bytes, sums);
  return bytes;
}

// Calls same(name of a kernel, threads, bytes, expected) for each, with the first's bytes; add adds
// these to the digest.
template <class Same, class Add>
void check_embeddings(const std::vector<const Kernel*>& kernels, const Same& same, const Add& add) {
  using S = RowStorage;
  constexpr TierStorages kStorages[] = {{S::kFloat32, S::kFloat16}, {S::kFloat32, S::kInt8},
                                        {S::kFloat32, S::kInt4},    {S::kFloat32, S::kInt4Table},
                                        {S::kFloat16, S::kInt4},    {S::kInt8, S::kFloat32},
                                        {S::kInt4, S::kFloat16}};
  for (const TierStorages& storages : kStorages) {
    for (const int64_t dimension : {16, 32, 48, 64}) {
      std::vector<unsigned char> expected;
      for (const Kernel* kernel : kernels) {
        const EmbeddingKernel& embedding = *find_embedding_kernel(kernel->name);
        for (const int threads : {1, 2, 4}) {
          const auto found = run_embedding(embedding, storages, dimension, threads);
          if (expected.empty()) expected = found;
          same(embedding.name, threads, found == expected);
        }
      }
      add(expected);
    }
  }
}

}  // namespace mascot::checks

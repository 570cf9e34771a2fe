#include "bind/cuda_decode.h"

#include "bind/on_device.h"

namespace mascot::bind {

cuda::Writes decode_writes(const ExecutionAttribute& execution) {
  return decode_choice<cuda::Writes>(
      execution.writes, "writes", {{"add", cuda::Writes::kAdd}, {"store", cuda::Writes::kStore}});
}

cuda::RowShape decode_shape(const RowAttribute& row) {
  constexpr int64_t kMostFactors = int64_t{1} << cuda::kWholeRow;
  require(row.factors > 0 && row.factors <= kMostFactors,
          "factors must lie between 1 and " + std::to_string(kMostFactors));
  int bits = cuda::kWholeRow;
  if (row.scale_block < chunk_count(row.factors) * kLanes) {
    for (bits = 0; int64_t{1} << bits < row.scale_block;) ++bits;
    require(row.scale_block == int64_t{1} << bits,
            "scale_block must be a power of two on a GPU, or span the row");
  }
  return {static_cast<int>(row.factors), bits};
}

cuda::Side decode_side(const GroupBuffers& groups, const std::vector<ffi::AnyBuffer>& tables,
                       const RowAttribute& row, const char* side) {
  const int64_t count = decode_group_count(groups, side);
  const Tables decoded = decode_tables(tables, row, side);
  cuda::Side result = {
      {}, groups.starts.typed_data(), groups.codes.typed_data(), count, decoded.rows, nullptr};
  for (int s = 0; s < kStorages; ++s) result.tables[s] = decoded.by_storage[s];
  return result;
}

void require_trainable(const cuda::Pass& pass) {
  for (const cuda::Side* side : {&pass.users, &pass.items}) {
    for (int code = 0; code < kStorages; ++code) {
      const auto& [name, bytes, exponent, scaled] = kTraits[code];
      const bool held = scaled && side->tables[code].data != nullptr;
      require(!held || pass.shape.factors <= cuda::kMostHeldFactors,
              std::string("a GPU trains ") + name + " rows of at most " +
                  std::to_string(cuda::kMostHeldFactors) + " factors, not " +
                  std::to_string(pass.shape.factors) + "; use another storage or the cpu back end");
    }
  }
}

void require_computable(const cuda::Pass& pass, Arithmetic arithmetic) {
  if (arithmetic == Arithmetic::kFloat32) return;
  require(pass.shape.factors <= cuda::kMostHeldFactors,
          "a GPU computes in other arithmetic than float32 for at most " +
              std::to_string(cuda::kMostHeldFactors) + " factors, not " +
              std::to_string(pass.shape.factors) + "; use the cpu back end");
  const Storage wanted = storage_for(arithmetic);
  for (const cuda::Side* side : {&pass.users, &pass.items}) {
    for (int s = 0; s < kStorages; ++s) {
      require((side->tables[s].data != nullptr) == (s == static_cast<int>(wanted)),
              std::string("this arithmetic needs all rows in ") + traits(wanted).name);
    }
  }
}

void require_stoppable(const cuda::Pass& pass, Arithmetic arithmetic) {
  require(arithmetic == Arithmetic::kFloat32, "updates end early in float32 arithmetic only");
  for (const cuda::Side* side : {&pass.users, &pass.items}) {
    require(side->tables[static_cast<int>(kCode<Int8>)].data == nullptr,
            "a GPU ends updates of float32 and float16 rows early, not of int8; use the cpu back "
            "end");
  }
}

void fill_metadata(cuda::Pass& pass, ffi::ScratchAllocator& allocator, cudaStream_t stream) {
  if (pass.lookup != Lookup::kPerRow) return;
  for (cuda::Side* side : {&pass.users, &pass.items}) {
    side->metadata = scratch<uint32_t>(allocator, side->rows);
    check(cuda::write_metadata(*side, stream));
  }
}

cuda::Training make_training(const cuda::Pass& pass, F32 rates, U32 counters, cuda::Writes writes,
                             ffi::ScratchAllocator& allocator) {
  const int64_t groups = pass.users.groups + pass.items.groups;
  float* sums = scratch<float>(allocator, groups * cuda::sums_width(pass.shape.factors));
  return {rates.typed_data(), counters.typed_data(), sums, writes, nullptr};
}

}  // namespace mascot::bind

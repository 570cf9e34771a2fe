#include "bind/direct.h"

#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <string>
#include <vector>

#include "core/epoch.h"

namespace nb = nanobind;

namespace mascot::bind {
namespace {

template <class T>
using Vector = nb::ndarray<T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Bytes = nb::ndarray<const uint8_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

void require(bool condition, const char* message) {
  if (!condition) throw nb::value_error(message);
}

// One side as mascot_jax.engine.direct makes it: tables[i] holds every row's bytes in the storage
// codes[i], at 64-byte boundaries.
Side decode_side(const Vector<const uint32_t>& starts, const Vector<const uint8_t>& group_codes,
                 const std::vector<Bytes>& tables, const std::vector<int>& codes, int64_t factors,
                 int64_t scale_block) {
  constexpr int64_t kRowAlignment = 64;
  const auto groups = static_cast<int64_t>(group_codes.shape(0));
  require(groups > 0 && static_cast<int64_t>(starts.shape(0)) == groups + 1 && starts(0) == 0 &&
              std::is_sorted(starts.data(), starts.data() + groups + 1),
          "groups need a rising start for each, and one more");
  const int64_t scale_chunks =
      std::max<int64_t>(std::min(scale_block / kLanes, chunk_count(factors)), 1);
  Side side = {{}, Groups(starts.data(), group_codes.data(), groups)};
  require(tables.size() == codes.size(), "a table needs a code");
  for (size_t i = 0; i < tables.size(); ++i) {
    require(codes[i] >= 0 && codes[i] < kStorages, "unknown storage code");
    const auto storage = static_cast<Storage>(codes[i]);
    const auto bytes = static_cast<int64_t>(tables[i].shape(1));
    require(static_cast<int64_t>(tables[i].shape(0)) == side.groups.end(groups - 1),
            "a table must have the groups' rows");
    require(bytes % kRowAlignment == 0 &&
                bytes >= row_bytes(storage, chunk_count(factors), scale_chunks) &&
                reinterpret_cast<uintptr_t>(tables[i].data()) % kRowAlignment == 0,
            "rows must be padded and aligned to 64 bytes");
    Table& table = side.tables[static_cast<size_t>(codes[i])];
    table = {const_cast<uint8_t*>(tables[i].data()), bytes / traits(storage).bytes};
    if (traits(storage).scaled) table.scale_chunks = scale_chunks;
  }
  for (int64_t g = 0; g < groups; ++g) {
    require(group_codes(static_cast<size_t>(g)) < kStorages &&
                side.table(side.groups.storage(g)).data != nullptr,
            "a group is in a storage that has no table");
  }
  return side;
}

void require_rows(const Vector<const uint32_t>& rows, const Side& side) {
  const auto count = static_cast<uint32_t>(side.groups.end(side.groups.size() - 1));
  require(std::all_of(rows.data(), rows.data() + rows.shape(0),
                      [&](uint32_t row) { return row < count; }),
          "a row does not exist");
}

// The rows of both sides, and how to read them.
class Predictor {
 public:
  Predictor(Vector<const uint32_t> user_starts, Vector<const uint8_t> user_groups,
            std::vector<Bytes> user_tables, const std::vector<int>& user_codes,
            Vector<const uint32_t> item_starts, Vector<const uint8_t> item_groups,
            std::vector<Bytes> item_tables, const std::vector<int>& item_codes, int64_t factors,
            int64_t scale_block, const std::string& instruction_set)
      : starts_{user_starts, item_starts},
        groups_{user_groups, item_groups},
        tables_{std::move(user_tables), std::move(item_tables)},
        factors_(factors),
        kernel_(find_kernel(instruction_set)),
        users_(decode_side(user_starts, user_groups, tables_[0], user_codes, factors, scale_block)),
        items_(
            decode_side(item_starts, item_groups, tables_[1], item_codes, factors, scale_block)) {
    require(factors > 0, "factors must be at least 1");
    require(kernel_ != nullptr, "instruction set is unknown or not supported here");
  }

  void predict(Vector<const uint32_t> users, Vector<const uint32_t> items, Vector<float> out,
               int64_t block_size, int threads) const {
    require(users.shape(0) == items.shape(0) && users.shape(0) == out.shape(0),
            "users, items and predictions must be equally many");
    require(block_size > 0 && block_size <= kMostPerBlock && threads > 0,
            "block_size and threads must be at least 1, and blocks not too large");
    const nb::gil_scoped_release others_may_run;
    require_rows(users, users_);
    require_rows(items, items_);
    const Ratings pairs = {users.data(), items.data(), nullptr,
                           static_cast<int64_t>(users.shape(0))};
    run_predict(*kernel_, {pairs, users_, items_, factors_, block_size, threads}, out.data());
  }

 private:
  // Kept alive: the views below point into them.
  Vector<const uint32_t> starts_[2];
  Vector<const uint8_t> groups_[2];
  std::vector<Bytes> tables_[2];
  int64_t factors_;
  const Kernel* kernel_;
  Side users_, items_;
};

}  // namespace

void define_direct(nb::module_& module) {
  nb::class_<Predictor>(module, "Predictor",
                        "Predictions of a model's rows, bit for bit those of mascot_predict.")
      .def(nb::init<Vector<const uint32_t>, Vector<const uint8_t>, std::vector<Bytes>,
                    std::vector<int>, Vector<const uint32_t>, Vector<const uint8_t>,
                    std::vector<Bytes>, std::vector<int>, int64_t, int64_t, std::string>())
      .def("predict", &Predictor::predict, "Write p_u . q_i of each pair of rows into ``out``.");
}

}  // namespace mascot::bind

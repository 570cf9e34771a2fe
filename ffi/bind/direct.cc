#include "bind/direct.h"

#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <string>
#include <vector>

#include "bind/decode.h"
#include "core/epoch.h"
#include "core/projection.h"

namespace nb = nanobind;

namespace mascot::bind {
namespace {

template <class T>
using Vector = nb::ndarray<T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
template <class T>
using Matrix = nb::ndarray<T, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Bytes = Matrix<const uint8_t>;

// One side as mascot_jax.engine.direct makes it: tables[i] holds every row's bytes in the storage
// codes[i], at 64-byte boundaries.
Side decode_side(const Vector<const uint32_t>& starts, const Vector<const uint8_t>& group_codes,
                 const std::vector<Bytes>& tables, const std::vector<int>& codes,
                 const RowAttribute& row, const std::string& name) {
  const auto groups = static_cast<int64_t>(group_codes.shape(0));
  require(groups > 0 && static_cast<int64_t>(starts.shape(0)) == groups + 1,
          name + ": groups need at least one code, and one start more than codes");
  require(!tables.empty() && tables.size() == codes.size(), name + ": each table needs a code");
  const int64_t used = check_groups(starts.data(), group_codes.data(), groups, name);
  Side side = {{}, Groups(starts.data(), group_codes.data(), used)};
  auto rows = static_cast<int64_t>(tables[0].shape(0));
  for (size_t i = 0; i < tables.size(); ++i) {
    require(codes[i] >= 0 && codes[i] < kStorages, name + ": unknown storage code");
    const auto storage = static_cast<Storage>(codes[i]);
    const auto bytes = static_cast<int64_t>(tables[i].shape(1));
    check_rows(tables[i].data(), bytes, storage, row, name);
    rows = std::min(rows, static_cast<int64_t>(tables[i].shape(0)));
    Table& table = side.tables[static_cast<size_t>(codes[i])];
    table = {const_cast<uint8_t*>(tables[i].data()), bytes / traits(storage).bytes};
    if (traits(storage).scaled) table.scale_chunks = scale_chunks(row);
  }
  check_side(side, rows, name);
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
        users_(decode_side(user_starts, user_groups, tables_[0], user_codes, {factors, scale_block},
                           "users")),
        items_(decode_side(item_starts, item_groups, tables_[1], item_codes, {factors, scale_block},
                           "items")) {
    require(kernel_ != nullptr, "instruction set is unknown or not supported here");
  }

  void predict(Vector<const uint32_t> users, Vector<const uint32_t> items, Vector<float> out,
               int64_t block_size, int threads) const {
    require(users.shape(0) == items.shape(0) && users.shape(0) == out.shape(0),
            "users, items and predictions must be equally many");
    require_block_size(block_size);
    require(threads > 0, "threads must be at least 1");
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

void write_mixed_axes(const Matrix<const double>& moments, const Matrix<float>& basis) {
  const auto n = static_cast<int64_t>(moments.shape(0));
  const auto kept = static_cast<int64_t>(basis.shape(1));
  require(static_cast<int64_t>(moments.shape(1)) == n && n <= kMostProjected,
          "moments must be square, of " + std::to_string(kMostProjected) + " factors at most");
  require(static_cast<int64_t>(basis.shape(0)) == n && kept >= 1 && kept <= n,
          "the basis must be [factors, 1 to factors]");
  const nb::gil_scoped_release others_may_run;
  std::vector<double> overwritten(moments.data(), moments.data() + n * n);
  mixed_axes(overwritten.data(), n, kept, basis.data());
}

}  // namespace

void define_direct(nb::module_& module) {
  nb::class_<Predictor>(module, "Predictor",
                        "Predictions of a model's rows, bit for bit those of mascot_predict.")
      .def(nb::init<Vector<const uint32_t>, Vector<const uint8_t>, std::vector<Bytes>,
                    std::vector<int>, Vector<const uint32_t>, Vector<const uint8_t>,
                    std::vector<Bytes>, std::vector<int>, int64_t, int64_t, std::string>())
      .def("predict", &Predictor::predict, "Write p_u . q_i of each pair of rows into ``out``.");
  module.def("write_mixed_axes", &write_mixed_axes,
             "Write the mixed principal axes of second moments, float64 [n, n], into ``basis``, "
             "float32 [n, kept].");
}

}  // namespace mascot::bind

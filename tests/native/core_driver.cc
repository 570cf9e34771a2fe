// Runs the native core over generated ratings, for sanitizers to watch (.ci/sanitize) and on
// other CPUs (.ci/aarch64).
//   core_driver deterministic   orders in which no two threads share a row, also by two workers
//   core_driver hogwild         orders in which they do
//   core_driver hogwild 31      for these k only; else for some with and without padding and
//   constants
//   core_driver once neon float16 stochastic 128 300   300 ratings by one kernel and no more, for
//   its instructions to be counted
// Every storage, rounding, order and number of threads.
// Exit status 1 where results differ that should not. What is printed last ends with a digest of
// all results that are promised to be the same: on every CPU it is the same, too (.ci/aarch64).
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <initializer_list>
#include <new>
#include <string_view>
#include <utility>
#include <vector>

#include "core/epoch.h"
#include "core/exchange.h"
#include "core/layout.h"
#include "core/projection.h"
#include "core/random.h"
#include "core/rotations.h"
#include "core/tables.h"
#include "tests/native/embedding_checks.h"

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

// Kernels that are left out of the build.
namespace mascot {
#if defined(MASCOT_WITHOUT_AVX2)
const Kernel kAvx2 = {"avx2", [] { return false; }, nullptr, nullptr, nullptr, nullptr, nullptr};
const EmbeddingKernel kAvx2Embedding = {"avx2", nullptr, nullptr, nullptr, nullptr};
#endif
#if defined(MASCOT_WITHOUT_AVX512)
const Kernel kAvx512 = {"avx512", [] { return false; }, nullptr, nullptr, nullptr, nullptr,
                        nullptr};
const EmbeddingKernel kAvx512Embedding = {"avx512", nullptr, nullptr, nullptr, nullptr};
#endif
}  // namespace mascot

namespace {

using namespace mascot;

constexpr int64_t kUsers = 61, kItems = 43, kCount = 700;
constexpr int64_t kBlockSize = 64;
constexpr std::align_val_t kAlignment{64};
constexpr uint64_t kKey = 20211;

// Memory of exactly the size that a row may touch: what lies behind it is poisoned.
class Rows {
 public:
  Rows(int64_t rows, int64_t stride, int64_t width)
      : bytes_(static_cast<std::size_t>(rows * stride * width)),
        data_(::operator new(bytes_, kAlignment)) {
    std::memset(data_, 0, bytes_);
  }
  Rows(const Rows&) = delete;
  Rows& operator=(const Rows&) = delete;
  ~Rows() { ::operator delete(data_, kAlignment); }
  void* data() { return data_; }
  std::vector<unsigned char> copy() const {
    const auto* bytes = static_cast<const unsigned char*>(data_);
    return {bytes, bytes + bytes_};
  }

 private:
  std::size_t bytes_;
  void* data_;
};

// One case of the matrix.
struct Case {
  const Kernel* kernel;
  int64_t factors;
  std::vector<uint8_t> codes;  // of the groups, in turn
  int64_t scale_block;         // components
  Rounding rounding;
  bool strata;
  bool conflict_free;
  double sample_ratio;
  Computation computation = {};
  const Drawing* drawing = nullptr;  // of interactions
};

// The users, or the items, in every storage.
class Tables {
 public:
  Tables(const Case& c, int64_t rows, uint64_t salt)
      : starts_{0, 1, static_cast<uint32_t>(rows / 3), static_cast<uint32_t>(rows / 2),
                static_cast<uint32_t>(rows)},
        scale_chunks_(std::min(c.scale_block / kLanes, chunk_count(c.factors))) {
    for (int code = 0; code < kStorages; ++code) {
      tables_.emplace_back(rows, stride(code, c), kTraits[code].bytes);
    }
    for (std::size_t g = 0; g + 1 < starts_.size(); ++g) {
      codes_.push_back(c.codes[g % c.codes.size()]);
    }
    set(c, [salt](uint64_t number) {
      const float uniform = static_cast<float>(draw32(kKey + salt, number)) * 0x1p-32f;
      return 0.3f * (uniform - 0.5f);
    });
  }

  // Component i of all rows: value(i).
  template <class Value>
  void set(const Case& c, const Value& value) {
    const int exact = static_cast<int>(kCode<Float32>);
    auto* values = static_cast<float*>(tables_[exact].data());
    for (int64_t row = 0; row < starts_.back(); ++row) {
      for (int64_t k = 0; k < c.factors; ++k) {
        values[row * stride(exact, c) + k] = value(static_cast<uint64_t>(row * c.factors + k));
      }
    }
    const Side all = side(c);
    for (int64_t g = 0; g < all.groups.size(); ++g) {
      c.kernel->convert(all, kCode<Float32>, all.groups.storage(g), c.factors, all.groups.begin(g),
                        all.groups.end(g));
    }
  }

  Side side(const Case& c) {
    Side side = {{}, groups()};
    for (int code = 0; code < kStorages; ++code) {
      side.tables[code] = {tables_[code].data(), stride(code, c), scale_chunks_};
    }
    return side;
  }
  Groups groups() const {
    return {starts_.data(), codes_.data(), static_cast<int64_t>(codes_.size())};
  }
  // Switches every second group to the next higher precision.
  void promote(const Case& c, int threads) {
    const Side before = side(c);
    std::vector<uint8_t> codes = codes_;
    for (std::size_t g = 0; g < codes.size(); g += 2) codes[g] -= codes[g] > 0;
    const Groups after(starts_.data(), codes.data(), static_cast<int64_t>(codes.size()));
    mascot::promote(*c.kernel, before, after, c.factors, threads);
    codes_ = codes;
  }
  bool finite(const Case& c, int threads) {
    std::vector<uint8_t> finite(codes_.size());
    check_finite(side(c), c.factors, threads, finite.data());
    for (const uint8_t group : finite) {
      if (!group) return false;
    }
    return true;
  }
  void append_to(std::vector<unsigned char>& bytes) const {
    for (const Rows& rows : tables_) {
      const std::vector<unsigned char> copy = rows.copy();
      bytes.insert(bytes.end(), copy.begin(), copy.end());
    }
  }

 private:
  // Elements from one row to the next: whole cache lines.
  int64_t stride(int code, const Case& c) const {
    const int64_t used =
        row_bytes(static_cast<Storage>(code), chunk_count(c.factors), scale_chunks_);
    return (used + 63) / 64 * 64 / kTraits[code].bytes;
  }

  std::vector<uint32_t> starts_;
  std::vector<uint8_t> codes_;
  int64_t scale_chunks_;
  std::deque<Rows> tables_;  // by code
};

// Ratings, laid out in blocks of strata: each block's lie together. Interactions are sorted by user
// and item, and each is there once.
struct World {
  std::vector<uint32_t> user, item, begin;
  std::vector<float> rating;
  std::vector<uint32_t> user_starts{0, 20, 20, kUsers}, item_starts{0, 1, kItems};

  explicit World(bool interactions = false) {
    const std::size_t user_ranges = user_starts.size() - 1, item_ranges = item_starts.size() - 1;
    for (std::size_t a = 0; a < user_ranges; ++a) {
      for (std::size_t b = 0; b < item_ranges; ++b) {
        begin.push_back(static_cast<uint32_t>(user.size()));
        for (uint64_t i = 0; i < kCount; ++i) add(i, a, b);
        if (interactions) sort_from(begin.back());
      }
    }
  }

 private:
  void add(uint64_t number, std::size_t a, std::size_t b) {
    // Runs of three of a user: consecutive ratings of one are updated together.
    const uint32_t u = draw32(kKey + 1, number / 3) % kUsers, i = draw32(kKey + 2, number) % kItems;
    if (u < user_starts[a] || u >= user_starts[a + 1]) return;
    if (i < item_starts[b] || i >= item_starts[b + 1]) return;
    user.push_back(u);
    item.push_back(i);
    rating.push_back(1 + static_cast<float>(draw32(kKey + 3, number) % 5));
  }

  void sort_from(std::size_t first) {
    std::vector<std::pair<uint32_t, uint32_t>> pairs;
    for (std::size_t i = first; i < user.size(); ++i) pairs.emplace_back(user[i], item[i]);
    std::sort(pairs.begin(), pairs.end());
    pairs.erase(std::unique(pairs.begin(), pairs.end()), pairs.end());
    user.resize(first);
    item.resize(first);
    rating.resize(first + pairs.size(), 1);
    for (const auto& [u, i] : pairs) {
      user.push_back(u);
      item.push_back(i);
    }
  }
};

template <class Number>
void append(const std::vector<Number>& numbers, std::vector<unsigned char>& bytes) {
  const auto* begin = reinterpret_cast<const unsigned char*>(numbers.data());
  bytes.insert(bytes.end(), begin, begin + numbers.size() * sizeof(Number));
}

// Projects both sides onto half their factors; appends every byte that came of it.
void append_projected(const Case& c, const Ratings& ratings, Tables& users, Tables& items,
                      int threads, std::vector<unsigned char>& bytes) {
  Case narrow = c;
  narrow.factors = (c.factors + 1) / 2;
  const Side user_side = users.side(c), item_side = items.side(c);
  std::vector<float> basis(static_cast<std::size_t>(c.factors * narrow.factors));
  joint_basis(*c.kernel, {&ratings, &user_side, &item_side, c.factors, narrow.factors, threads},
              basis.data());
  append(basis, bytes);
  const int64_t width = chunk_count(narrow.factors) * kLanes;
  RowBuffer padded(chunk_count(c.factors) * kLanes * width);
  for (int64_t row = 0; row < c.factors; ++row) {
    std::copy_n(basis.data() + row * narrow.factors, narrow.factors, padded.data() + row * width);
  }
  for (Tables* side : {&users, &items}) {
    Tables fewer(narrow, side == &users ? kUsers : kItems, 12);
    Side to = fewer.side(narrow);
    to.groups = side->groups();
    project(*c.kernel, side->side(c), to,
            {padded.data(), c.factors, narrow.factors, {c.rounding, kKey}, 0}, threads);
    fewer.append_to(bytes);
  }
}

// Trains two epochs with a promotion between them; returns every byte that came of it.
std::vector<unsigned char> run(const Case& c, const World& world, int threads) {
  Tables users(c, kUsers, 10), items(c, kItems, 11);
  const auto count = static_cast<int64_t>(world.user.size());
  std::vector<unsigned char> bytes;
  for (uint32_t number = 0; number < 2; ++number) {
    Strata strata;
    if (c.strata) {
      strata = {world.user_starts.data(),
                world.item_starts.data(),
                world.begin.data(),
                static_cast<int64_t>(world.user_starts.size()) - 1,
                static_cast<int64_t>(world.item_starts.size()) - 1,
                c.conflict_free};
    }
    const Epoch epoch = {{world.user.data(), world.item.data(), world.rating.data(), count},
                         users.side(c),
                         items.side(c),
                         c.factors,
                         kBlockSize,
                         threads,
                         {0.01f, 0.02f, 0.03f},
                         7,
                         number,
                         c.sample_ratio,
                         c.rounding,
                         c.computation,
                         strata};
    const auto width = static_cast<std::size_t>(c.factors + kStatistics);
    std::vector<float> user_sums(static_cast<std::size_t>(epoch.users.groups.size()) * width);
    std::vector<float> item_sums(static_cast<std::size_t>(epoch.items.groups.size()) * width);
    if (c.drawing == nullptr) {
      run_epoch(*c.kernel, epoch, user_sums.data(), item_sums.data());
    } else {
      run_interactions(*c.kernel, epoch, *c.drawing, user_sums.data(), item_sums.data());
    }
    std::vector<float> predictions(static_cast<std::size_t>(count), NAN);
    run_predict(*c.kernel, epoch, predictions.data());
    if (!c.conflict_free) run_stream(*c.kernel, epoch);
    std::vector<float> cut_off(static_cast<std::size_t>(count), NAN);
    std::vector<uint32_t> stops(static_cast<std::size_t>(count));
    run_predict_to_stop(*c.kernel, epoch, cut_off.data(), stops.data());
    for (const auto* part : {&user_sums, &item_sums, &predictions, &cut_off}) append(*part, bytes);
    append(stops, bytes);
    if (number == 1) append_projected(c, epoch.ratings, users, items, threads, bytes);
    for (Tables* side : {&users, &items}) side->promote(c, threads);
  }
  if (!users.finite(c, threads) || !items.finite(c, threads)) return {};
  users.append_to(bytes);
  items.append_to(bytes);
  return bytes;
}

int failures = 0;
uint64_t digest = 0xcbf29ce484222325u;  // FNV-1a

void add_to_digest(const std::vector<unsigned char>& bytes) {
  for (const unsigned char byte : bytes) digest = (digest ^ byte) * 0x100000001b3u;
}

void require(bool fine, const Case& c, int threads, const char* problem) {
  if (fine) return;
  ++failures;
  std::printf("%s, k = %d, %d threads: %s\n", c.kernel->name, static_cast<int>(c.factors), threads,
              problem);
}

// Every kernel and number of threads on one case; the same bytes where that is promised.
void check(Case c, const World& world, const std::vector<const Kernel*>& kernels) {
  std::vector<unsigned char> expected;
  for (const Kernel* kernel : kernels) {
    c.kernel = kernel;
    for (int threads = 1; threads <= 4; ++threads) {
      const std::vector<unsigned char> found = run(c, world, threads);
      require(!found.empty(), c, threads, "factors are not finite");
      const bool same_bits = threads == 1 || c.conflict_free;
      if (expected.empty()) expected = found;
      if (same_bits) require(found == expected, c, threads, "other bits than with one thread");
    }
  }
  add_to_digest(expected);
}

// What one of several workers keeps of a world: its ranges of users, without the others' rows,
// their ratings and all items. What lies behind its ratings is none.
class Share {
 public:
  Share(const Case& c, const World& world, uint32_t worker, const Side& users, const Side& items)
      : c_(c), worker_(worker), range_starts_{0} {
    const std::size_t item_ranges = world.item_starts.size() - 1;
    std::vector<uint32_t> rows;
    for (std::size_t range = 0; range + 1 < world.user_starts.size(); ++range) {
      const bool mine = owner(static_cast<uint32_t>(range)) == worker;
      const uint32_t first = world.user_starts[range], end = world.user_starts[range + 1];
      const auto kept = static_cast<uint32_t>(rows.size());
      for (uint32_t row = first; mine && row < end; ++row) rows.push_back(row);
      range_starts_.push_back(static_cast<uint32_t>(rows.size()));
      for (std::size_t i = 0; i < item_ranges; ++i) {
        begin_.push_back(static_cast<uint32_t>(user_.size()));
        const std::size_t block = range * item_ranges + i;
        const std::size_t last =
            block + 1 < world.begin.size() ? world.begin[block + 1] : world.user.size();
        for (std::size_t n = world.begin[block]; mine && n < last; ++n) {
          user_.push_back(world.user[n] - first + kept);
          item_.push_back(world.item[n]);
          rating_.push_back(world.rating[n]);
        }
      }
    }
    count_ = static_cast<int64_t>(user_.size());
    user_.resize(user_.size() + 9, UINT32_MAX);
    item_.resize(user_.size(), UINT32_MAX);
    rating_.resize(user_.size(), NAN);
    copy(users, rows, user_groups_);
    std::vector<uint32_t> all(kItems);
    for (uint32_t row = 0; row < kItems; ++row) all[row] = row;
    copy(items, all, item_groups_);
    user_words_.resize(words(world.user_starts.size() - 1, range_starts_, user_side()));
    item_words_.resize(words(item_ranges, world.item_starts, item_side()));
  }

  static uint32_t owner(uint32_t user_range) { return user_range == 0 ? 0 : 1; }

  void visit(const World& world, RangePair block, uint32_t number, int threads) {
    const Epoch epoch = {
        {user_.data(), item_.data(), rating_.data(), count_},
        user_side(),
        item_side(),
        c_.factors,
        kBlockSize,
        threads,
        {0.01f, 0.02f, 0.03f},
        7,
        number,
        c_.sample_ratio,
        c_.rounding,
        c_.computation,
        {range_starts_.data(), world.item_starts.data(), begin_.data(),
         static_cast<int64_t>(world.user_starts.size()) - 1,
         static_cast<int64_t>(world.item_starts.size()) - 1, true, world.begin.data()}};
    run_turns(*c_.kernel, epoch, &block, 1, user_words_.data(), item_words_.data());
  }

  // Sends a range of items, in memory of exactly its size.
  void send(const World& world, uint32_t range, Share& to) {
    std::vector<uint32_t> moves(2 * (world.item_starts.size() - 1));
    moves[2 * range] = worker_;
    moves[2 * range + 1] = to.worker_;
    const Exchange exchange = {moves.data(), world.item_starts.data(),
                               static_cast<int64_t>(moves.size() / 2), worker_, to.worker_};
    std::vector<uint8_t> parcel(
        static_cast<std::size_t>(bytes_of(exchange, item_side(), c_.factors)));
    pack(exchange, item_side(), c_.factors, item_words_.data(), parcel.data());
    unpack(exchange, to.item_side(), c_.factors, to.item_words_.data(), parcel.data());
  }

  // Its rows of users, and all items: in both as they would lie in the world's tables.
  bool holds(const World& world, const Side& users, const Side& items) {
    bool same = true;
    for (std::size_t range = 0; range + 1 < world.user_starts.size(); ++range) {
      for (uint32_t i = range_starts_[range]; i < range_starts_[range + 1]; ++i) {
        same &= alike(user_side(), i, users, world.user_starts[range] + i - range_starts_[range]);
      }
    }
    for (uint32_t row = 0; row < kItems; ++row) same &= alike(item_side(), row, items, row);
    return same;
  }

  const std::vector<uint32_t>& user_words() const { return user_words_; }
  const std::vector<uint32_t>& item_words() const { return item_words_; }

 private:
  struct Kept {
    std::deque<Rows> memory;
    std::array<Table, kStorages> tables;
    std::vector<uint32_t> starts{0};
    std::vector<uint8_t> codes;
    Side side() const {
      return {tables, {starts.data(), codes.data(), static_cast<int64_t>(codes.size())}};
    }
  };

  Side user_side() const { return user_groups_.side(); }
  Side item_side() const { return item_groups_.side(); }

  // Groups of which no row is kept stay, without rows, but for the last ones.
  void copy(const Side& from, const std::vector<uint32_t>& rows, Kept& to) {
    for (int64_t g = 0; g < from.groups.size(); ++g) {
      to.codes.push_back(static_cast<uint8_t>(from.groups.storage(g)));
      const auto end = std::lower_bound(rows.begin(), rows.end(), from.groups.end(g));
      to.starts.push_back(static_cast<uint32_t>(end - rows.begin()));
    }
    while (to.starts[to.starts.size() - 2] == to.starts.back()) {
      to.starts.pop_back();
      to.codes.pop_back();
    }
    for (int code = 0; code < kStorages; ++code) {
      const Table& table = from.tables[code];
      const int64_t bytes = kTraits[code].bytes;
      to.memory.emplace_back(static_cast<int64_t>(rows.size()), table.stride, bytes);
      to.tables[code] = table;
      to.tables[code].data = to.memory.back().data();
      for (std::size_t i = 0; i < rows.size(); ++i) {
        std::memcpy(static_cast<char*>(to.tables[code].data) + i * table.stride * bytes,
                    from.row(static_cast<Storage>(code), rows[i]),
                    static_cast<std::size_t>(table.stride * bytes));
      }
    }
  }

  std::size_t words(std::size_t ranges, const std::vector<uint32_t>& starts, const Side& side) {
    return static_cast<std::size_t>(
        count_words(starts.data(), static_cast<int64_t>(ranges), side.groups, c_.factors));
  }

  bool alike(const Side& mine, uint32_t row, const Side& whole, uint32_t there) const {
    const Storage storage = whole.groups.storage(whole.groups.find(there));
    if (mine.groups.storage(mine.groups.find(row)) != storage) return false;
    const Table& table = whole.table(storage);
    const int64_t used = row_bytes(storage, chunk_count(c_.factors), table.scale_chunks);
    return std::memcmp(mine.row(storage, row), whole.row(storage, there),
                       static_cast<std::size_t>(used)) == 0;
  }

  Case c_;
  uint32_t worker_;
  std::vector<uint32_t> range_starts_, user_, item_, begin_;
  std::vector<float> rating_;
  int64_t count_;
  Kept user_groups_, item_groups_;
  std::vector<uint32_t> user_words_, item_words_;
};

// An epoch by two workers, who send each other ranges of items, leaves the bits of one.
void check_shares(Case c, const World& world, const Kernel* kernel, int threads,
                  int64_t rotations) {
  c.kernel = kernel;
  const uint32_t number = 1;
  Tables users(c, kUsers, 10), items(c, kItems, 11);
  std::deque<Share> shares;
  for (uint32_t worker = 0; worker < 2; ++worker) {
    shares.emplace_back(c, world, worker, users.side(c), items.side(c));
  }
  const auto user_ranges = static_cast<int64_t>(world.user_starts.size()) - 1;
  const auto item_ranges = static_cast<int64_t>(world.item_starts.size()) - 1;
  const auto count = static_cast<int64_t>(world.user.size());
  const Epoch epoch = {{world.user.data(), world.item.data(), world.rating.data(), count},
                       users.side(c),
                       items.side(c),
                       c.factors,
                       kBlockSize,
                       threads,
                       {0.01f, 0.02f, 0.03f},
                       7,
                       number,
                       c.sample_ratio,
                       c.rounding,
                       c.computation,
                       {world.user_starts.data(), world.item_starts.data(), world.begin.data(),
                        user_ranges, item_ranges, true, nullptr, rotations}};
  const auto width = static_cast<std::size_t>(c.factors + kStatistics);
  std::vector<float> expected_users(static_cast<std::size_t>(epoch.users.groups.size()) * width);
  std::vector<float> expected_items(static_cast<std::size_t>(epoch.items.groups.size()) * width);
  run_epoch(*kernel, epoch, expected_users.data(), expected_items.data());

  std::vector<int64_t> at(static_cast<std::size_t>(item_ranges), -1);  // -1: in both
  for (const RangePair block :
       draw_rotations(user_ranges, item_ranges, rotations, kUsers >= kItems, 7, number)) {
    const uint32_t worker = Share::owner(block.user_range);
    if (at[block.item_range] == 1 - worker) {
      shares[1 - worker].send(world, block.item_range, shares[worker]);
    }
    at[block.item_range] = worker;
    shares[worker].visit(world, block, number, threads);
  }
  for (uint32_t range = 0; range < at.size(); ++range) {
    shares[static_cast<std::size_t>(at[range])].send(
        world, range, shares[static_cast<std::size_t>(1 - at[range])]);
  }
  for (Share& share : shares) {
    require(share.holds(world, users.side(c), items.side(c)), c, threads,
            "other rows by two workers");
  }
  if (c.sample_ratio == 0) return;
  // The first worker's ranges of users come first.
  std::vector<uint32_t> words = shares[0].user_words();
  words.insert(words.end(), shares[1].user_words().begin(), shares[1].user_words().end());
  std::vector<float> found_users(expected_users.size()), found_items(expected_items.size());
  total_sums(world.user_starts.data(), user_ranges, users.groups(), c.factors, 0.01f, words.data(),
             found_users.data());
  total_sums(world.item_starts.data(), item_ranges, items.groups(), c.factors, 0.01f,
             shares[0].item_words().data(), found_items.data());
  require(std::memcmp(found_users.data(), expected_users.data(),
                      expected_users.size() * sizeof(float)) == 0 &&
              std::memcmp(found_items.data(), expected_items.data(),
                          expected_items.size() * sizeof(float)) == 0,
          c, threads, "other sums by two workers");
}

// A number of any size from 2^-42 to 2^18, of the order of others in its block, or of FP32's
// subnormals; in a third of them FP16's part is all there is, or half an ulp more or about that.
float number_of_any_size(uint64_t number) {
  const uint32_t word = draw32(kKey + 4, number), tail = draw32(kKey + 5, number);
  const uint32_t exponent = 85 + draw32(kKey + 6, number / 32) % 53 + (word >> 24) % 8;
  const uint32_t tails[] = {0, 0x0fff, 0x1000, 0x1001, tail & 0x1fff};
  const uint32_t low = tail % 3 ? tail & 0x1fff : tails[(tail >> 16) % 5];
  const bool subnormal = (word >> 27) % 16 == 0;
  const uint32_t bits = (word & 0x807fe000u) | low | (subnormal ? 1 : exponent << 23);
  return float_of(bits);
}

// One epoch in the order of the ratings, by one thread.
void train(const Ratings& ratings, const Case& c, Tables& users, Tables& items, const Rates& rates,
           uint32_t number) {
  const int64_t block_size = 4096;
  const Epoch epoch = {ratings,
                       users.side(c),
                       items.side(c),
                       c.factors,
                       block_size,
                       1,
                       rates,
                       7,
                       number,
                       0,
                       c.rounding,
                       {},
                       {}};
  const int64_t groups = std::max(epoch.users.groups.size(), epoch.items.groups.size());
  std::vector<float> sums(static_cast<std::size_t>(groups * (c.factors + kStatistics)));
  run_epoch(*c.kernel, epoch, sums.data(), sums.data());
}

// In training, few numbers are large or small. Here each item's row, of zeros, becomes that of a
// user by a step of one, and is stored.
void check_stores(const std::vector<const Kernel*>& kernels) {
  std::vector<uint32_t> both(kItems);
  for (uint32_t row = 0; row < kItems; ++row) both[row] = row;
  const std::vector<float> ones(kItems, 1);
  for (const Rounding rounding : {Rounding::kNearest, Rounding::kStochastic}) {
    for (uint32_t round = 0; round < 8 * kStorages; ++round) {
      std::vector<unsigned char> expected;
      for (const Kernel* kernel : kernels) {
        Case c = {kernel, 128, {0}, 32, rounding, false, false, 0};
        Tables users(c, kUsers, 0);
        users.set(c, [&](uint64_t k) { return number_of_any_size(k + (uint64_t{round} << 32)); });
        std::vector<unsigned char> before;
        users.append_to(before);
        c.codes = {static_cast<uint8_t>(round % kStorages)};
        Tables items(c, kItems, 0);
        items.set(c, [](uint64_t) { return 0.0f; });
        train({both.data(), both.data(), ones.data(), kItems}, c, users, items, {1, 0, 0}, round);
        std::vector<unsigned char> found;
        items.append_to(found);
        // Both begin with the rows in FP32.
        const bool copied = std::memcmp(found.data(), before.data(), kItems * 128 * 4) == 0;
        require(round % kStorages != 0 || copied, c, 1, "FP32 numbers changed by their store");
        if (expected.empty()) expected = found;
        require(found == expected, c, 1, "numbers of some sizes stored as others");
      }
      add_to_digest(expected);
    }
  }
}

// Nowhere two ratings of a user in succession.
int train_once(char** words) {
  const Kernel* kernel = find_kernel(words[0]);
  uint8_t code = 0;
  while (code < kStorages && std::string_view(kTraits[code].name) != words[1]) ++code;
  if (kernel == nullptr || code == kStorages) {
    std::fprintf(stderr, "core_driver: no kernel %s or no storage %s\n", words[0], words[1]);
    return 2;
  }
  const bool nearest = std::string_view(words[2]) == "nearest";
  Case c = {kernel, std::atoi(words[3]), {code}, 32, Rounding::kStochastic, false, false, 0};
  if (nearest) c.rounding = Rounding::kNearest;
  Tables users(c, kUsers, 10), items(c, kItems, 11);
  const int64_t count = std::atoi(words[4]);
  std::vector<uint32_t> user, item;
  for (int64_t i = 0; i < count; ++i) {
    user.push_back(static_cast<uint32_t>(i % kUsers));
    item.push_back(static_cast<uint32_t>(i % kItems));
  }
  const std::vector<float> rating(user.size(), 3);
  train({user.data(), item.data(), rating.data(), count}, c, users, items, {0.01f, 0.02f, 0.03f},
        0);
  return 0;
}

// What a caller may have set, as XLA has: subnormals are zero.
void flush_subnormals() {
#if defined(__x86_64__)
  _mm_setcsr(_mm_getcsr() | 0x8040);
#elif defined(__aarch64__)
  uint64_t word;
  __asm__ volatile("mrs %0, fpcr" : "=r"(word));
  __asm__ volatile("msr fpcr, %0" : : "r"(word | 1 << 24));
#endif
}

// Lays the ratings out, whole or in blocks, in runs or not; every number of threads does the same.
void check_layouts(const World& world) {
  const auto count = static_cast<int64_t>(world.user.size());
  for (const uint32_t ranges : {1u, 5u}) {
    std::vector<uint32_t> user_part(kUsers), item_part(kItems);
    for (uint32_t u = 0; u < kUsers; ++u) user_part[u] = u % ranges * ranges;
    for (uint32_t i = 0; i < kItems; ++i) item_part[i] = i % ranges;
    for (const int64_t longest_run : {0, 1, 8}) {
      std::vector<uint32_t> expected;
      for (int threads = 1; threads <= 4; ++threads) {
        std::vector<uint32_t> user(count), item(count), begin(ranges * ranges);
        std::vector<float> rating(count);
        lay_out({{world.user.data(), world.item.data(), world.rating.data(), count},
                 user_part.data(),
                 item_part.data(),
                 static_cast<int64_t>(begin.size()),
                 longest_run,
                 4,
                 7,
                 threads},
                {user.data(), item.data(), rating.data()}, begin.data());
        user.insert(user.end(), item.begin(), item.end());
        user.insert(user.end(), begin.begin(), begin.end());
        if (expected.empty()) expected = user;
        if (user != expected) {
          ++failures;
          std::printf("layout: %u ranges, %d threads: other than with one\n", ranges, threads);
        }
      }
    }
  }
}

}  // namespace

int main(int count, char** words) {
  const std::string_view which = count > 1 ? words[1] : "";
  if (which == "once" && count == 7) return train_once(words + 2);
  if (which != "deterministic" && which != "hogwild") {
    std::fprintf(stderr,
                 "usage: core_driver deterministic|hogwild [K...], or\n"
                 "core_driver once KERNEL STORAGE ROUNDING K RATINGS\n");
    return 2;
  }
  std::vector<const Kernel*> kernels;
  for (const char* name : {"portable", "neon", "avx2", "avx512"}) {
    if (const Kernel* kernel = find_kernel(name)) kernels.push_back(kernel);
  }
  flush_subnormals();
  const World world;
  check_layouts(world);
  check_stores(kernels);
  const auto same_rows = [](const char* kernel, int threads, bool same) {
    if (same) return;
    ++failures;
    std::printf("%s, %d threads: other embeddings than the first kernel's\n", kernel, threads);
  };
  checks::check_embeddings(kernels, same_rows, add_to_digest);
  int cases = 0;
  const bool deterministic = which == "deterministic";
  std::vector<std::vector<uint8_t>> codes = {{1, 0}, {2, 0, 1, 1}};
  for (uint8_t code = 0; code < kStorages; ++code) codes.push_back({code});
  std::vector<int64_t> ks = {1, 31, 128, 200};
  if (count > 2) ks.clear();
  for (int word = 2; word < count; ++word) ks.push_back(std::max(1, std::atoi(words[word])));
  const std::vector<Computation> quantised = {{Arithmetic::kFloat16, 0},
                                              {Arithmetic::kMixed, 1000},
                                              {Arithmetic::kFixed, 8},
                                              {Arithmetic::kFixed, 32}};
  const Computation early_exit = {Arithmetic::kFloat32, 0, {0.01f, 0.02f}};
  for (const int64_t factors : ks) {
    for (const Computation& computation : quantised) {
      const uint8_t code = computation.arithmetic == Arithmetic::kFloat16 ? 1 : 0;
      check({nullptr,
             factors,
             {code},
             32,
             Rounding::kNearest,
             deterministic,
             deterministic,
             0,
             computation},
            world, kernels);
      ++cases;
    }
    for (const std::vector<uint8_t>& code : codes) {
      for (const double sample_ratio : {0.0, 0.4}) {
        check({nullptr, factors, code, 32, Rounding::kStochastic, deterministic, deterministic,
               sample_ratio, early_exit},
              world, kernels);
        ++cases;
      }
      for (const Rounding rounding : {Rounding::kNearest, Rounding::kStochastic}) {
        for (const double sample_ratio : {0.0, 0.4}) {
          for (const bool strata : {false, true}) {
            if (deterministic && !strata) continue;
            const int64_t scale_block = factors == 128 ? 128 : 32;
            const Case c = {nullptr,  factors, code,          scale_block,
                            rounding, strata,  deterministic, sample_ratio};
            check(c, world, kernels);
            if (deterministic) {
              for (const Kernel* kernel : kernels) {
                for (const int64_t rotations : {0, 2}) check_shares(c, world, kernel, 2, rotations);
              }
            }
            ++cases;
          }
        }
      }
    }
  }
  const World interactions(true);
  const std::vector<float> draws(kUsers, 9.5f);
  std::vector<uint32_t> equal(kItems, 1), weights;
  for (uint32_t i = 0; i < kItems; ++i) weights.push_back(draw32(kKey + 7, i) % 1000);
  for (const int64_t factors : ks) {
    for (const std::vector<uint8_t>& code : codes) {
      for (const Loss loss : {Loss::kSquared, Loss::kLogistic}) {
        const Drawing drawing = {loss, 0.5f, draws.data(),
                                 loss == Loss::kSquared ? equal.data() : weights.data()};
        const Rounding rounding =
            loss == Loss::kSquared ? Rounding::kStochastic : Rounding::kNearest;
        check({nullptr, factors, code, 32, rounding, true, deterministic, 0.4, {}, &drawing},
              interactions, kernels);
        ++cases;
      }
    }
  }
  std::printf("%s: %d cases, %d kernels, 1 to 4 threads, %d failures, digest %016llx\n", words[1],
              cases, static_cast<int>(kernels.size()), failures,
              static_cast<unsigned long long>(digest));
  return failures != 0;
}

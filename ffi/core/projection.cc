#include "core/projection.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <vector>

#include "core/parallel.h"

namespace mascot {
namespace {

// Strips of rows whose moments are added up by one thread each, and then in order: so many whatever
// the number of threads, on which no sum may depend.
constexpr int64_t kStrips = 16;
constexpr int64_t kRowsPerTurn = 1024;
constexpr int kMostCounting = 8;  // threads: each has counts of all rows

int64_t rows_of(const Side& side) { return side.groups.end(side.groups.size() - 1); }

// Calls work(turn) for every turn below `turns`, as threads become free.
template <class Work>
void for_turns(int64_t turns, int threads, const Work& work) {
  std::atomic<int64_t> next = 0;
  run_threads(static_cast<int>(std::clamp<int64_t>(turns, 1, threads)), [&](int) {
    for (int64_t turn = next++; turn < turns; turn = next++) work(turn);
  });
}

// The number of ratings of each of so many rows.
std::vector<float> count_ratings(const uint32_t* row_of_rating, int64_t ratings, int64_t rows,
                                 int threads) {
  const int team = std::min(threads, kMostCounting);
  std::vector<std::vector<int64_t>> counts(team);
  run_threads(team, [&](int thread) {
    std::vector<int64_t>& own = counts[thread];
    own.resize(rows);
    for (int64_t i = ratings * thread / team; i < ratings * (thread + 1) / team; ++i) {
      ++own[row_of_rating[i]];
    }
  });
  std::vector<float> total(rows);
  for (int64_t row = 0; row < rows; ++row) {
    int64_t count = 0;
    for (const std::vector<int64_t>& own : counts) count += own[row];
    total[row] = static_cast<float>(count);
  }
  return total;
}

// Adds the weighted second moments of a side, over their trace, to total [factors, factors].
void add_moments(const Kernel& kernel, const Side& side, const uint32_t* row_of_rating,
                 const Joint& joint, std::vector<double>& total) {
  const int64_t rows = rows_of(side), width = chunk_count(joint.factors) * kLanes;
  const std::vector<float> weights =
      count_ratings(row_of_rating, joint.ratings->count, rows, joint.threads);
  std::vector<std::vector<double>> strips(kStrips, std::vector<double>(width * width));
  for_turns(kStrips, joint.threads, [&](int64_t strip) {
    kernel.add_moments(side, joint.factors, weights.data(), rows * strip / kStrips,
                       rows * (strip + 1) / kStrips, strips[strip].data());
  });
  for (int64_t strip = 1; strip < kStrips; ++strip) {
    for (int64_t i = 0; i < width * width; ++i) strips[0][i] += strips[strip][i];
  }
  double trace = 0;
  for (int64_t i = 0; i < joint.factors; ++i) trace += strips[0][i * width + i];
  if (!(trace > 0)) return;  // all rows are zero: any axes will do
  for (int64_t i = 0; i < joint.factors; ++i) {
    for (int64_t j = 0; j < joint.factors; ++j) {
      total[i * joint.factors + j] += strips[0][std::min(i, j) * width + std::max(i, j)] / trace;
    }
  }
}

// cos(pi m / (2 n)), by its series: a library's last bit differs from machine to machine.
double cosine(int64_t m, int64_t n) {
  m %= 4 * n;
  if (m > 2 * n) m = 4 * n - m;        // cos(2 pi - x) = cos x
  if (m > n) return -cosine(2 * n - m, n);  // cos(pi - x) = -cos x
  constexpr double kHalfPi = 1.57079632679489661923;
  const double x = kHalfPi * static_cast<double>(m) / static_cast<double>(n);
  double sum = 0, term = 1;
  for (int power = 0; power <= 26; power += 2) {  // the next would be below 2^-80
    sum += term;
    term *= -x * x / ((power + 1) * (power + 2));
  }
  return sum;
}

// Column a of the orthogonal matrix that mixes axis d of n: the discrete cosine transform.
double mixing(int64_t d, int64_t a, int64_t n) {
  const double scale = std::sqrt((d == 0 ? 1.0 : 2.0) / static_cast<double>(n));
  return scale * cosine((2 * a + 1) * d, n);
}

// Of a vector and its opposite, the one whose largest component, the first of equals, is positive.
void fix_sign(double* vector, int64_t n) {
  const double* largest = std::max_element(
      vector, vector + n, [](double a, double b) { return std::fabs(a) < std::fabs(b); });
  if (*largest >= 0) return;
  for (int64_t i = 0; i < n; ++i) vector[i] = -vector[i];
}

// Rotates rows p and q: p' = c p - s q, q' = s p + c q.
void rotate(double* p, double* q, double c, double s, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const double x = p[i], y = q[i];
    p[i] = c * x - s * y;
    q[i] = s * x + c * y;
  }
}

// Makes entry (p, q) of a symmetric matrix zero; returns whether it was not, as far as matters.
bool annihilate(double* a, double* v, int64_t n, int64_t p, int64_t q, double negligible) {
  const double apq = a[p * n + q], app = a[p * n + p], aqq = a[q * n + q];
  if (std::fabs(apq) <= negligible) return false;
  const double theta = (aqq - app) / (2 * apq);
  const double t = (theta >= 0 ? 1 : -1) / (std::fabs(theta) + std::sqrt(theta * theta + 1));
  const double c = 1 / std::sqrt(t * t + 1), s = t * c;
  rotate(a + p * n, a + q * n, c, s, n);
  for (int64_t i = 0; i < n; ++i) {  // the columns, by symmetry
    a[i * n + p] = a[p * n + i];
    a[i * n + q] = a[q * n + i];
  }
  a[p * n + p] = app - t * apq;
  a[q * n + q] = aqq + t * apq;
  a[p * n + q] = a[q * n + p] = 0;
  rotate(v + p * n, v + q * n, c, s, n);
  return true;
}

}  // namespace

void eigenvectors(double* matrix, int64_t n, double* vectors) {
  constexpr int kMostSweeps = 64;  // about ten are enough
  std::fill(vectors, vectors + n * n, 0.0);
  double trace = 0;
  for (int64_t i = 0; i < n; ++i) {
    vectors[i * n + i] = 1;
    trace += std::fabs(matrix[i * n + i]);
  }
  const double negligible = trace * 0x1p-60;
  bool changed = true;
  for (int sweep = 0; sweep < kMostSweeps && changed; ++sweep) {
    changed = false;
    for (int64_t p = 0; p < n; ++p) {
      for (int64_t q = p + 1; q < n; ++q) {
        changed |= annihilate(matrix, vectors, n, p, q, negligible);
      }
    }
  }
}

void joint_basis(const Kernel& kernel, const Joint& joint, float* basis) {
  const IeeeArithmetic ieee;
  const int64_t n = joint.factors, kept = joint.kept;
  std::vector<double> total(n * n), vectors(n * n);
  add_moments(kernel, *joint.users, joint.ratings->user, joint, total);
  add_moments(kernel, *joint.items, joint.ratings->item, joint, total);
  eigenvectors(total.data(), n, vectors.data());
  std::vector<int64_t> order(n);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t x, int64_t y) {
    return total[x * n + x] > total[y * n + y];
  });
  for (int64_t d = 0; d < kept; ++d) fix_sign(vectors.data() + order[d] * n, n);
  std::vector<double> mix(kept * kept);
  for (int64_t d = 0; d < kept; ++d) {
    for (int64_t a = 0; a < kept; ++a) mix[d * kept + a] = mixing(d, a, kept);
  }
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t a = 0; a < kept; ++a) {
      double sum = 0;
      for (int64_t d = 0; d < kept; ++d) sum += vectors[order[d] * n + i] * mix[d * kept + a];
      basis[i * kept + a] = static_cast<float>(sum);
    }
  }
}

void project(const Kernel& kernel, const Side& from, const Side& to, const Projection& projection,
             int threads) {
  const int64_t rows = rows_of(from);
  for_turns((rows + kRowsPerTurn - 1) / kRowsPerTurn, threads, [&](int64_t turn) {
    const int64_t begin = turn * kRowsPerTurn;
    kernel.project(from, to, projection, begin, std::min(begin + kRowsPerTurn, rows));
  });
}

}  // namespace mascot

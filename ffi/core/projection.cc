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
  if (m > 2 * n) m = 4 * n - m;             // cos(2 pi - x) = cos x
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

// Adds factor * x to y.
void add_scaled(double factor, const double* x, double* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] += factor * x[i];
}

double dot(const double* x, const double* y, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += x[i] * y[i];
  return sum;
}

// A symmetric matrix as Q T Q', T being tridiagonal.
class Tridiagonal {
 public:
  // Overwrites a [n, n]: row k keeps what column k of T was made by.
  Tridiagonal(double* a, int64_t n) : diagonal(n), beside(n), a_(a), scale_(n), n_(n) {
    for (int64_t k = 0; k < n; ++k) {
      diagonal[k] = a[k * n + k];
      if (k + 1 < n) reflect(k);
    }
  }

  // Writes Q' [n, n].
  void transpose_of_q(double* out) const {
    std::vector<double> q(n_ * n_), sums(n_);
    for (int64_t i = 0; i < n_; ++i) q[i * n_ + i] = 1;
    for (int64_t k = n_ - 2; k >= 0; --k) {  // the last reflection first: the rest is still zero
      const double* v = a_ + k * n_;
      std::fill(sums.begin(), sums.end(), 0.0);
      for (int64_t i = k + 1; i < n_; ++i) add_scaled(v[i], &q[i * n_], sums.data(), n_);
      for (int64_t i = k + 1; i < n_; ++i) {
        add_scaled(-scale_[k] * v[i], sums.data(), &q[i * n_], n_);
      }
    }
    for (int64_t i = 0; i < n_; ++i) {
      for (int64_t j = 0; j < n_; ++j) out[j * n_ + i] = q[i * n_ + j];
    }
  }

  std::vector<double> diagonal;
  std::vector<double> beside;  // entries (k, k + 1); the last one is zero

 private:
  // Makes entries (k, k + 2) and on zero by the reflection 1 - scale v v', which changes the rows
  // and columns behind k.
  void reflect(int64_t k) {
    const int64_t first = k + 1, size = n_ - first;
    double* v = a_ + k * n_ + first;
    const double head = v[0], tail = dot(v + 1, v + 1, size - 1);
    if (tail == 0) {
      beside[k] = head;
      scale_[k] = 0;
      return;
    }
    const double norm = std::sqrt(head * head + tail);
    beside[k] = head > 0 ? -norm : norm;
    v[0] = head - beside[k];
    const double scale = scale_[k] = 2 / (v[0] * v[0] + tail);
    std::vector<double> w(size);
    for (int64_t i = 0; i < size; ++i) add_scaled(scale * v[i], row(first, i), w.data(), size);
    add_scaled(-scale / 2 * dot(v, w.data(), size), v, w.data(), size);
    for (int64_t i = 0; i < size; ++i) {
      add_scaled(-v[i], w.data(), row(first, i), size);
      add_scaled(-w[i], v, row(first, i), size);
    }
  }
  // Row first + i of the matrix, from column `first` on.
  double* row(int64_t first, int64_t i) { return a_ + (first + i) * n_ + first; }

  double* a_;
  std::vector<double> scale_;
  int64_t n_;
};

// Makes T diagonal by rotations, which also rotate the rows of z: implicit QL steps.
void diagonalise(Tridiagonal& t, double* z, int64_t n) {
  constexpr int kMostSteps = 64;  // for an eigenvalue; about two are enough
  std::vector<double>&d = t.diagonal, &e = t.beside;
  double size = 0;
  for (int64_t i = 0; i < n; ++i) size = std::max(size, std::fabs(d[i]) + std::fabs(e[i]));
  const auto negligible = [&](int64_t i) {
    const double entry = std::fabs(e[i]);
    return entry <= 0x1p-53 * (std::fabs(d[i]) + std::fabs(d[i + 1])) || entry <= 0x1p-64 * size;
  };
  for (int64_t first = 0; first < n; ++first) {
    for (int step = 0; step < kMostSteps; ++step) {
      int64_t last = first;  // of the block that does not fall apart
      while (last + 1 < n && !negligible(last)) ++last;
      if (last == first) break;
      const double half = (d[first + 1] - d[first]) / (2 * e[first]);
      const double root = std::sqrt(half * half + 1);
      double g = d[last] - d[first] + e[first] / (half + (half < 0 ? -root : root));
      double s = 1, c = 1, shift = 0;
      int64_t i = last - 1;
      for (; i >= first; --i) {
        const double f = s * e[i], b = c * e[i];
        const double r = std::sqrt(f * f + g * g);
        e[i + 1] = r;
        if (r == 0) break;
        s = f / r;
        c = g / r;
        const double above = d[i + 1] - shift;
        const double change = (d[i] - above) * s + 2 * c * b;
        shift = s * change;
        d[i + 1] = above + shift;
        g = c * change - b;
        rotate(z + i * n, z + (i + 1) * n, c, s, n);
      }
      if (i >= first) {  // the block has fallen apart within the step
        d[i + 1] -= shift;
      } else {
        d[first] -= shift;
        e[first] = g;
      }
      e[last] = 0;
    }
  }
}

}  // namespace

void eigenvectors(double* matrix, int64_t n, double* vectors) {
  Tridiagonal t(matrix, n);
  t.transpose_of_q(vectors);
  diagonalise(t, vectors, n);
  std::fill(matrix, matrix + n * n, 0.0);
  for (int64_t i = 0; i < n; ++i) matrix[i * n + i] = t.diagonal[i];
}

void mixed_axes(double* moments, int64_t n, int64_t kept, float* basis) {
  const IeeeArithmetic ieee;
  std::vector<double> vectors(n * n);
  eigenvectors(moments, n, vectors.data());
  std::vector<int64_t> order(n);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t x, int64_t y) { return moments[x * n + x] > moments[y * n + y]; });
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

void joint_basis(const Kernel& kernel, const Joint& joint, float* basis) {
  const IeeeArithmetic ieee;
  std::vector<double> total(joint.factors * joint.factors);
  add_moments(kernel, *joint.users, joint.ratings->user, joint, total);
  add_moments(kernel, *joint.items, joint.ratings->item, joint, total);
  mixed_axes(total.data(), joint.factors, joint.kept, basis);
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

// Fewer factors in the middle of a training (train.pruning: project): the rows of both sides are
// projected onto their joint principal axes. The result is the same bits for every number of
// threads and every instruction set.
#pragma once

#include <cstdint>

#include "core/update/kernel.h"

namespace mascot {

// Most factors to project from: moments are factors^2 numbers, their eigenvectors take factors^3
// steps.
inline constexpr int64_t kMostProjected = 1024;

// What a joint basis is made of. user, item: a rating's rows, which are in range.
struct Joint {
  const Ratings* ratings;
  const Side* users;
  const Side* items;
  int64_t factors;
  int64_t kept;  // 1 .. factors
  int threads;
};

// The mixed axes of the sum of both sides' second moments, each side's rows weighted by their
// numbers of ratings and divided by the trace.
void joint_basis(const Kernel& kernel, const Joint& joint, float* basis);

// basis: [n, kept], orthonormal columns. They span the `kept` principal axes of second moments
// [n, n], which are overwritten; mixed by a fixed rotation, so that every column bears a like part
// of the rows. (The first axis alone bears their mean, which int8 has too few steps for.)
void mixed_axes(double* moments, int64_t n, int64_t kept, float* basis);

// Writes the rows of `from`, of `factors` components, times the basis to `to`, where they have
// `kept` components and the same groups, each in the storage of its group.
void project(const Kernel& kernel, const Side& from, const Side& to, const Projection& projection,
             int threads);

// Eigenvectors of a symmetric matrix [n, n], which is overwritten: its diagonal holds the
// eigenvalues, in no order, and row i of `vectors` [n, n] the vector of entry i. Tridiagonal form
// by Householder's reflections, then QL steps: additions, products, quotients and square roots
// alone, which are the same everywhere. (A library's routines depend on the CPU. Cyclic Jacobi took
// 20 ms at n = 128, longer than an epoch of MovieLens 1M: docs/pruning.md.)
void eigenvectors(double* matrix, int64_t n, double* vectors);

}  // namespace mascot

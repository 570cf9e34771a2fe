// Laying ratings out, once per training, for the order that its epochs visit them in
// (mascot_jax.engine.layout): into blocks, and within these into runs of one user.
#pragma once

#include <cstdint>

#include "core/model.h"

namespace mascot {

struct Layout {
  Ratings ratings;            // as they came
  const uint32_t* user_part;  // of each user; a rating's block is its user's part plus its item's
  const uint32_t* item_part;
  int64_t blocks;
  int64_t longest_run;   // ratings of one user that follow one another; 0: blocks stay as they came
  int64_t least_sweeps;  // parts of a block that runs are dealt to
  uint32_t seed;         // where each user's runs begin
  int threads;
};

// Columns of the ratings, to write to.
struct Columns {
  uint32_t* user;
  uint32_t* item;
  float* rating;
};

// Writes the ratings in their new order, and the number of each block's first one to begin
// [blocks]. The order does not depend on the number of threads.
void lay_out(const Layout& layout, const Columns& out, uint32_t* begin);

}  // namespace mascot

// IEEE 754 binary32, which is computed in.
#pragma once

#include <cstdint>

namespace mascot {

struct Float32 {
  static constexpr const char* kName = "float32";
  using Element = float;
  static constexpr uint32_t kExponent = 0x7f800000u;
  static constexpr bool kRounds = false;
  static constexpr bool kScaled = false;
};

}  // namespace mascot

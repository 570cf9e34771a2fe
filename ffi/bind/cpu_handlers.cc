// All XLA FFI targets of the CPU.
#include "bind/cpu_handlers.h"

namespace mascot::bind {

const std::vector<Target>& targets() {
  static const std::vector<Target> all = [] {
    std::vector<Target> joined;
    for (const auto* some : {&epoch_targets(), &table_targets(), &embedding_targets()}) {
      joined.insert(joined.end(), some->begin(), some->end());
    }
    return joined;
  }();
  return all;
}

}  // namespace mascot::bind

// What one thread of a team throws reaches the caller, once all have ended:
// tests/engine/test_parallel.py.
#include <atomic>
#include <cstdio>
#include <new>

#include "core/parallel.h"

int main() {
  for (int throwing = 0; throwing < 4; ++throwing) {
    std::atomic<int> ended = 0;
    try {
      mascot::run_threads(4, [&](int thread) {
        if (thread == throwing) throw std::bad_alloc();
        ++ended;
      });
      return 1;
    } catch (const std::bad_alloc&) {
      if (ended != 3) return 2;
    }
  }
  std::puts("caught");
}

// A team of threads for the length of one call: 55 microseconds to start and join, once per epoch.
#pragma once

#include <thread>
#include <vector>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace mascot {

// IEEE arithmetic while in scope. XLA runs its handlers with subnormals flushed to zero, and
// threads inherit that; results would then depend on who calls.
class IeeeArithmetic {
 public:
#if defined(__x86_64__)
  IeeeArithmetic() : saved_(_mm_getcsr()) { _mm_setcsr(kDefault); }
  ~IeeeArithmetic() { _mm_setcsr(saved_); }

 private:
  // Exceptions masked, round to nearest, subnormals kept.
  static constexpr unsigned kDefault = 0x1f80;
  unsigned saved_;
#endif
};

// Calls work(0) .. work(threads - 1) concurrently; the calling thread takes the first.
template <class Work>
void run_threads(int threads, const Work& work) {
  const auto run = [&work](int thread) {
    const IeeeArithmetic ieee;
    work(thread);
  };
  std::vector<std::thread> team;
  for (int thread = 1; thread < threads; ++thread) team.emplace_back(run, thread);
  run(0);
  for (std::thread& member : team) member.join();
}

}  // namespace mascot

// Teams of threads for the length of one call: starting and joining two takes 55 microseconds.
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

// Joins its threads when it goes, also when one of them could not be started.
class Team {
 public:
  template <class Work>
  void start(const Work& work, int thread) {
    members_.emplace_back(work, thread);
  }
  ~Team() {
    for (std::thread& member : members_) member.join();
  }

 private:
  std::vector<std::thread> members_;
};

// Calls work(0) .. work(threads - 1) concurrently; the calling thread takes the first. work must
// not throw: what it needs is allocated before. Throws std::system_error where a thread cannot
// start.
template <class Work>
void run_threads(int threads, const Work& work) {
  const auto run = [&work](int thread) noexcept {
    const IeeeArithmetic ieee;
    work(thread);
  };
  Team team;
  for (int thread = 1; thread < threads; ++thread) team.start(run, thread);
  run(0);
}

}  // namespace mascot

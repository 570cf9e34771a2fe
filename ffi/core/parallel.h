// Teams of threads for the length of one call: starting and joining two takes 55 microseconds.
#pragma once

#include <exception>
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

// Calls work(0) .. work(threads - 1) concurrently; the calling thread takes the first. What one of
// them throws is thrown here, once all have ended: work whose threads wait for each other must not
// throw. Throws std::system_error where a thread cannot start.
template <class Work>
void run_threads(int threads, const Work& work) {
  std::vector<std::exception_ptr> thrown(static_cast<std::size_t>(threads));
  const auto run = [&](int thread) noexcept {
    const IeeeArithmetic ieee;
    try {
      work(thread);
    } catch (...) {
      thrown[static_cast<std::size_t>(thread)] = std::current_exception();
    }
  };
  {
    Team team;
    for (int thread = 1; thread < threads; ++thread) team.start(run, thread);
    run(0);
  }
  for (const std::exception_ptr& error : thrown) {
    if (error) std::rethrow_exception(error);
  }
}

}  // namespace mascot

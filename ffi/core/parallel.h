// Teams of threads, for the length of one call.
#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <vector>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace mascot {

// IEEE arithmetic while in scope. XLA runs its handlers with subnormals flushed to zero, and
// threads inherit that; results would then depend on who calls.
class IeeeArithmetic {
 public:
  IeeeArithmetic() : saved_(control()) { set_control(kIeee); }
  ~IeeeArithmetic() { set_control(saved_); }
  IeeeArithmetic(const IeeeArithmetic&) = delete;
  IeeeArithmetic& operator=(const IeeeArithmetic&) = delete;

 private:
  // The CPU's control word; kIeee: exceptions masked, round to nearest, subnormals kept.
#if defined(__x86_64__)
  using Control = unsigned;
  static constexpr Control kIeee = 0x1f80;
  static Control control() { return _mm_getcsr(); }
  static void set_control(Control word) { _mm_setcsr(word); }
#elif defined(__aarch64__)
  using Control = uint64_t;
  static constexpr Control kIeee = 0;
  static Control control() {
    Control word;
    __asm__ volatile("mrs %0, fpcr" : "=r"(word));
    return word;
  }
  static void set_control(Control word) {
    __asm__ volatile("msr fpcr, %0" : : "r"(word) : "memory");
  }
#else
  struct Control {};
  static constexpr Control kIeee = {};
  static Control control() { return {}; }
  static void set_control(Control) {}
#endif

  Control saved_;
};

// Calls work(0) .. work(threads - 1), and returns once all have ended; none may throw. The calling
// thread takes part. Others have served earlier calls and stay for later ones: to start one takes
// as long as thousands of look-ups. A call does not wait for those that come late: then one thread
// takes several numbers. Throws std::system_error where a thread cannot start.
void run_team(int threads, const std::function<void(int)>& work);

// The same for work that may throw. What one of them throws is thrown here, once all have ended:
// work whose threads wait for each other must not throw.
template <class Work>
void run_threads(int threads, const Work& work) {
  std::vector<std::exception_ptr> thrown(static_cast<std::size_t>(threads));
  run_team(threads, [&](int thread) noexcept {
    const IeeeArithmetic ieee;
    try {
      work(thread);
    } catch (...) {
      thrown[static_cast<std::size_t>(thread)] = std::current_exception();
    }
  });
  for (const std::exception_ptr& error : thrown) {
    if (error) std::rethrow_exception(error);
  }
}

}  // namespace mascot

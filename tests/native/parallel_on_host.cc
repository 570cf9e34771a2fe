// Teams of threads, one check a word of the command line: tests/engine/test_parallel.py.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <new>
#include <set>
#include <thread>
#include <vector>

#include "core/parallel.h"

namespace {

using mascot::run_threads;

// What one thread of a team throws reaches the caller, once all have ended.
bool throws() {
  for (int throwing = 0; throwing < 4; ++throwing) {
    std::atomic<int> ended = 0;
    try {
      run_threads(4, [&](int thread) {
        if (thread == throwing) throw std::bad_alloc();
        ++ended;
      });
      return false;
    } catch (const std::bad_alloc&) {
      if (ended != 3) return false;
    }
  }
  return true;
}

// One call after another is served by the same threads, the caller among them, and each number is
// taken once.
bool stays() {
  std::mutex mutex;
  std::set<std::thread::id> members = {std::this_thread::get_id()};
  for (int call = 0; call < 1000; ++call) {
    std::multiset<int> numbers;
    run_threads(3, [&](int thread) {
      const std::lock_guard<std::mutex> lock(mutex);
      members.insert(std::this_thread::get_id());
      numbers.insert(thread);
    });
    if (numbers != std::multiset<int>{0, 1, 2}) return false;
  }
  return members.size() <= 3;
}

// Threads do work at the same time.
bool together() {
  std::atomic<int> begun = 0;
  run_threads(3, [&](int) {
    ++begun;
    while (begun < 3) std::this_thread::yield();
  });
  return begun == 3;
}

int64_t sum_of_numbers(int threads) {
  std::atomic<int64_t> sum = 0;
  run_threads(threads, [&](int thread) { sum += thread + 1; });
  return sum;
}

// Calls that run at the same time, and within each other, have teams of their own.
bool several() {
  std::atomic<int> right = 0;
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&] {
      for (int call = 0; call < 200; ++call) right += sum_of_numbers(3) == 6;
    });
  }
  for (std::thread& caller : callers) caller.join();
  run_threads(3, [&](int) { right += sum_of_numbers(2) == 3; });
  return right == 4 * 200 + 3;
}

// A process made by a fork starts threads of its own.
bool forks() {
  if (!together()) return false;
  const pid_t child = fork();
  if (child == 0) {
    alarm(10);  // ends it, where it waits for threads that it does not have
    _exit(together() ? 0 : 1);
  }
  int status = 1;
  return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

}  // namespace

int main(int, char** words) {
  const char* word = words[1];
  bool right = false;
  if (std::strcmp(word, "throws") == 0) right = throws();
  if (std::strcmp(word, "stays") == 0) right = stays();
  if (std::strcmp(word, "together") == 0) right = together();
  if (std::strcmp(word, "several") == 0) right = several();
  if (std::strcmp(word, "forks") == 0) right = forks();
  std::puts(right ? "right" : "wrong");
}

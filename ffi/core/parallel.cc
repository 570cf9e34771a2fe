#include "core/parallel.h"

#include <pthread.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace mascot {
namespace {

// The work of one call, of which each thread that comes takes the next number.
class Call {
 public:
  Call(int threads, const std::function<void(int)>& work) : threads_(threads), work_(work) {}
  void take_part() {
    for (int number = next_++; number < threads_; number = next_++) work_(number);
  }

 private:
  const int threads_;
  const std::function<void(int)>& work_;
  std::atomic<int> next_ = 0;
};

// A thread that serves one call after another. It lives as long as the process.
class Member {
 public:
  Member() { std::thread(&Member::serve, this).detach(); }

  void begin(Call& call) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      call_ = &call;
    }
    changed_.notify_one();
  }
  // Returns once it has left the call, for which it need not have come: it may sleep too deeply.
  void leave() {
    std::unique_lock<std::mutex> lock(mutex_);
    if (!busy_) call_ = nullptr;
    changed_.wait(lock, [&] { return call_ == nullptr; });
  }

  Member* next = nullptr;  // of those without work

 private:
  [[noreturn]] void serve() {
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      changed_.wait(lock, [&] { return call_ != nullptr; });
      busy_ = true;
      lock.unlock();
      call_->take_part();
      lock.lock();
      busy_ = false;
      call_ = nullptr;
      changed_.notify_one();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  Call* call_ = nullptr;
  bool busy_ = false;
};

// The members without work: as many as calls at one time have ever needed.
class Idle {
 public:
  Member* take() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (Member* member = first_) {
        first_ = member->next;
        return member;
      }
    }
    return new Member;
  }
  void give(Member* member) {
    const std::lock_guard<std::mutex> lock(mutex_);
    member->next = first_;
    first_ = member;
  }

 private:
  std::mutex mutex_;
  Member* first_ = nullptr;
};

// Never freed: members wait in it until the process ends.
Idle* idle = new Idle;

// A fork has no threads but the one that called it.
[[maybe_unused]] const int registered = pthread_atfork(nullptr, nullptr, [] { idle = new Idle; });

// The members of one call.
class Team {
 public:
  explicit Team(int members) { members_.reserve(static_cast<std::size_t>(members)); }
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;
  // Waits for them, also when one more could not be started.
  ~Team() {
    for (Member* member : members_) {
      member->leave();
      idle->give(member);
    }
  }
  void add(Call& call) {
    members_.push_back(idle->take());
    members_.back()->begin(call);
  }

 private:
  std::vector<Member*> members_;
};

}  // namespace

void run_team(int threads, const std::function<void(int)>& work) {
  Call call(threads, work);
  Team team(threads - 1);
  for (int member = 1; member < threads; ++member) team.add(call);
  call.take_part();
}

}  // namespace mascot

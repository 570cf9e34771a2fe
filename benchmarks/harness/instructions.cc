// Steps through an epoch of the native core and counts how often each of its instructions runs.
// Compiled together with ffi/core and called by instructions.py.
//
// The processor's trap flag raises SIGTRAP after every instruction of the thread that sets it.
#include <dlfcn.h>
#include <signal.h>
#include <ucontext.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/epoch.h"
#include "core/random.h"

namespace {

using namespace mascot;

constexpr uint64_t kKey = 1;
constexpr int64_t kCacheLine = 64;
constexpr long long kTrapFlag = 0x100;

uintptr_t library;  // where this one begins in memory
uint64_t* times;    // by address in the library
int64_t addresses;

void on_trap(int, siginfo_t*, void* context) {
  auto* registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  const auto place = static_cast<int64_t>(static_cast<uintptr_t>(registers[REG_RIP]) - library);
  if (place >= 0 && place < addresses) ++times[place];
}

void set_trap_flag(bool on) {
  // The stack below is in use (the red zone): step over it.
  if (on) {
    __asm__ volatile("lea -128(%%rsp), %%rsp; pushfq; orq %0, (%%rsp); popfq; lea 128(%%rsp), %%rsp"
                     :
                     : "i"(kTrapFlag)
                     : "memory", "cc");
  } else {
    __asm__ volatile(
        "lea -128(%%rsp), %%rsp; pushfq; andq %0, (%%rsp); popfq; lea 128(%%rsp), %%rsp"
        :
        : "i"(~kTrapFlag)
        : "memory", "cc");
  }
}

// A side with all its rows in one storage.
class Rows {
 public:
  Rows(const Kernel& kernel, int64_t rows, int64_t factors, int64_t scale_block, Storage storage)
      : starts_{0, static_cast<uint32_t>(rows)},
        code_(static_cast<uint8_t>(storage)),
        side_{{}, {starts_, &code_, 1}} {
    const int64_t chunks = chunk_count(factors);
    const int64_t scale_chunks = scale_block / kLanes;
    for (const Storage each : {kCode<Float32>, storage}) {
      const int64_t used = row_bytes(each, chunks, scale_chunks);
      const int64_t bytes = (used + kCacheLine - 1) / kCacheLine * kCacheLine;
      memory_.emplace_back(static_cast<std::size_t>(rows * bytes + kCacheLine));
      const auto address = reinterpret_cast<uintptr_t>(memory_.back().data());
      side_.tables[static_cast<std::size_t>(each)] = {
          reinterpret_cast<void*>((address + kCacheLine - 1) / kCacheLine * kCacheLine),
          bytes / traits(each).bytes, scale_chunks};
    }
    auto* values = static_cast<float*>(side_.row(kCode<Float32>, 0));
    for (int64_t i = 0; i < rows * side_.table(kCode<Float32>).stride; ++i) {
      values[i] =
          0.1f + 0.1f * static_cast<float>(draw32(kKey, static_cast<uint64_t>(i))) * 0x1p-32f;
    }
    if (storage != kCode<Float32>) kernel.convert(side_, kCode<Float32>, storage, factors, 0, rows);
  }
  Rows(const Rows&) = delete;
  Rows& operator=(const Rows&) = delete;
  const Side& side() const { return side_; }

 private:
  uint32_t starts_[2];
  uint8_t code_;
  Side side_;
  std::vector<std::vector<char>> memory_;
};

}  // namespace

// Runs an epoch of ratings in their order, in one thread, and adds how often the instruction at
// each address of this library ran to counts[size]. streamed: loads and stores alone. Returns false
// where there is no such kernel.
extern "C" bool count_instructions(const char* name, int64_t factors, int64_t scale_block,
                                   int32_t storage, int32_t rounding, bool streamed,
                                   const uint32_t* users, const uint32_t* items,
                                   const float* ratings, int64_t count, int64_t user_rows,
                                   int64_t item_rows, uint64_t* counts, int64_t size) {
  const Kernel* kernel = find_kernel(name);
  Dl_info found;
  if (kernel == nullptr || dladdr(reinterpret_cast<void*>(&count_instructions), &found) == 0) {
    return false;
  }
  library = reinterpret_cast<uintptr_t>(found.dli_fbase);
  times = counts;
  addresses = size;
  const auto code = static_cast<Storage>(storage);
  const Rows user_table(*kernel, user_rows, factors, scale_block, code);
  const Rows item_table(*kernel, item_rows, factors, scale_block, code);
  Epoch epoch = {
      {users, items, ratings, count}, user_table.side(), item_table.side(), factors, count, 1,
      {0.001f, 0.02f, 0.02f}};
  epoch.rounding = static_cast<Rounding>(rounding);
  std::vector<float> sums(static_cast<std::size_t>(2 * (factors + kStatistics)));

  struct sigaction action = {}, before;
  action.sa_sigaction = on_trap;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGTRAP, &action, &before);
  set_trap_flag(true);
  if (streamed) {
    run_stream(*kernel, epoch);
  } else {
    run_epoch(*kernel, epoch, sums.data(), sums.data() + factors + kStatistics);
  }
  set_trap_flag(false);
  sigaction(SIGTRAP, &before, nullptr);
  return true;
}

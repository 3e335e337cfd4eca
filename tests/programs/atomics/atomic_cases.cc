// atomic_cases.cc: programs whose own code waits in futexes, by name. What their atomics decide is no step, so the
// orders of these must be the same with and without the reduction (tests/engine/foreign/atomics_test.cc).
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <barrier>
#include <functional>
#include <latch>
#include <map>
#include <mutex>
#include <semaphore>
#include <string>
#include <thread>

namespace {

std::mutex A, B;
int value = 0;

int both(const std::function<void()>& one, const std::function<void()>& other) {
  std::thread first(one), second(other);
  first.join();
  second.join();
  return 0;
}

void pass(std::mutex& mutex) { const std::lock_guard<std::mutex> lock(mutex); }

/// Who arrives last is decided behind locks of their own.
int phases() {
  int completed = 0;
  std::barrier meeting(2, [&]() noexcept { ++completed; });
  both(
      [&] {
        pass(A);
        meeting.arrive_and_wait();
        meeting.arrive_and_wait();
      },
      [&] {
        pass(B);
        meeting.arrive_and_wait();
        meeting.arrive_and_wait();
      });
  return completed == 2 ? 0 : 1;
}

/// One does not wait: whether the other one does depends on who comes first.
int arrives() {
  std::barrier meeting(2);
  return both(
      [&] {
        pass(A);
        (void)meeting.arrive();
        pass(A);
      },
      [&] {
        pass(B);
        meeting.arrive_and_wait();
      });
}

/// The value is written on the wrong side of the meeting.
int too_early() {
  std::barrier meeting(2);
  int seen = 0;
  both(
      [&] {
        meeting.arrive_and_wait();
        pass(A);
        value = 1;
      },
      [&] {
        meeting.arrive_and_wait();
        pass(B);
        seen = value;
      });
  return seen == 1 ? 0 : 3;
}

int three_meet() {
  std::barrier meeting(3);
  const auto meet = [&] { meeting.arrive_and_wait(); };
  std::thread third(meet);
  both(meet, meet);
  third.join();
  return 0;
}

int counts_down() {
  std::latch done(2);
  return both(
      [&] {
        pass(A);
        done.count_down();
        pass(A);
      },
      [&] {
        pass(B);
        done.arrive_and_wait();
      });
}

int two_semaphores() {
  std::binary_semaphore one(1), other(1);
  return both(
      [&] {
        one.acquire();
        pass(A);
        other.acquire();
        other.release();
        one.release();
      },
      [&] {
        other.acquire();
        pass(B);
        one.acquire();
        one.release();
        other.release();
      });
}

/// Of futexes, as in "Futexes Are Tricky": 0 free, 1 taken, 2 taken and perhaps waited for.
class OwnMutex {
 public:
  void lock() {
    int known = 0;
    if (state_.compare_exchange_strong(known, 1)) return;
    while (state_.exchange(2) != 0) syscall(SYS_futex, &state_, FUTEX_WAIT_PRIVATE, 2, nullptr, nullptr, 0);
  }
  void unlock() {
    if (state_.exchange(0) == 2) syscall(SYS_futex, &state_, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
  }

 private:
  std::atomic<int> state_{0};
};
OwnMutex own_one, own_other;

int own_mutex() {
  return both(
      [] {
        const std::lock_guard own(own_one);
        pass(A);
      },
      [] {
        pass(B);
        const std::lock_guard own(own_one);
        pass(B);
      });
}

int own_mutexes_crosswise() {
  return both(
      [] {
        const std::lock_guard own(own_one);
        pass(A);
        const std::lock_guard second(own_other);
      },
      [] {
        const std::lock_guard own(own_other);
        pass(B);
        const std::lock_guard second(own_one);
      });
}

}  // namespace

int main(int count, char** words) {
  const std::map<std::string, int (*)()> cases = {
      {"phases", phases},           {"arrives", arrives},
      {"too-early", too_early},     {"three-meet", three_meet},
      {"counts-down", counts_down}, {"two-semaphores", two_semaphores},
      {"own-mutex", own_mutex},     {"own-mutexes-crosswise", own_mutexes_crosswise}};
  const auto found = count > 1 ? cases.find(words[1]) : cases.end();
  return found == cases.end() ? 64 : found->second();
}

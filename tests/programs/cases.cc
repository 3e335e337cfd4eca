// cases.cc: small programs that are run under control, by name: `cases two-lock`. Each has faults, and numbers of
// orders, that are known (tests/engine/foreign/programs_test.cc).
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cassert>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <future>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

std::mutex A, B;
pthread_mutex_t left_mutex = PTHREAD_MUTEX_INITIALIZER, right_mutex = PTHREAD_MUTEX_INITIALIZER;
std::condition_variable bell;
bool ready = false;
int value = 0;

namespace {

int both(const std::function<void()>& one, const std::function<void()>& other) {
  std::thread first(one), second(other);
  first.join();
  second.join();
  return 0;
}

int two_lock() {
  return both(
      [] {
        const std::scoped_lock<std::mutex> a(A);
        const std::scoped_lock<std::mutex> b(B);
      },
      [] {
        const std::scoped_lock<std::mutex> b(B);
        const std::scoped_lock<std::mutex> a(A);
      });
}

int two_lock_of_pthread() {
  const auto take = [](void* argument) -> void* {
    auto* const order = static_cast<pthread_mutex_t**>(argument);
    pthread_mutex_lock(order[0]);
    pthread_mutex_lock(order[1]);
    pthread_mutex_unlock(order[1]);
    pthread_mutex_unlock(order[0]);
    return nullptr;
  };
  pthread_mutex_t* one[] = {&left_mutex, &right_mutex};
  pthread_mutex_t* other[] = {&right_mutex, &left_mutex};
  pthread_t first, second;
  pthread_create(&first, nullptr, take, one);
  pthread_create(&second, nullptr, take, other);
  pthread_join(first, nullptr);
  pthread_join(second, nullptr);
  return 0;
}

int ordered() {
  const auto take = [] {
    const std::lock_guard a(A);
    const std::lock_guard b(B);
  };
  return both(take, take);
}

std::mutex forks[8];

int philosophers(std::size_t count) {
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < count; ++i) {
    threads.emplace_back([i, count] {
      const std::lock_guard left(forks[i]);
      const std::lock_guard right(forks[(i + 1) % count]);
    });
  }
  for (std::thread& each : threads) each.join();
  return 0;
}

std::recursive_mutex again;

int recursive() {
  return both(
      [] {
        const std::lock_guard once(again), twice(again);
        const std::lock_guard b(B);
      },
      [] {
        const std::lock_guard b(B);
        const std::lock_guard a(again);
      });
}

std::shared_mutex shared;

int reader_and_writer() {
  return both(
      [] {
        const std::shared_lock reads(shared);
        const std::lock_guard b(B);
      },
      [] {
        const std::lock_guard b(B);
        const std::unique_lock writes(shared);
      });
}

std::timed_mutex timed_a, timed_b;

/// 7 when both give up.
int timed() {
  int gave_up = 0;
  std::mutex counter;
  const auto take = [&](std::timed_mutex& first, std::timed_mutex& second) {
    const std::lock_guard held(first);
    if (second.try_lock_for(5ms)) {
      second.unlock();
    } else {
      const std::lock_guard count(counter);
      ++gave_up;
    }
  };
  both([&] { take(timed_a, timed_b); }, [&] { take(timed_b, timed_a); });
  return gave_up == 2 ? 7 : 0;
}

int waits_for_condition() {
  return both(
      [] {
        std::unique_lock lock(A);
        bell.wait(lock, [] { return ready; });
      },
      [] {
        {
          const std::lock_guard lock(A);
          ready = true;
        }
        bell.notify_one();
      });
}

/// Looks, lets go, and waits without looking again.
int lost_wake_up() {
  return both(
      [] {
        std::unique_lock lock(A);
        if (ready) return;
        lock.unlock();
        lock.lock();
        bell.wait(lock);
      },
      [] {
        {
          const std::lock_guard lock(A);
          ready = true;
        }
        bell.notify_one();
      });
}

/// 5 when the time is up first.
int waits_for_a_time() {
  int result = 0;
  both(
      [&] {
        std::unique_lock lock(A);
        if (!bell.wait_for(lock, 10ms, [] { return ready; })) result = 5;
      },
      [] {
        {
          const std::lock_guard lock(A);
          ready = true;
        }
        bell.notify_one();
      });
  return result;
}

std::once_flag flag;

int once() {
  const auto do_once = [] { std::call_once(flag, [] { const std::lock_guard lock(A); }); };
  return both(
      [&] {
        const std::lock_guard lock(A);
        do_once();
      },
      do_once);
}

struct Locks {
  Locks() { const std::lock_guard lock(A); }
};

Locks& made_once() {
  static Locks locks;
  return locks;
}

int static_variable() {
  return both(
      [] {
        const std::lock_guard lock(A);
        made_once();
      },
      [] { made_once(); });
}

int future() {
  std::promise<int> promise;
  auto answer = promise.get_future();
  auto asks = std::async(std::launch::async, [&] {
    const std::lock_guard lock(A);
    return answer.get();
  });
  auto sets = std::async(std::launch::async, [&] {
    const std::lock_guard lock(A);
    promise.set_value(3);
    return 1;
  });
  return asks.get() + sets.get() - 4;
}

int detached() {
  for (int i = 0; i < 2; ++i) {
    std::thread([] {
      const std::lock_guard lock(A);
      ++value;
      bell.notify_all();
    }).detach();
  }
  std::unique_lock lock(A);
  bell.wait(lock, [] { return value == 2; });
  return 0;
}

struct LocksAtEnd {
  ~LocksAtEnd() {
    const std::lock_guard b(B);
    const std::lock_guard a(A);
  }
  int used = 0;
};
thread_local LocksAtEnd at_end;

int thread_local_destructor() {
  return both([] { at_end.used = 1; },
              [] {
                const std::lock_guard a(A);
                const std::lock_guard b(B);
              });
}

/// Sleeps to be sure that the other one was first, and is wrong.
int sleeps() {
  std::thread writer([] {
    const std::lock_guard lock(A);
    value = 1;
  });
  std::this_thread::sleep_for(1s);
  {
    const std::lock_guard lock(A);
    assert(value == 1);
  }
  writer.join();
  return 0;
}

/// A try that is refused in one order.
int tries() {
  int result = 0;
  both(
      [&] {
        A.lock();
        A.unlock();
        if (A.try_lock()) {
          A.unlock();
        } else {
          result = 3;
        }
      },
      [] { const std::lock_guard lock(A); });
  return result;
}

sem_t tokens_a, tokens_b;

int semaphores() {
  sem_init(&tokens_a, 0, 1);
  sem_init(&tokens_b, 0, 1);
  const auto take = [](sem_t& first, sem_t& second) {
    sem_wait(&first);
    sem_wait(&second);
    sem_post(&second);
    sem_post(&first);
  };
  return both([&] { take(tokens_a, tokens_b); }, [&] { take(tokens_b, tokens_a); });
}

/// Nobody can take a single step.
int posts_nothing() {
  sem_init(&tokens_a, 0, 0);
  std::thread([] { sem_wait(&tokens_a); }).join();
  return 0;
}

pthread_barrier_t barrier;

int meets() {
  pthread_barrier_init(&barrier, nullptr, 2);
  int serial = 0;
  const auto meet = [&serial] {
    if (pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD) ++serial;
  };
  both(meet, meet);
  return serial == 1 ? 0 : 9;
}

pthread_spinlock_t spin_a, spin_b;

int spins() {
  pthread_spin_init(&spin_a, 0);
  pthread_spin_init(&spin_b, 0);
  const auto take = [](pthread_spinlock_t& first, pthread_spinlock_t& second) {
    pthread_spin_lock(&first);
    pthread_spin_lock(&second);
    pthread_spin_unlock(&second);
    pthread_spin_unlock(&first);
  };
  return both([&] { take(spin_a, spin_b); }, [&] { take(spin_b, spin_a); });
}

int locks_itself() {
  std::thread other([] { pthread_mutex_lock(&left_mutex); });
  other.join();
  pthread_mutex_lock(&right_mutex);
  pthread_mutex_lock(&right_mutex);
  return 0;
}

int unlocks_of_other() {
  pthread_mutex_lock(&left_mutex);
  std::thread([] { pthread_mutex_unlock(&left_mutex); }).join();
  return 0;
}

/// Two threads stand for ever, and main does not wait for them.
int leaves_deadlock() {
  for (const bool turned : {false, true}) {
    std::thread([turned] {
      const std::lock_guard first(turned ? B : A);
      const std::lock_guard second(turned ? A : B);
    }).detach();
  }
  return 0;
}

/// A pool that its own destructor ends.
struct Pool {
  Pool() {
    for (int i = 0; i < 2; ++i) {
      workers.emplace_back([this] {
        std::unique_lock lock(mutex);
        condition.wait(lock, [this] { return stops || jobs > 0; });
        if (jobs > 0) --jobs;
      });
    }
  }
  ~Pool() {
    {
      const std::lock_guard lock(mutex);
      stops = true;
    }
    condition.notify_all();
    for (std::thread& each : workers) each.join();
  }
  std::mutex mutex;
  std::condition_variable condition;
  bool stops = false;
  int jobs = 0;
  std::vector<std::thread> workers;
};

int pool() {
  static Pool the_pool;
  {
    const std::lock_guard lock(the_pool.mutex);
    ++the_pool.jobs;
  }
  the_pool.condition.notify_one();
  return 0;
}

/// Mutexes on the heap: which one lies where must not depend on the order.
int heap() {
  const auto work = [] {
    const auto mine = std::make_unique<std::mutex>();
    const std::lock_guard a(A);
    const std::lock_guard lock(*mine);
    const auto another = std::make_unique<std::mutex>();
    const std::lock_guard third(*another);
  };
  return both(work, work);
}

int crashes() {
  both([] { const std::lock_guard a(A); },
       [] {
         const std::lock_guard a(A);
         ++value;
       });
  std::puts("it has come so far");
  std::fflush(stdout);
  std::abort();
}

int* shared_value = &value;

/// Reads through a pointer that the other one has taken away, in one order.
void reads_shared() {
  {
    const std::lock_guard a(A);
  }
  const std::lock_guard a(A);
  value = *shared_value + 1;
}

int crashes_in_one_order() {
  return both(reads_shared, [] {
    const std::lock_guard a(A);
    shared_value = nullptr;
  });
}

int dive(int depth) {
  volatile char room[4096];
  room[0] = static_cast<char>(depth);
  return depth < 0 ? 0 : dive(depth + 1) + room[0];
}

int uses_up_its_stack() {
  return both([] { const std::lock_guard a(A); }, [] { value = dive(0); });
}

/// Ends as under a sanitizer.
int is_ended_by_sanitizer() {
  return both([] { const std::lock_guard a(A); },
              [] {
                const std::lock_guard a(A);
                std::fprintf(stderr, "==%d==ERROR: AddressSanitizer: heap-use-after-free on address %p at pc 0x7\n",
                             getpid(), static_cast<void*>(&value));
                _exit(1);
              });
}

/// Has a handler of its own, and sends the signal by itself.
int raises() {
  return both([] { const std::lock_guard a(A); },
              [] {
                std::signal(SIGFPE, [](int) { std::_Exit(11); });
                std::raise(value == 0 ? SIGBUS : SIGFPE);
              });
}

int counts_processors() {
  std::printf("%u %ld\n", std::thread::hardware_concurrency(), sysconf(_SC_NPROCESSORS_ONLN));
  return both([] { const std::lock_guard a(A); }, [] {});
}

int prints() {
  std::printf("time %ld\n", static_cast<long>(std::time(nullptr)));
  return both([] { const std::lock_guard a(A); }, [] {});
}

int forks_a_process() {
  return both([] { const std::lock_guard a(A); }, [] { fork(); });
}

std::atomic<bool> never{false};

int executes() {
  return both([] { const std::lock_guard a(A); }, [] { execl("/bin/true", "true", nullptr); });
}

/// As a daemon does, those of others with it.
int closes_files() {
  return both([] { const std::lock_guard a(A); },
              [] {
                for (int file = 0; file < 1024; ++file) close(file);
                const std::lock_guard a(A);
              });
}

int prints_much() {
  return both([] { const std::lock_guard a(A); },
              [] {
                const std::string line(1023, 'x');
                for (int i = 0; i < 8 * 1024; ++i) std::puts(line.c_str());
                std::puts("the last line");
                const std::lock_guard a(A);
              });
}

/// Stays when it is asked to go.
int ignores_signals() {
  for (const int each : {SIGTERM, SIGINT, SIGHUP, SIGTRAP}) std::signal(each, SIG_IGN);
  return both([] { const std::lock_guard a(A); },
              [] {
                while (!never) {
                }
              });
}

int many_threads() {
  std::vector<std::thread> threads;
  for (int i = 0; i < 40; ++i) threads.emplace_back([] { const std::lock_guard a(A); });
  for (std::thread& each : threads) each.join();
  return 0;
}

int never_ends() {
  return both([] { const std::lock_guard a(A); },
              [] {
                while (!never) {
                }
              });
}

sigset_t user_signals() {
  sigset_t both_of_them;
  sigemptyset(&both_of_them);
  sigaddset(&both_of_them, SIGUSR1);
  sigaddset(&both_of_them, SIGUSR2);
  return both_of_them;
}

/// As every thread has it that this one makes.
void block_user_signals() {
  const sigset_t blocked = user_signals();
  pthread_sigmask(SIG_BLOCK, &blocked, nullptr);
}

int next_user_signal() {
  const sigset_t awaited = user_signals();
  int got = 0;
  return sigwait(&awaited, &got) == 0 ? got : -1;
}

int waits_for_handler() {
  return both([] { const std::lock_guard a(A); },
              [] {
                sigset_t none;
                sigemptyset(&none);
                sigsuspend(&none);
              });
}

int waits_for_signal() {
  block_user_signals();
  int got = 0;
  both(
      [&] {
        {
          const std::lock_guard a(A);
        }
        got = next_user_signal();
      },
      [] {
        {
          const std::lock_guard a(A);
        }
        kill(getpid(), SIGUSR1);
      });
  return got == SIGUSR1 ? 0 : 1;
}

int signal_under_lock() {
  block_user_signals();
  return both(
      [] {
        const std::lock_guard a(A);
        next_user_signal();
      },
      [] {
        {
          const std::lock_guard a(A);
        }
        raise(SIGUSR2);  // for this thread alone
        kill(getpid(), SIGUSR1);
      });
}

int signal_for_another() {
  block_user_signals();
  return both([] { next_user_signal(); }, [] { raise(SIGUSR1); });
}

int signal_for_one_of_two() {
  block_user_signals();
  std::thread waits[] = {std::thread(next_user_signal), std::thread(next_user_signal)};
  pthread_kill(waits[1].native_handle(), SIGUSR1);
  const sigval value{.sival_int = 5};
  sigqueue(getpid(), SIGUSR2, value);
  for (std::thread& each : waits) each.join();
  return 0;
}

int signal_with_time() {
  block_user_signals();
  int got = 0;
  both(
      [&] {
        const sigset_t awaited = user_signals();
        const timespec most{.tv_sec = 3, .tv_nsec = 0};
        got = sigtimedwait(&awaited, nullptr, &most);
      },
      [] { kill(getpid(), SIGUSR1); });
  return got == SIGUSR1 ? 0 : 6;
}

int signal_of_alarm() {
  sigset_t awaited;
  sigemptyset(&awaited);
  sigaddset(&awaited, SIGALRM);
  pthread_sigmask(SIG_BLOCK, &awaited, nullptr);
  return both(
      [&] {
        int got = 0;
        ualarm(100'000, 0);
        sigwait(&awaited, &got);
      },
      [] { const std::lock_guard a(A); });
}

/// One file, opened twice.
struct OpenedTwice {
  int file[2];
  explicit OpenedTwice(const char* name) {
    file[0] = memfd_create(name, 0);
    file[1] = open(("/proc/self/fd/" + std::to_string(file[0])).c_str(), O_RDWR);
    if (file[0] < 0 || file[1] < 0) std::abort();
  }
};

int locks_file() {
  const OpenedTwice one("one");
  const auto take = [&one](int which) {
    flock(one.file[which], LOCK_EX);
    ++value;
    flock(one.file[which], LOCK_UN);
  };
  return both([&] { take(0); }, [&] { take(1); });
}

int file_and_lock() {
  const OpenedTwice one("one");
  return both(
      [&] {
        flock(one.file[0], LOCK_EX);
        {
          const std::lock_guard a(A);
        }
        flock(one.file[0], LOCK_UN);
      },
      [&] {
        const std::lock_guard a(A);
        flock(one.file[1], LOCK_SH);
        flock(one.file[1], LOCK_UN);
      });
}

int two_files() {
  const OpenedTwice one("one"), other("other");
  const auto range = [](short type) {
    struct flock all{};
    all.l_type = type;
    return all;
  };
  const auto take = [&](int which, const OpenedTwice& first, const OpenedTwice& second) {
    struct flock all = range(F_WRLCK), none = range(F_UNLCK);
    fcntl(first.file[which], F_OFD_SETLKW, &all);
    fcntl(second.file[which], F_OFD_SETLKW, &all);
    fcntl(second.file[which], F_OFD_SETLK, &none);
    fcntl(first.file[which], F_OFD_SETLK, &none);
  };
  return both([&] { take(0, one, other); }, [&] { take(1, other, one); });
}

int file_is_refused() {
  const OpenedTwice one("one");
  int refused = 0;
  both(
      [&] {
        flock(one.file[0], LOCK_SH);
        {
          const std::lock_guard a(A);
        }
        flock(one.file[0], LOCK_UN);
      },
      [&] {
        if (flock(one.file[1], LOCK_EX | LOCK_NB) != 0) refused = errno == EWOULDBLOCK ? 4 : 5;
        flock(one.file[1], LOCK_UN);
      });
  return refused;
}

int file_is_closed() {
  const OpenedTwice one("one");
  return both(
      [&] {
        flock(one.file[0], LOCK_EX);
        {
          const std::lock_guard a(A);
        }
        close(one.file[0]);
      },
      [&] {
        flock(one.file[1], LOCK_EX);
        flock(one.file[1], LOCK_UN);
      });
}

int locks_file_for_process() {
  const OpenedTwice one("one");
  const auto take = [&one](int which) {
    struct flock all{};
    all.l_type = F_WRLCK;
    fcntl(one.file[which], F_SETLKW, &all);
    lockf(one.file[which], F_LOCK, 0);
  };
  return both([&] { take(0); }, [&] { take(1); });
}

int locks_file_of_others(const char* path) {
  const int file = open(path, O_RDWR);
  return both([&] { flock(file, LOCK_EX); }, [] { const std::lock_guard a(A); });
}

int reads_terminal() {
  int ends[2];
  if (pipe(ends) != 0) return 1;
  return both([] { const std::lock_guard a(A); },
              [&] {
                char byte = 0;
                if (read(ends[0], &byte, 1) < 0) std::abort();
              });
}

int hands_over_by_pipe() {
  int ends[2];
  if (pipe(ends) != 0) return 1;
  int got = 0;
  both(
      [&] {
        char byte = 0;
        if (read(ends[0], &byte, 1) == 1) got = byte;
        const std::lock_guard a(A);
      },
      [&] {
        {
          const std::lock_guard a(A);
        }
        if (write(ends[1], "x", 1) != 1) std::abort();
      });
  return got == 'x' ? 0 : 1;
}

/// Waits for the other one's byte with the lock that the other one needs first.
int waits_at_pipe_with_lock() {
  int ends[2];
  if (pipe(ends) != 0) return 1;
  return both(
      [&] {
        char byte = 0;
        const std::lock_guard a(A);
        if (read(ends[0], &byte, 1) != 1) std::abort();
      },
      [&] {
        {
          const std::lock_guard a(A);
        }
        if (write(ends[1], "x", 1) != 1) std::abort();
      });
}

/// More than a pipe has room for, and the end of a file.
int writes_much() {
  int ends[2];
  if (pipe(ends) != 0) return 1;
  std::size_t got = 0;
  constexpr std::size_t kMuch = 300'000;
  both(
      [&] {
        std::vector<char> room(100'000);
        for (ssize_t part = 0; (part = read(ends[0], room.data(), room.size())) > 0;)
          got += static_cast<std::size_t>(part);
      },
      [&] {
        const std::vector<char> text(kMuch, 'x');
        if (write(ends[1], text.data(), text.size()) != static_cast<ssize_t>(kMuch)) std::abort();
        close(ends[1]);
      });
  return got == kMuch ? 0 : 1;
}

/// Whoever writes first into a pipe with two readers.
int two_read_one_byte() {
  int ends[2];
  if (pipe(ends) != 0) return 1;
  char byte = 0;
  const auto reads = [&] { (void)!read(ends[0], &byte, 1); };
  std::thread first(reads), second(reads);
  (void)!write(ends[1], "x", 1);
  first.join();
  second.join();
  return 0;
}

/// Gives a lock back and closes `count` pipes, all in one step.
int closes_pipes(std::size_t count) {
  std::vector<std::array<int, 2>> ends(count);
  for (auto& each : ends) {
    if (pipe(each.data()) != 0) return 1;
  }
  bool is_refused = false;
  both(
      [&] {
        A.lock();
        A.unlock();
        for (const auto& each : ends) close(each[1]);
      },
      [&] {
        is_refused = !A.try_lock();
        if (!is_refused) A.unlock();
      });
  return is_refused ? 3 : 0;
}

int polls() {
  int ends[2];
  if (pipe(ends) != 0) return 1;
  int result = 9;
  both(
      [&] {
        pollfd one{.fd = ends[0], .events = POLLIN, .revents = 0};
        result = ::poll(&one, 1, -1) == 1 ? 0 : 1;
      },
      [&] { (void)!write(ends[1], "x", 1); });
  return result;
}

int before_main[2];
const bool pipe_before_main = pipe(before_main) == 0;

/// Nobody here writes into it.
int reads_from_outside() {
  return both([] { const std::lock_guard a(A); },
              [] {
                char byte = 0;
                (void)!read(before_main[0], &byte, 1);
              });
}

sockaddr_in any_port() {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

/// A thread for ever in accept() does not keep the program from its end.
int accepts_for_ever() {
  const int server = socket(AF_INET, SOCK_STREAM, 0);
  const sockaddr_in address = any_port();
  if (bind(server, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 || listen(server, 5) != 0)
    return 1;
  std::thread([server] { accept(server, nullptr, nullptr); }).detach();
  return both([] { const std::lock_guard a(A); }, [] { const std::lock_guard a(A); });
}

/// A client and a server of one process.
int echoes() {
  const int server = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = any_port();
  socklen_t length = sizeof address;
  if (bind(server, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 || listen(server, 5) != 0 ||
      getsockname(server, reinterpret_cast<sockaddr*>(&address), &length) != 0)
    return 1;
  std::string got;
  both(
      [&] {
        const int client = accept(server, nullptr, nullptr);
        char room[16];
        const ssize_t size = recv(client, room, sizeof room, 0);
        if (size > 0) send(client, room, static_cast<std::size_t>(size), 0);
      },
      [&] {
        const int client = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(client, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return;
        send(client, "hello", 5, 0);
        char room[16];
        const ssize_t size = recv(client, room, sizeof room, 0);
        if (size > 0) got.assign(room, static_cast<std::size_t>(size));
      });
  return got == "hello" ? 0 : 1;
}

int yields_for_ever() {
  return both([] { const std::lock_guard a(A); },
              [] {
                while (!never) std::this_thread::yield();
              });
}

}  // namespace

int main(int count, char** words) {
  const std::map<std::string, std::function<int()>> cases = {
      {"two-lock", two_lock},
      {"two-lock-pthread", two_lock_of_pthread},
      {"ordered", ordered},
      {"philosophers", [&] { return philosophers(count > 2 ? std::strtoul(words[2], nullptr, 10) : 3); }},
      {"recursive", recursive},
      {"reader-writer", reader_and_writer},
      {"timed", timed},
      {"condition", waits_for_condition},
      {"lost-wake-up", lost_wake_up},
      {"posts-nothing", posts_nothing},
      {"condition-timed", waits_for_a_time},
      {"once", once},
      {"static", static_variable},
      {"future", future},
      {"detached", detached},
      {"thread-local", thread_local_destructor},
      {"sleeps", sleeps},
      {"tries", tries},
      {"semaphores", semaphores},
      {"barrier", meets},
      {"spins", spins},
      {"locks-itself", locks_itself},
      {"unlocks-of-other", unlocks_of_other},
      {"leaves-deadlock", leaves_deadlock},
      {"pool", pool},
      {"heap", heap},
      {"crashes", crashes},
      {"crashes-in-one-order", crashes_in_one_order},
      {"uses-up-its-stack", uses_up_its_stack},
      {"is-ended-by-sanitizer", is_ended_by_sanitizer},
      {"raises", raises},
      {"counts-processors", counts_processors},
      {"prints", prints},
      {"forks", forks_a_process},
      {"executes", executes},
      {"closes-files", closes_files},
      {"prints-much", prints_much},
      {"ignores-signals", ignores_signals},
      {"many-threads", many_threads},
      {"never-ends", never_ends},
      {"reads", reads_terminal},
      {"waits-for-handler", waits_for_handler},
      {"signal", waits_for_signal},
      {"signal-under-lock", signal_under_lock},
      {"signal-for-another", signal_for_another},
      {"signal-for-one-of-two", signal_for_one_of_two},
      {"signal-with-time", signal_with_time},
      {"signal-of-alarm", signal_of_alarm},
      {"locks-file", locks_file},
      {"file-and-lock", file_and_lock},
      {"two-files", two_files},
      {"file-is-refused", file_is_refused},
      {"file-is-closed", file_is_closed},
      {"locks-file-for-process", locks_file_for_process},
      {"locks-file-of-others", [&] { return locks_file_of_others(words[2]); }},
      {"pipe", hands_over_by_pipe},
      {"pipe-deadlock", waits_at_pipe_with_lock},
      {"writes-much", writes_much},
      {"two-readers", two_read_one_byte},
      {"closes-pipes", [&] { return closes_pipes(std::stoul(words[2])); }},
      {"polls", polls},
      {"reads-outside", reads_from_outside},
      {"accepts", accepts_for_ever},
      {"echo", echoes},
      {"yields", yields_for_ever},
  };
  const auto found = count > 1 ? cases.find(words[1]) : cases.end();
  return found == cases.end() ? 64 : found->second();
}

// session_executor.cc: parking a thread, suspending on a loop.
#include "engine/executors/session_executor.h"

#include <poll.h>

#include <algorithm>

#include "engine/actor/run_state.h"

namespace lockstep::load {
namespace {

class ThreadSessionExecutor final : public SessionExecutor {
 public:
  using SessionExecutor::SessionExecutor;

  std::string_view name() const noexcept override { return "threads"; }
  bool parks_threads() const noexcept override { return true; }

  bool wait(Actor& actor, Operation& operation) override {
    if (!operation.arm()) return true;
    const Nanos began = clock_.now();
    const bool counts = is_for_somebody(operation);
    while (!operation.is_woken()) {
      const Waiting& what = operation.waiting();
      const Nanos now = clock_.now();
      if (now >= what.deadline) {
        operation.expire(what.deadline_fault);
        break;
      }
      if (now >= what.retry_at) break;
      const Nanos until = std::min(what.deadline, what.retry_at);
      if (what.fd >= 0) {
        pollfd fd{what.fd, what.events, 0};
        const int longest_ms = until == kNever ? -1 : static_cast<int>((until - now).count() / 1'000'000 + 1);
        if (::poll(&fd, 1, longest_ms) != 0) break;
      } else {
        park(actor, operation, until == kNever ? std::chrono::hours(1) : until - now);
      }
    }
    if (counts) {
      ++waits_;
      waited_ += clock_.now() - began;
    }
    return true;
  }

  bool park(Actor&, Operation& operation, Nanos span) override {
    const auto until = std::chrono::steady_clock::now() + span;
    MutexLock lock(mutex_);
    while (!operation.is_woken()) {
      if (!woken_.wait_until(mutex_, until)) break;
    }
    return operation.is_woken();
  }

  void ready(Actor&) noexcept override {
    MutexLock lock(mutex_);
    woken_.notify_all();
  }

 private:
  Mutex mutex_;  // a leaf
  CondVar woken_;
};

class LoopSessionExecutor final : public SessionExecutor, runtime::Job, runtime::Timer, runtime::Watch {
 public:
  LoopSessionExecutor(CompletionLatch& latch, runtime::Loop& loop) : SessionExecutor(latch), loop_(loop) {}

  std::string_view name() const noexcept override { return "coroutines"; }
  bool parks_threads() const noexcept override { return false; }

  void begin(Actor& actor, debugging::CoroutineGroup& shown) {
    actor_ = &actor;
    shown_.label = actor.name.c_str();
    shown.add(shown_);
    loop_.post(*this);
  }

  bool wait(Actor&, Operation& operation) override {
    const Waiting& what = operation.waiting();
    shown_.innermost = &operation.frame();
    if (what.fd >= 0 && !expect(what.fd, what.events)) return true;
    const Nanos moment = std::min(what.deadline, what.retry_at);
    if (moment != kNever) loop_.timers().set(*this, moment);
    counts_ = is_for_somebody(operation);
    began_ = counts_ ? clock_.now() : Nanos(0);
    expects_socket_ = what.fd >= 0;
    // Woken from now on it is resumed by this very thread, which is still here.
    if (operation.arm()) return false;
    forget();
    return true;
  }

  bool park(Actor&, Operation&, Nanos) override {
    LOCKSTEP_CHECK(false, "a coroutine was asked to block its thread");
    return false;
  }

  void ready(Actor&) noexcept override { loop_.post(*this); }

  void finished(Actor& actor) noexcept override {
    loop_.unwatch(*this);
    SessionExecutor::finished(actor);
  }

 private:
  /// A session waits for the same socket again and again: it stays in the epoll, and a wait costs no call of the
  /// kernel.
  bool expect(int fd, short events) noexcept {
    if (is_watched() && fd == fd_ && events == events_) return true;
    loop_.unwatch(*this);
    fd_ = fd;
    events_ = events;
    return loop_.keep_watching(*this, fd, events);
  }
  void forget() noexcept {
    loop_.timers().cancel(*this);
    expects_socket_ = false;
  }
  void run() noexcept override {
    loop_.entered({"session", static_cast<std::uint32_t>(actor_->index + 1)});
    forget();
    shown_.innermost = nullptr;
    if (!started_) {
      started_ = true;
      actor_->start();
      return;
    }
    if (counts_) {
      ++waits_;
      waited_ += clock_.now() - began_;
    }
    actor_->resume();
  }
  void fire() noexcept override {
    Operation& operation = *actor_->current();  // it waits: nobody but this thread could let it go on
    if (operation.is_woken()) return;
    const Waiting& what = operation.waiting();
    if (what.deadline > clock_.now()) {
      operation.wake();
    } else if (operation.expire(what.deadline_fault)) {
      loop_.post(*this);
    }
  }
  void on_ready() noexcept override {
    if (expects_socket_) {
      actor_->current()->wake();
    } else {
      loop_.unwatch(*this);  // the server's farewell to a session that asks nothing: its next request will find it
    }
  }

  runtime::Loop& loop_;
  Actor* actor_ = nullptr;
  int fd_ = -1;  // watched, when is_watched()
  short events_ = 0;
  bool expects_socket_ = false;  // the actor is suspended until it is ready
  bool started_ = false;
  bool counts_ = false;
  Nanos began_{0};
  debugging::Coroutine shown_{};
};

}  // namespace

/// A lock, or a queue of the store: neither a socket, of which nobody can tell what it waits for, nor a pause.
bool SessionExecutor::is_for_somebody(const Operation& operation) {
  const Waiting& what = operation.waiting();
  return what.fd < 0 && what.deadline_fault != Fault::idle_timeout;
}

std::unique_ptr<SessionExecutor> make_thread_session_executor(CompletionLatch& latch) {
  return std::make_unique<ThreadSessionExecutor>(latch);
}

std::unique_ptr<SessionExecutor> make_loop_session_executor(CompletionLatch& latch, runtime::Loop& loop) {
  return std::make_unique<LoopSessionExecutor>(latch, loop);
}

void begin(SessionExecutor& executor, Actor& actor, debugging::CoroutineGroup& shown) {
  static_cast<LoopSessionExecutor&>(executor).begin(actor, shown);
}

}  // namespace lockstep::load

// model.h: what pthread's primitives do, as plain data: who may go, what a step changes, and what it touches.
//
// The program's own primitives are never called while it is under control. This model stands for them, in memory that
// the program shares with Lockstep. It allocates nothing, needs no library, and is the same code on both sides and in
// its tests (tests/engine/foreign/model_test.cc holds it against every order of small programs).
//
// A thread stands before its next operation, its *gate*. A step takes one thread through its gate:
//
//     operation                 can go when                   touches (engine/base/footprint.h)
//     lock                      nobody has it, or it is its   changes; needs it open
//                               own and recursive
//     trylock; timed lock       always; free, or by time-out  changes; refused: looks
//     unlock                    always                        changes; it is open after it
//     wait: 1. enter 2. leave   always; woken and the mutex   1. changes condition and mutex; 2. as lock of the mutex,
//                               is free                       by time-out also the condition
//     signal, broadcast         always (first come, first     changes, and `ran` whom it wakes
//                               served)
//     rdlock / wrlock           no writer / nobody            changes who has it, looks at the writer / changes both
//     sem_wait, sem_post        value above 0; always         changes; closed while the value is 0
//     barrier                   always                        changes; the last one `ran` the others
//     once                      nobody is at it               changes; done: looks
//     join                      the thread has ended          changes; closed until the end
//     sleep, yield              always                        nothing
//     exit                      nobody else can go            everything: it has no other place
//     futex wait / wake         always                        changes / changes, and `ran` whom it wakes
//     sigwait / a signal sent   always                        changes / changes, and `ran` whom it wakes
//     lock of a file / given    always                        changes / changes, and `ran` whom it lets in
//     back
//     read, write of a file     something is there / there    changes both ends: what is there, and the room; what is
//                               is room; not waiting: always  not this process's own, and polls: everything
//
// The end of a thread, the end of a once and the making of a thread are no steps of their own: they belong to the step
// in which they happen.
#pragma once

#include <cerrno>
#include <cstdint>
#include <initializer_list>

namespace lockstep::foreign {

inline constexpr int kThreadsMost = 32;  ///< as many as a search can tell apart (engine/explore/search/search.h)
inline constexpr int kTouchesMost = 64;  ///< of one step
inline constexpr std::uint32_t kObjectsMost = 8192;  ///< a power of 2

/// In Touches::ran: everything else is over before the step, which has no other place.
inline constexpr std::uint32_t kEverybody = ~std::uint32_t{0};

enum class Act : std::uint8_t {
  none,
  lock,
  unlock,
  wait,   ///< of a condition variable: gives the mutex back
  leave,  ///< the second half of `wait`: takes the mutex again
  signal,
  broadcast,
  rdlock,
  wrlock,
  rwunlock,
  sem_wait,
  sem_post,
  barrier,
  at_barrier,  ///< has arrived and waits for the others
  once,
  join,
  sleep,
  yield,
  exit,
  futex_wait,
  in_futex,  ///< waits to be woken
  futex_wake,
  take_in,   ///< reads a file, as soon as something is there
  give_out,  ///< writes to it, as soon as there is room
  look_out,  ///< polls several files
  sig_wait,
  in_sig_wait,  ///< waits for a signal to be sent
  sig_send,
  file_lock,     ///< flock and its like: the kernel has been asked
  in_file_lock,  ///< waits to be let in
  file_unlock,
};
inline constexpr int kVerbs = static_cast<int>(Act::file_unlock) + 1;

/// The function with which a file was asked, for people.
enum class FileCall : std::uint8_t { none, read, recv, accept, write, send, poll, select, epoll_wait, flock, fcntl };
/// What a thread has made of which nobody but its process can change the state.
enum class FileKind : std::uint8_t { any, pipe, sockets, event };

/// Operation::mutex of one at a file: the state of its two ends before the step, or that it is not this process alone
/// that decides what comes there.
inline constexpr std::uint64_t kReadable = 1, kWritable = 2, kOutside = 4;

enum class Persistence : std::uint8_t { waits, tries, timed };

enum class MutexKind : std::uint8_t { normal, recursive, checked, spin };

/// What a thread stands before.
struct Operation {
  Act verb = Act::none;
  Persistence patience = Persistence::waits;
  MutexKind kind = MutexKind::normal;  ///< of a mutex
  FileCall call = FileCall::none;      ///< at a file
  std::int32_t argument = 0;  ///< barrier: how many; futex_wake: how many at most; join: the thread; futex_wait:
                              ///< 1 when the word has the value that is expected; exit: its code; at a file: 1 when it
                              ///< is ready; sig_wait: 1 when such a signal is there; sig_send: the thread, -1: any;
                              ///< file_lock: 1 when the kernel has answered, with the lock or an error
  std::uint64_t object = 0;   ///< its address
  std::uint64_t mutex = 0;    ///< wait, leave: that of the mutex; signals: bit 0 is signal 1
  std::int64_t deadline = 0;  ///< timed, in virtual nanoseconds; sleep: how long
  std::uint64_t caller = 0;   ///< where the program called
};

enum class TouchKind : std::uint8_t { looks, shares, changes };

/// One thing that a step touches. `facet` tells the two sides of a reader-writer lock apart: 0 is who has it at all, 1
/// whether a writer has.
struct Touched {
  std::uint64_t object = 0;
  TouchKind touch = TouchKind::looks;
  std::uint8_t facet = 0;
  bool needs_open = false, closed_before = false, closed_after = false;
};

/// What a step touches, and whose code it ran beside that of its own thread.
struct Touches {
  std::uint32_t count = 0;
  std::uint32_t ran = 0;          ///< a bit each
  bool too_many = false;          ///< there was no room for all
  Touched touched[kTouchesMost];  ///< the first `count`

  void clear() noexcept {
    count = ran = 0;
    too_many = false;
  }
  void add(const Touched& more) noexcept {
    for (std::uint32_t i = 0; i < count; ++i) {
      Touched& known = touched[i];
      if (known.object != more.object || known.facet != more.facet) continue;
      if (known.touch != more.touch) known.touch = TouchKind::changes;
      known.needs_open = known.needs_open || more.needs_open;
      known.closed_after = more.closed_after;
      return;
    }
    if (count < kTouchesMost) {
      touched[count++] = more;
    } else {
      too_many = true;
    }
  }
};

/// A mutex, a reader-writer lock, a semaphore, a barrier, a once, or a thread as what can be joined.
struct Primitive {
  std::uint64_t address = 0;
  std::int8_t owner = -1;                  ///< who holds it, writes, or is at the once
  bool done = false;                       ///< once
  std::uint32_t count = 0;                 ///< depth of a mutex; value of a semaphore; arrivals at a barrier; readers
  std::uint8_t reader[kThreadsMost] = {};  ///< how often each thread reads
};

struct ThreadState {
  enum class Place : std::uint8_t { none, runs, at_gate, ended };
  Place place = Place::none;
  bool joined = false;  ///< or detached: nobody needs to wait for it any more
  bool woken = false;   ///< in `leave`: it was signalled
  std::int8_t parent = -1;
  std::uint16_t children = 0;
  std::int32_t result = 0;   ///< of the operation: what its function answers
  std::uint64_t ticket = 0;  ///< who waits longer has the smaller one
  Operation operation;
};

/// What a thread may do now.
struct Options {
  bool goes = false;
  bool times_out = false;
};

/// Something that the program did and that no program should.
enum class Misuse : std::uint8_t { none, unlocks_free, unlocks_of_other, relocks, ends_holding };

/// Not thread-safe: the one thread that runs uses it.
class PrimitiveModel {
 public:
  /// As new, with thread 0 running.
  void reset() noexcept {
    for (std::uint32_t i = 0; i < used_; ++i) objects_[slots_[i]] = Primitive{};
    used_ = 0;
    for (ThreadState& each : threads_) each = ThreadState{};
    threads_[0].place = ThreadState::Place::runs;
    now_ = 0;
    tickets_ = 0;
    living_ = 1;
    unjoined_ = 0;
    misuse_ = Misuse::none;
  }

  // -- what there is --
  ThreadState& thread(int index) noexcept { return threads_[index]; }
  const ThreadState& thread(int index) const noexcept { return threads_[index]; }
  std::int64_t now() const noexcept { return now_; }
  void pass(std::int64_t nanoseconds) noexcept { now_ += nanoseconds; }
  /// True while no step can be in another order: one thread is left, and nobody waits for one that has ended.
  bool is_alone() const noexcept { return living_ == 1 && unjoined_ == 0; }
  int living() const noexcept { return living_; }
  bool is_full() const noexcept { return used_ >= kObjectsMost / 2; }
  Misuse misuse() const noexcept { return misuse_; }
  int misuser() const noexcept { return misuser_; }
  std::uint64_t misused() const noexcept { return misused_; }

  // -- effects: they belong to the step in hand --
  void begins(int index, int parent, bool detached) noexcept {
    ThreadState& thread = threads_[index];
    thread = ThreadState{};
    thread.place = ThreadState::Place::runs;
    thread.parent = static_cast<std::int8_t>(parent);
    thread.joined = detached;
    ++living_;
    if (!detached) ++unjoined_;
  }
  void ends(int index, Touches& touches) noexcept {
    threads_[index].place = ThreadState::Place::ended;
    --living_;
    touches.add({.object = handle_of(index), .touch = TouchKind::changes, .closed_before = true});
  }
  void detaches(int index) noexcept {
    if (threads_[index].joined) return;
    threads_[index].joined = true;
    --unjoined_;
  }
  void once_done(std::uint64_t address, bool thrown, Touches& touches) noexcept {
    Primitive& once = at(address);
    once.owner = -1;
    once.done = !thrown;
    touches.add({.object = address, .touch = TouchKind::changes, .closed_before = true});
  }
  /// For who is told whom: what the kernel has given.
  void takes_file(std::uint64_t address, int index, bool alone) noexcept {
    Primitive& lock = at(address);
    gives_file(address, index);
    if (alone) {
      lock.owner = static_cast<std::int8_t>(index);
    } else {
      ++lock.count;
      ++lock.reader[index];
    }
  }
  void gives_file(std::uint64_t address, int index) noexcept {
    Primitive& lock = at(address);
    if (lock.owner == index) lock.owner = -1;
    if (lock.reader[index] == 0) return;
    --lock.reader[index];
    --lock.count;
  }
  /// The kernel has given the lock to one that waits for it: it goes on within the step in hand.
  void lets_in(int index, Touches& touches) noexcept { release(index, 0, touches.ran); }
  void sets_semaphore(std::uint64_t address, std::uint32_t value) noexcept { at(address).count = value; }
  std::uint32_t semaphore(std::uint64_t address) noexcept { return at(address).count; }
  /// A thing that begins anew at this place.
  void forgets(std::uint64_t address) noexcept {
    Primitive& object = at(address);
    object = Primitive{};
    object.address = address;
  }
  bool is_held(std::uint64_t address) noexcept {
    const Primitive& object = at(address);
    return object.owner >= 0 || object.count > 0;
  }
  /// Calls visit(address, thread, reads) for everything that a thread holds.
  template <class Visit>
  void for_each_hold(const Visit& visit) const {
    for (std::uint32_t i = 0; i < used_; ++i) {
      const Primitive& object = objects_[slots_[i]];
      if (object.owner >= 0) visit(object.address, static_cast<int>(object.owner), false);
      for (int t = 0; t < kThreadsMost; ++t) {
        if (object.reader[t] > 0) visit(object.address, t, true);
      }
    }
  }
  bool reads(std::uint64_t address, int index) noexcept { return at(address).reader[index] > 0; }
  /// Who holds the thing: its owner, or one that reads; -1: nobody.
  int holder(std::uint64_t address, int but = -1) noexcept {
    const Primitive& object = at(address);
    if (object.owner >= 0) return object.owner;
    for (int i = 0; i < kThreadsMost; ++i) {
      if (i != but && object.reader[i] > 0) return i;
    }
    return object.count > 0 && object.reader[but < 0 ? 0 : but] > 0 ? but : -1;
  }

  /// The thing that a join of the thread touches.
  static constexpr std::uint64_t handle_of(int index) noexcept { return static_cast<std::uint64_t>(index) + 1; }

  // -- what may happen next --
  Options options(int index) noexcept {
    const ThreadState& thread = threads_[index];
    if (thread.place != ThreadState::Place::at_gate) return {};
    const Operation& operation = thread.operation;
    const bool timed = operation.patience == Persistence::timed;
    switch (operation.verb) {
      case Act::lock: {
        const Primitive& mutex = at(operation.object);
        if (mutex.owner < 0 || operation.patience == Persistence::tries) return {.goes = true};
        if (mutex.owner == index && operation.kind != MutexKind::normal)
          return {.goes = operation.kind != MutexKind::spin};
        return {.goes = false, .times_out = timed};
      }
      case Act::leave: {
        const bool open = at(operation.mutex).owner < 0;
        return {.goes = open && thread.woken, .times_out = open && timed && !thread.woken};
      }
      case Act::rdlock: {
        const Primitive& lock = at(operation.object);
        const bool refused = lock.owner == index && operation.patience == Persistence::waits;  // EDEADLK
        if (lock.owner < 0 || refused || operation.patience == Persistence::tries) return {.goes = true};
        return {.goes = false, .times_out = timed};
      }
      case Act::wrlock: {
        const Primitive& lock = at(operation.object);
        const bool refused = lock.owner == index && operation.patience == Persistence::waits;
        const bool free = lock.owner < 0 && lock.count == 0;
        if (free || refused || operation.patience == Persistence::tries) return {.goes = true};
        return {.goes = false, .times_out = timed};
      }
      case Act::sem_wait:
        if (at(operation.object).count > 0 || operation.patience == Persistence::tries) return {.goes = true};
        return {.goes = false, .times_out = timed};
      case Act::once:
        return {.goes = at(operation.object).owner < 0};
      case Act::join:
        if (threads_[operation.argument].place == ThreadState::Place::ended || operation.patience == Persistence::tries)
          return {.goes = true};
        return {.goes = false, .times_out = timed};
      case Act::exit:
        return {.goes = !somebody_else_goes(index)};
      case Act::at_barrier:
        return {};
      case Act::in_futex:
        return {.goes = false, .times_out = timed};
      case Act::in_sig_wait:  // by itself when it comes from outside
      case Act::in_file_lock:
        return {.goes = operation.argument == 1, .times_out = timed};
      case Act::take_in:
      case Act::give_out:
      case Act::look_out:
        if (operation.argument == 1 || operation.patience == Persistence::tries) return {.goes = true};
        return {.goes = false, .times_out = timed};
      case Act::none:
        return {};
      default:
        return {.goes = true};
    }
  }

  // -- a step --
  /// Takes the thread through its gate; `options()` allows it. Answers the threads that were woken out of their waits
  /// and go on within this step, a bit each. The thread itself goes on too, unless it stands before the second half of
  /// its operation: then its place is still at_gate.
  std::uint32_t take(int index, bool times_out, Touches& touches) noexcept {
    ThreadState& thread = threads_[index];
    Operation& operation = thread.operation;
    now_ += kStep;
    if (times_out && operation.deadline > now_) now_ = operation.deadline;
    thread.result = 0;
    std::uint32_t released = 0;
    bool goes_on = true;
    switch (operation.verb) {
      case Act::lock:
        lock(index, times_out, touches);
        break;
      case Act::unlock:
        unlock(index, touches);
        break;
      case Act::wait: {
        Primitive& mutex = at(operation.mutex);
        touches.add({.object = operation.object, .touch = TouchKind::changes});
        if (mutex.owner != index) note(Misuse::unlocks_of_other, index, operation.mutex);
        give_back(mutex, touches);
        operation.verb = Act::leave;
        thread.woken = false;
        thread.ticket = ++tickets_;
        goes_on = false;
        break;
      }
      case Act::leave: {
        Primitive& mutex = at(operation.mutex);
        if (times_out) {
          touches.add({.object = operation.object, .touch = TouchKind::changes});
          thread.result = ETIMEDOUT;
        }
        mutex.owner = static_cast<std::int8_t>(index);
        mutex.count = 1;
        touches.add({.object = operation.mutex, .touch = TouchKind::changes, .needs_open = true, .closed_after = true});
        break;
      }
      case Act::signal:
      case Act::broadcast:
        touches.add({.object = operation.object, .touch = TouchKind::changes});
        for (int waiter = next_in(operation.object, Act::leave); waiter >= 0;
             waiter = next_in(operation.object, Act::leave)) {
          threads_[waiter].woken = true;
          touches.ran |= 1U << static_cast<unsigned>(waiter);
          if (operation.verb == Act::signal) break;
        }
        break;
      case Act::rdlock:
        read_lock(index, times_out, touches);
        break;
      case Act::wrlock:
        write_lock(index, times_out, touches);
        break;
      case Act::rwunlock:
        unlock_either(index, touches);
        break;
      case Act::sem_wait:
        wait_for_semaphore(index, times_out, touches);
        break;
      case Act::sem_post: {
        Primitive& semaphore = at(operation.object);
        touches.add({.object = operation.object, .touch = TouchKind::changes, .closed_before = semaphore.count == 0});
        ++semaphore.count;
        break;
      }
      case Act::barrier: {
        Primitive& barrier = at(operation.object);
        touches.add({.object = operation.object, .touch = TouchKind::changes});
        if (++barrier.count < static_cast<std::uint32_t>(operation.argument)) {
          operation.verb = Act::at_barrier;
          goes_on = false;
          break;
        }
        barrier.count = 0;
        thread.result = -1;  // PTHREAD_BARRIER_SERIAL_THREAD
        for (int i = 0; i < kThreadsMost; ++i) {
          if (stands_in(i, Act::at_barrier, operation.object)) release(i, 0, released);
        }
        break;
      }
      case Act::once: {
        Primitive& once = at(operation.object);
        const bool done = once.done;
        if (!done) once.owner = static_cast<std::int8_t>(index);
        touches.add({.object = operation.object,
                     .touch = done ? TouchKind::looks : TouchKind::changes,
                     .needs_open = true,
                     .closed_after = !done});
        thread.result = done ? 0 : 1;  // 1: this thread is to do it
        break;
      }
      case Act::join:
        join(index, times_out, touches);
        break;
      case Act::sleep:
        if (operation.deadline > 0) now_ += operation.deadline;
        break;
      case Act::futex_wait:
        touches.add({.object = operation.object, .touch = TouchKind::changes});
        if (operation.argument == 0) {
          thread.result = EAGAIN;
          break;
        }
        operation.verb = Act::in_futex;
        thread.ticket = ++tickets_;
        goes_on = false;
        break;
      case Act::in_futex:  // by time-out
        touches.add({.object = operation.object, .touch = TouchKind::changes});
        thread.result = ETIMEDOUT;
        break;
      case Act::futex_wake: {
        touches.add({.object = operation.object, .touch = TouchKind::changes});
        std::int32_t woken = 0;
        for (int waiter = next_in(operation.object, Act::in_futex); waiter >= 0 && woken < operation.argument;
             waiter = next_in(operation.object, Act::in_futex), ++woken) {
          release(waiter, 0, released);
        }
        thread.result = woken;
        break;
      }
      case Act::sig_wait:
        touches.add({.object = operation.object, .touch = TouchKind::changes});
        if (operation.argument == 1) break;
        if (operation.patience == Persistence::tries) {
          thread.result = EAGAIN;
          break;
        }
        operation.verb = Act::in_sig_wait;
        thread.ticket = ++tickets_;
        goes_on = false;
        break;
      case Act::in_sig_wait:
      case Act::in_file_lock:
        if (times_out) {
          touches.add({.object = operation.object, .touch = TouchKind::changes});
          thread.result = EAGAIN;
        } else {
          touches.ran = kEverybody;
        }
        break;
      case Act::sig_send: {
        touches.add({.object = operation.object, .touch = TouchKind::changes});
        int first = -1;
        for (int i = 0; i < kThreadsMost; ++i) {
          const bool is_meant = (operation.argument < 0 || operation.argument == i) &&
                                stands_in(i, Act::in_sig_wait, operation.object) &&
                                (threads_[i].operation.mutex & operation.mutex) != 0;
          if (is_meant && (first < 0 || threads_[i].ticket < threads_[first].ticket)) first = i;
        }
        if (first >= 0) release(first, 0, released);
        break;
      }
      case Act::file_lock:
        touches.add({.object = operation.object, .touch = TouchKind::changes});
        if (operation.argument == 1) break;
        if (operation.patience == Persistence::tries) {
          thread.result = EAGAIN;
          break;
        }
        operation.verb = Act::in_file_lock;
        thread.ticket = ++tickets_;
        goes_on = false;
        break;
      case Act::file_unlock:
        touches.add({.object = operation.object, .touch = TouchKind::changes});
        break;
      case Act::take_in:
      case Act::give_out:
        pass_file(operation, touches);
        if (operation.argument != 1) thread.result = EAGAIN;
        break;
      case Act::look_out:
      case Act::exit:
        touches.ran = kEverybody;
        break;
      case Act::yield:
      case Act::at_barrier:
      case Act::none:
        break;
    }
    touches.ran |= released;
    if (goes_on) thread.place = ThreadState::Place::runs;
    return released;
  }

  /// What the thread's next step would touch when it could go; nothing when it waits to be woken.
  void foresee(int index, Touches& touches) noexcept {
    const ThreadState& thread = threads_[index];
    if (thread.place != ThreadState::Place::at_gate) return;
    const Operation& operation = thread.operation;
    const bool needs_open = operation.patience == Persistence::waits || operation.verb == Act::leave;
    const auto before = [&touches, needs_open](std::uint64_t object, std::uint8_t facet, TouchKind touch, bool closed) {
      touches.add({.object = object,
                   .touch = touch,
                   .facet = facet,
                   .needs_open = needs_open,
                   .closed_before = closed,
                   .closed_after = true});
    };
    switch (operation.verb) {
      case Act::lock:
      case Act::once:
        before(operation.object, 0, TouchKind::changes, true);
        break;
      case Act::leave:
        if (thread.woken) before(operation.mutex, 0, TouchKind::changes, true);
        break;
      case Act::rdlock:
        before(operation.object, 1, TouchKind::looks, true);
        touches.add(
            {.object = operation.object, .touch = TouchKind::changes, .closed_before = true, .closed_after = true});
        break;
      case Act::wrlock:
        before(operation.object, 0, TouchKind::changes, true);
        before(operation.object, 1, TouchKind::changes, at(operation.object).owner >= 0);
        break;
      case Act::sem_wait:
        before(operation.object, 0, TouchKind::changes, true);
        break;
      case Act::join:
        before(handle_of(operation.argument), 0, TouchKind::changes, true);
        break;
      case Act::take_in:
      case Act::give_out:
        if ((operation.mutex & kOutside) == 0)
          before(operation.object, operation.verb == Act::take_in ? 0 : 1, TouchKind::changes, true);
        break;
      default:
        break;
    }
  }

 private:
  static constexpr std::int64_t kStep = 10'000;  ///< ns of virtual time

  Primitive& at(std::uint64_t address) noexcept {
    std::uint32_t slot = static_cast<std::uint32_t>((address * 0x9e3779b97f4a7c15U) >> 40U) % kObjectsMost;
    while (objects_[slot].address != 0 && objects_[slot].address != address) slot = (slot + 1) % kObjectsMost;
    Primitive& object = objects_[slot];
    if (object.address == 0 && used_ < kObjectsMost - 1) {
      object.address = address;
      slots_[used_++] = static_cast<std::uint16_t>(slot);
    }
    return object;
  }

  void note(Misuse what, int who, std::uint64_t object) noexcept {
    if (misuse_ != Misuse::none) return;
    misuse_ = what;
    misuser_ = who;
    misused_ = object;
  }

  bool somebody_else_goes(int index) noexcept {
    for (int i = 0; i < kThreadsMost; ++i) {
      if (i != index && threads_[i].operation.verb != Act::exit && options(i).goes) return true;
    }
    return false;
  }

  bool stands_in(int index, Act verb, std::uint64_t object) const noexcept {
    const ThreadState& thread = threads_[index];
    return thread.place == ThreadState::Place::at_gate && thread.operation.verb == verb &&
           thread.operation.object == object && !(verb == Act::leave && thread.woken);
  }

  /// Who waits longest there; -1: nobody.
  int next_in(std::uint64_t object, Act verb) const noexcept {
    int first = -1;
    for (int i = 0; i < kThreadsMost; ++i) {
      if (stands_in(i, verb, object) && (first < 0 || threads_[i].ticket < threads_[first].ticket)) first = i;
    }
    return first;
  }

  void release(int index, std::int32_t result, std::uint32_t& released) noexcept {
    threads_[index].result = result;
    threads_[index].place = ThreadState::Place::runs;
    released |= 1U << static_cast<unsigned>(index);
  }

  void lock(int index, bool times_out, Touches& touches) noexcept {
    ThreadState& thread = threads_[index];
    const Operation& operation = thread.operation;
    Primitive& mutex = at(operation.object);
    if (times_out) {
      thread.result = ETIMEDOUT;
      touches.add(
          {.object = operation.object, .touch = TouchKind::changes, .closed_before = true, .closed_after = true});
      return;
    }
    if (mutex.owner == index && operation.kind == MutexKind::recursive) {
      ++mutex.count;  // which nobody else can see
      touches.add({.object = operation.object, .touch = TouchKind::looks, .closed_before = true, .closed_after = true});
      return;
    }
    if (mutex.owner >= 0) {
      const bool relocks = mutex.owner == index && operation.patience != Persistence::tries;
      thread.result = relocks ? EDEADLK : EBUSY;
      if (relocks) note(Misuse::relocks, index, operation.object);
      touches.add({.object = operation.object, .touch = TouchKind::looks, .closed_before = true, .closed_after = true});
      return;
    }
    mutex.owner = static_cast<std::int8_t>(index);
    mutex.count = 1;
    touches.add({.object = operation.object,
                 .touch = TouchKind::changes,
                 .needs_open = operation.patience == Persistence::waits,
                 .closed_after = true});
  }

  void unlock(int index, Touches& touches) noexcept {
    ThreadState& thread = threads_[index];
    Primitive& mutex = at(thread.operation.object);
    if (mutex.owner != index) {
      note(mutex.owner < 0 ? Misuse::unlocks_free : Misuse::unlocks_of_other, index, mutex.address);
      const bool is_checked =
          thread.operation.kind == MutexKind::recursive || thread.operation.kind == MutexKind::checked;
      if (is_checked) {
        thread.result = EPERM;
        const bool closed = mutex.owner >= 0;
        touches.add(
            {.object = mutex.address, .touch = TouchKind::looks, .closed_before = closed, .closed_after = closed});
        return;
      }
    }
    give_back(mutex, touches);
  }

  void give_back(Primitive& mutex, Touches& touches) noexcept {
    const bool closed = mutex.owner >= 0;
    if (mutex.count > 1) {
      --mutex.count;
      touches.add({.object = mutex.address, .touch = TouchKind::looks, .closed_before = true, .closed_after = true});
      return;
    }
    mutex.owner = -1;
    mutex.count = 0;
    touches.add({.object = mutex.address, .touch = TouchKind::changes, .closed_before = closed});
  }

  void read_lock(int index, bool times_out, Touches& touches) noexcept {
    ThreadState& thread = threads_[index];
    const Operation& operation = thread.operation;
    Primitive& lock = at(operation.object);
    if (times_out || lock.owner >= 0) {
      thread.result = times_out ? ETIMEDOUT : lock.owner == index ? EDEADLK : EBUSY;
      touches.add({.object = operation.object,
                   .touch = times_out ? TouchKind::changes : TouchKind::looks,
                   .facet = 1,
                   .closed_before = true,
                   .closed_after = true});
      return;
    }
    // Two readers do not commute: the one that leaves last lets the writer in.
    touches.add({.object = operation.object,
                 .touch = TouchKind::changes,
                 .closed_before = lock.count > 0,
                 .closed_after = true});
    touches.add({.object = operation.object,
                 .touch = TouchKind::looks,
                 .facet = 1,
                 .needs_open = operation.patience == Persistence::waits});
    ++lock.count;
    ++lock.reader[index];
  }

  void write_lock(int index, bool times_out, Touches& touches) noexcept {
    ThreadState& thread = threads_[index];
    const Operation& operation = thread.operation;
    Primitive& lock = at(operation.object);
    if (times_out || lock.owner >= 0 || lock.count > 0) {
      thread.result = times_out ? ETIMEDOUT : lock.owner == index ? EDEADLK : EBUSY;
      touches.add({.object = operation.object,
                   .touch = times_out ? TouchKind::changes : TouchKind::looks,
                   .closed_before = true,
                   .closed_after = true});
      return;
    }
    const bool needs_open = operation.patience == Persistence::waits;
    for (const std::uint8_t facet : {std::uint8_t{0}, std::uint8_t{1}}) {
      touches.add({.object = operation.object,
                   .touch = TouchKind::changes,
                   .facet = facet,
                   .needs_open = needs_open,
                   .closed_after = true});
    }
    lock.owner = static_cast<std::int8_t>(index);
  }

  void unlock_either(int index, Touches& touches) noexcept {
    Primitive& lock = at(threads_[index].operation.object);
    if (lock.owner == index) {
      lock.owner = -1;
      for (const std::uint8_t facet : {std::uint8_t{0}, std::uint8_t{1}})
        touches.add({.object = lock.address, .touch = TouchKind::changes, .facet = facet, .closed_before = true});
      return;
    }
    if (lock.reader[index] == 0) {
      note(lock.owner < 0 && lock.count == 0 ? Misuse::unlocks_free : Misuse::unlocks_of_other, index, lock.address);
      touches.add({.object = lock.address, .touch = TouchKind::changes});
      return;
    }
    --lock.reader[index];
    --lock.count;
    touches.add(
        {.object = lock.address, .touch = TouchKind::changes, .closed_before = true, .closed_after = lock.count > 0});
  }

  void wait_for_semaphore(int index, bool times_out, Touches& touches) noexcept {
    ThreadState& thread = threads_[index];
    const Operation& operation = thread.operation;
    Primitive& semaphore = at(operation.object);
    if (times_out || semaphore.count == 0) {
      thread.result = times_out ? ETIMEDOUT : EAGAIN;
      touches.add({.object = operation.object,
                   .touch = times_out ? TouchKind::changes : TouchKind::looks,
                   .closed_before = true,
                   .closed_after = true});
      return;
    }
    --semaphore.count;
    touches.add({.object = operation.object,
                 .touch = TouchKind::changes,
                 .needs_open = operation.patience == Persistence::waits,
                 .closed_after = semaphore.count == 0});
  }

  /// What has changed after the call itself, the caller adds.
  static void pass_file(const Operation& operation, Touches& touches) noexcept {
    if ((operation.mutex & kOutside) != 0) {
      touches.ran = kEverybody;
      return;
    }
    const bool takes = operation.verb == Act::take_in;
    const bool readable = (operation.mutex & kReadable) != 0, writable = (operation.mutex & kWritable) != 0;
    const std::uint8_t wanted = takes ? 0 : 1;
    if (operation.argument != 1) {  // refused
      touches.add({.object = operation.object,
                   .touch = TouchKind::looks,
                   .facet = wanted,
                   .closed_before = true,
                   .closed_after = true});
      return;
    }
    touches.add({.object = operation.object,
                 .touch = TouchKind::changes,
                 .facet = wanted,
                 .needs_open = operation.patience == Persistence::waits});
    touches.add({.object = operation.object,
                 .touch = TouchKind::changes,
                 .facet = static_cast<std::uint8_t>(1 - wanted),
                 .closed_before = takes ? !writable : !readable,
                 .closed_after = takes ? !writable : !readable});
  }

  void join(int index, bool times_out, Touches& touches) noexcept {
    ThreadState& thread = threads_[index];
    const Operation& operation = thread.operation;
    const int other = operation.argument;
    const std::uint64_t handle = handle_of(other);
    if (times_out || threads_[other].place != ThreadState::Place::ended) {
      thread.result = times_out ? ETIMEDOUT : EBUSY;
      touches.add({.object = handle,
                   .touch = times_out ? TouchKind::changes : TouchKind::looks,
                   .closed_before = true,
                   .closed_after = true});
      return;
    }
    detaches(other);
    touches.add(
        {.object = handle, .touch = TouchKind::changes, .needs_open = operation.patience == Persistence::waits});
  }

  Primitive objects_[kObjectsMost];
  std::uint16_t slots_[kObjectsMost];
  std::uint32_t used_ = 0;
  ThreadState threads_[kThreadsMost];
  std::int64_t now_ = 0;
  std::uint64_t tickets_ = 0;
  std::int32_t living_ = 0;
  std::int32_t unjoined_ = 0;
  Misuse misuse_ = Misuse::none;
  std::int32_t misuser_ = -1;
  std::uint64_t misused_ = 0;
};

}  // namespace lockstep::foreign

// program.h: small programs made by chance, over every operation of engine/sync and every verb of a store: what a
// search is held against brute force with. A program is data, so one that fails can be made smaller, and printed as a
// scenario.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "engine/scenario/scenario.h"

namespace lockstep::random_programs {

/// What an operation does. `object`: which of its kind (a mutex, a key); `argument` belongs to the kind.
enum class Kind : std::uint8_t {
  // mutexes m0, m1, …, all of them timed
  lock,          ///< ; ends the actor only with the run
  try_lock,      ///< an empty guard when it cannot be had
  lock_for,      ///< argument: limit in ms; at the limit the actor ends with lock_timeout
  try_lock_for,  ///< argument: limit in ms; at the limit an empty guard
  unlock,        ///< a step, when the actor holds it
  drop,          ///< the guard's destructor: no step
  // shared mutexes s0, s1: upgrade mutexes
  read_lock,
  try_read_lock,
  read_lock_for,
  write_lock,
  try_write_lock,
  write_lock_for,
  upgrade_lock,
  try_upgrade_lock,
  upgrade,        ///< of what the actor has of it to exclusive
  upgrade_for,    ///< argument: limit in ms
  downgrade,      ///< to shared
  shared_unlock,  ///< a step
  shared_drop,    ///< no step
  // semaphores p0 (free permits, 1 at first) and p1 (owned, 2 at first); argument: permits
  acquire,
  try_acquire,
  acquire_for,  ///< limit 2 ms
  release,
  // conditions c0, c1, each with the mutex of the same number
  wait,      ///< takes the mutex first unless the actor holds it
  wait_for,  ///< argument: limit in ms
  notify_one,
  notify_all,
  // keys of the store: "a" + object; `argument` is a number or another key
  begin,
  read,
  read_for_update,
  write,
  write_if,
  add,
  add_if,
  insert,
  erase,
  scan,             ///< [object, argument)
  scan_some,        ///< the same, at most one row
  scan_for_update,  ///< [object, argument)
  savepoint,
  rollback_to,
  release_savepoint,
  commit,
  abort,
};

struct Op {
  Kind kind = Kind::lock;
  int object = 0;
  int argument = 0;
};

struct Program {
  std::vector<std::vector<Op>> actors;
  std::vector<int> rows;  ///< the keys that there are at first, each with its number as value
  bool has_store = false;
};

/// What a program is made of.
struct Mix {
  std::string name;
  std::vector<Kind> kinds;  ///< drawn from; one that stands twice is drawn twice as often
  int objects = 2;          ///< of each kind
  int most_actors = 3;
  int most_ops = 4;  ///< of an actor
};

Program draw(const Mix& mix, std::mt19937_64& random);

/// As a scenario whose bodies do that. Each run leaves what its actors saw in `seen()`.
Scenario to_scenario(const Program& program);
/// Of the latest run in this thread that was judged: what each operation of each actor came to, the order in which each
/// mutex was taken, and the final rows.
const std::string& seen();

/// A scenario's source, to paste.
std::string source_of(const Program& program);
/// The programs with one operation or one actor or one row less, the smallest first.
std::vector<Program> smaller(const Program& program);

}  // namespace lockstep::random_programs

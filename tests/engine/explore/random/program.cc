// program.cc: see program.h.
#include "tests/engine/explore/random/program.h"

#include <fmt/format.h>

#include <array>
#include <memory>

#include "engine/sync/sync.h"

namespace lockstep::random_programs {
namespace {

using namespace std::string_literals;

constexpr int kObjects = 3;

struct World {
  std::array<sync::TimedMutex, kObjects> mutexes{"m0"s, "m1"s, "m2"s};
  std::array<sync::UpgradeMutex, kObjects> shared{"s0"s, "s1"s, "s2"s};
  std::array<std::unique_ptr<sync::Semaphore>, 2> semaphores{
      std::make_unique<sync::Semaphore>("p0", 1),
      std::make_unique<sync::Semaphore>("p1", 2, sync::Semaphore::Permits::owned)};
  std::array<std::unique_ptr<sync::CondVar>, kObjects> conditions{std::make_unique<sync::CondVar>("c0"),
                                                                  std::make_unique<sync::CondVar>("c1"),
                                                                  std::make_unique<sync::CondVar>("c2")};
  std::array<std::string, kObjects> taken_by;  // in order; written by the step that takes the mutex
  std::array<std::string, 8> seen_by;          // by actor
};

/// Of one actor.
struct Held {
  std::array<sync::Guard, kObjects> mutexes;
  std::array<sync::Guard, kObjects> shared;
};

std::string key_of(int object) { return std::string(1, static_cast<char>('a' + object)); }
Nanos ms(int count) { return std::chrono::milliseconds(count); }

std::string text_of(const Table& rows) {
  std::string text;
  for (const auto& row : rows) text += row[0].value_or("?") + row[1].value_or("?");
  return "[" + text + "]";
}

Task<> on_mutex(Context& c, Op op, int self, Held& held) {
  World& w = c.world<World>();
  const auto o = static_cast<std::size_t>(op.object);
  sync::TimedMutex& mutex = w.mutexes[o];
  sync::Guard guard;
  switch (op.kind) {
    case Kind::lock:
      guard = co_await mutex.lock();
      break;
    case Kind::try_lock:
      guard = co_await mutex.try_lock();
      break;
    case Kind::lock_for:
      guard = co_await mutex.lock_for(ms(op.argument));
      break;
    case Kind::try_lock_for:
      guard = co_await mutex.try_lock_for(ms(op.argument));
      break;
    case Kind::unlock:
      if (held.mutexes[o]) co_await held.mutexes[o].unlock();
      co_return;
    default:
      held.mutexes[o].reset();
      co_return;
  }
  w.seen_by[static_cast<std::size_t>(self)] += guard ? "+" : "-";
  if (!guard) co_return;
  w.taken_by[o] += static_cast<char>('0' + self);
  held.mutexes[o] = std::move(guard);
}

Task<> on_shared(Context& c, Op op, int self, Held& held) {
  World& w = c.world<World>();
  const auto o = static_cast<std::size_t>(op.object);
  sync::UpgradeMutex& mutex = w.shared[o];
  sync::Guard guard;
  switch (op.kind) {
    case Kind::read_lock:
      guard = co_await mutex.lock_shared();
      break;
    case Kind::try_read_lock:
      guard = co_await mutex.try_lock_shared();
      break;
    case Kind::read_lock_for:
      guard = co_await mutex.lock_shared_for(ms(op.argument));
      break;
    case Kind::write_lock:
      guard = co_await mutex.lock();
      break;
    case Kind::try_write_lock:
      guard = co_await mutex.try_lock();
      break;
    case Kind::write_lock_for:
      guard = co_await mutex.lock_for(ms(op.argument));
      break;
    case Kind::upgrade_lock:
      guard = co_await mutex.lock_upgrade();
      break;
    case Kind::try_upgrade_lock:
      guard = co_await mutex.try_lock_upgrade();
      break;
    case Kind::upgrade:
      if (held.shared[o]) co_await mutex.upgrade(held.shared[o]);
      co_return;
    case Kind::upgrade_for:
      if (held.shared[o]) co_await mutex.upgrade_for(held.shared[o], ms(op.argument));
      co_return;
    case Kind::downgrade:
      if (held.shared[o]) co_await mutex.downgrade(held.shared[o]);
      co_return;
    case Kind::shared_unlock:
      if (held.shared[o]) co_await held.shared[o].unlock();
      co_return;
    default:
      held.shared[o].reset();
      co_return;
  }
  w.seen_by[static_cast<std::size_t>(self)] += guard ? "+" : "-";
  if (guard) held.shared[o] = std::move(guard);
}

Task<> on_semaphore(Context& c, Op op, int self) {
  World& w = c.world<World>();
  sync::Semaphore& semaphore = *w.semaphores[static_cast<std::size_t>(op.object % 2)];
  bool got = true;
  switch (op.kind) {
    case Kind::acquire:
      co_await semaphore.acquire(op.argument);
      break;
    case Kind::try_acquire:
      got = co_await semaphore.try_acquire(op.argument);
      break;
    case Kind::acquire_for:
      co_await semaphore.acquire_for(ms(2), op.argument);
      break;
    default:
      co_await semaphore.release(op.argument);
      break;
  }
  w.seen_by[static_cast<std::size_t>(self)] += got ? "+" : "-";
}

Task<> on_condition(Context& c, Op op, int self, Held& held) {
  World& w = c.world<World>();
  const auto o = static_cast<std::size_t>(op.object);
  sync::CondVar& condition = *w.conditions[o];
  switch (op.kind) {
    case Kind::notify_one:
      co_await condition.notify_one();
      co_return;
    case Kind::notify_all:
      co_await condition.notify_all();
      co_return;
    default:
      break;
  }
  if (!held.mutexes[o]) {
    held.mutexes[o] = co_await w.mutexes[o].lock();
    w.taken_by[o] += static_cast<char>('0' + self);
  }
  if (op.kind == Kind::wait) {
    co_await condition.wait(held.mutexes[o]);
  } else {
    co_await condition.wait_for(held.mutexes[o], ms(op.argument));
  }
  w.taken_by[o] += static_cast<char>('0' + self);
}

Task<> on_store(Context& c, Op op, std::string& seen) {
  const std::string key = key_of(op.object), other = key_of(op.argument);
  switch (op.kind) {
    case Kind::begin:
      co_await c.db.begin();
      break;
    case Kind::read: {
      const Value value = co_await c.db.read(key);
      seen += value ? std::to_string(value.number()) : "_";
      break;
    }
    case Kind::read_for_update: {
      const Value value = co_await c.db.read_for_update(key);
      seen += value ? std::to_string(value.number()) : "_";
      break;
    }
    case Kind::write:
      co_await c.db.write(key, op.argument);
      break;
    case Kind::write_if: {
      const std::int64_t rows = co_await c.db.write_if(key, op.object, op.argument);
      seen += std::to_string(rows);
      break;
    }
    case Kind::add: {
      const Value value = co_await c.db.add(key, op.argument);
      seen += value ? std::to_string(value.number()) : "_";
      break;
    }
    case Kind::add_if: {
      const std::int64_t rows = co_await c.db.add_if(key, -op.argument, 0);
      seen += std::to_string(rows);
      break;
    }
    case Kind::insert:
      co_await c.db.insert(key, op.argument);
      break;
    case Kind::erase: {
      const std::int64_t rows = co_await c.db.erase(key);
      seen += std::to_string(rows);
      break;
    }
    case Kind::scan: {
      const Table rows = co_await c.db.scan(key, other);
      seen += text_of(rows);
      break;
    }
    case Kind::scan_some: {
      const Table rows = co_await c.db.scan(key, other, 1);
      seen += text_of(rows);
      break;
    }
    case Kind::scan_for_update: {
      const Table rows = co_await c.db.scan_for_update(key, other);
      seen += text_of(rows);
      break;
    }
    case Kind::savepoint:
      co_await c.db.savepoint("s");
      break;
    case Kind::rollback_to:
      co_await c.db.rollback_to("s");
      break;
    case Kind::release_savepoint:
      co_await c.db.release("s");
      break;
    case Kind::commit:
      co_await c.db.commit();
      break;
    default:
      co_await c.db.abort();
      break;
  }
}

Task<> interpret(Context& c, std::shared_ptr<const std::vector<Op>> ops, int self) {
  std::string& seen = c.world<World>().seen_by[static_cast<std::size_t>(self)];
  Held held;
  for (const Op op : *ops) {
    if (op.kind <= Kind::drop) {
      co_await on_mutex(c, op, self, held);
    } else if (op.kind <= Kind::shared_drop) {
      co_await on_shared(c, op, self, held);
    } else if (op.kind <= Kind::release) {
      co_await on_semaphore(c, op, self);
    } else if (op.kind <= Kind::notify_all) {
      co_await on_condition(c, op, self, held);
    } else {
      co_await on_store(c, op, seen);
    }
    seen += ".";
  }
}

thread_local std::string latest;

bool note_end(const Final& end) {
  const World& w = end.world<World>();
  latest.clear();
  for (const std::string& each : w.seen_by) latest += each + "|";
  for (const std::string& each : w.taken_by) latest += each + "|";
  for (const auto& [key, value] : end.state()) latest += key + value + " ";
  return true;
}

bool is_of_store(Kind kind) { return kind >= Kind::begin; }

}  // namespace

const std::string& seen() { return latest; }

Program draw(const Mix& mix, std::mt19937_64& random) {
  const auto below = [&random](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  Program program;
  const int actors = 2 + below(mix.most_actors - 1);
  for (int a = 0; a < actors; ++a) {
    std::vector<Op>& ops = program.actors.emplace_back();
    const int length = 1 + below(mix.most_ops);
    for (int i = 0; i < length; ++i) {
      const Kind kind = mix.kinds[static_cast<std::size_t>(below(static_cast<int>(mix.kinds.size())))];
      program.has_store = program.has_store || is_of_store(kind);
      Op op{kind, below(mix.objects), 1 + below(3)};
      if (kind == Kind::scan || kind == Kind::scan_some || kind == Kind::scan_for_update)
        op.argument = op.object + 1 + below(mix.objects);
      ops.push_back(op);
    }
  }
  if (!program.has_store) return program;
  for (auto& ops : program.actors) {
    ops.insert(ops.begin(), {Kind::begin});
    if (below(4) > 0) ops.push_back({Kind::commit});
  }
  for (int key = 0; key < mix.objects; ++key) {
    if (below(2) == 0) program.rows.push_back(key);
  }
  return program;
}

Scenario to_scenario(const Program& program) {
  std::vector<Given> rows;
  for (const int key : program.rows) rows.emplace_back(key_of(key), key);
  Scenario made = scenario("made by chance").given(std::move(rows)).with<World>().pattern("plain", "made by chance");
  for (std::size_t a = 0; a < program.actors.size(); ++a) {
    made = std::move(made).actor("T" + std::to_string(a), interpret,
                                 std::make_shared<const std::vector<Op>>(program.actors[a]), static_cast<int>(a));
  }
  made = std::move(made).expect(program.has_store ? "kv" : "none", "*: clean").holds("seen", note_end);
  if (program.has_store) made = std::move(made).expect("sqlite", "*: clean");
  made.name = "made/by-chance";
  return made;
}

namespace {

std::string source_of(const Op& op) {
  const std::string m = fmt::format("m{}", op.object), s = fmt::format("s{}", op.object);
  const std::string key = key_of(op.object), other = key_of(op.argument);
  const std::string limit = fmt::format("{}ms", op.argument);
  const std::string permits = std::to_string(op.argument);
  switch (op.kind) {
    case Kind::lock:
      return fmt::format("held_{0} = co_await w.{0}.lock();", m);
    case Kind::try_lock:
      return fmt::format("held_{0} = co_await w.{0}.try_lock();", m);
    case Kind::lock_for:
      return fmt::format("held_{0} = co_await w.{0}.lock_for({1});", m, limit);
    case Kind::try_lock_for:
      return fmt::format("held_{0} = co_await w.{0}.try_lock_for({1});", m, limit);
    case Kind::unlock:
      return fmt::format("if (held_{0}) co_await held_{0}.unlock();", m);
    case Kind::drop:
      return fmt::format("held_{}.reset();", m);
    case Kind::read_lock:
      return fmt::format("held_{0} = co_await w.{0}.lock_shared();", s);
    case Kind::try_read_lock:
      return fmt::format("held_{0} = co_await w.{0}.try_lock_shared();", s);
    case Kind::read_lock_for:
      return fmt::format("held_{0} = co_await w.{0}.lock_shared_for({1});", s, limit);
    case Kind::write_lock:
      return fmt::format("held_{0} = co_await w.{0}.lock();", s);
    case Kind::try_write_lock:
      return fmt::format("held_{0} = co_await w.{0}.try_lock();", s);
    case Kind::write_lock_for:
      return fmt::format("held_{0} = co_await w.{0}.lock_for({1});", s, limit);
    case Kind::upgrade_lock:
      return fmt::format("held_{0} = co_await w.{0}.lock_upgrade();", s);
    case Kind::try_upgrade_lock:
      return fmt::format("held_{0} = co_await w.{0}.try_lock_upgrade();", s);
    case Kind::upgrade:
      return fmt::format("if (held_{0}) co_await w.{0}.upgrade(held_{0});", s);
    case Kind::upgrade_for:
      return fmt::format("if (held_{0}) co_await w.{0}.upgrade_for(held_{0}, {1});", s, limit);
    case Kind::downgrade:
      return fmt::format("if (held_{0}) co_await w.{0}.downgrade(held_{0});", s);
    case Kind::shared_unlock:
      return fmt::format("if (held_{0}) co_await held_{0}.unlock();", s);
    case Kind::shared_drop:
      return fmt::format("held_{}.reset();", s);
    case Kind::acquire:
      return fmt::format("co_await w.p{}.acquire({});", op.object % 2, permits);
    case Kind::try_acquire:
      return fmt::format("co_await w.p{}.try_acquire({});", op.object % 2, permits);
    case Kind::acquire_for:
      return fmt::format("co_await w.p{}.acquire_for(2ms, {});", op.object % 2, permits);
    case Kind::release:
      return fmt::format("co_await w.p{}.release({});", op.object % 2, permits);
    case Kind::wait:
      return fmt::format("if (!held_{0}) held_{0} = co_await w.{0}.lock();\n  co_await w.c{1}.wait(held_{0});", m,
                         op.object);
    case Kind::wait_for:
      return fmt::format("if (!held_{0}) held_{0} = co_await w.{0}.lock();\n  co_await w.c{1}.wait_for(held_{0}, {2});",
                         m, op.object, limit);
    case Kind::notify_one:
      return fmt::format("co_await w.c{}.notify_one();", op.object);
    case Kind::notify_all:
      return fmt::format("co_await w.c{}.notify_all();", op.object);
    case Kind::begin:
      return "co_await c.db.begin();";
    case Kind::read:
      return fmt::format("co_await c.db.read(\"{}\");", key);
    case Kind::read_for_update:
      return fmt::format("co_await c.db.read_for_update(\"{}\");", key);
    case Kind::write:
      return fmt::format("co_await c.db.write(\"{}\", {});", key, op.argument);
    case Kind::write_if:
      return fmt::format("co_await c.db.write_if(\"{}\", {}, {});", key, op.object, op.argument);
    case Kind::add:
      return fmt::format("co_await c.db.add(\"{}\", {});", key, op.argument);
    case Kind::add_if:
      return fmt::format("co_await c.db.add_if(\"{}\", -{}, 0);", key, op.argument);
    case Kind::insert:
      return fmt::format("co_await c.db.insert(\"{}\", {});", key, op.argument);
    case Kind::erase:
      return fmt::format("co_await c.db.erase(\"{}\");", key);
    case Kind::scan:
      return fmt::format("co_await c.db.scan(\"{}\", \"{}\");", key, other);
    case Kind::scan_some:
      return fmt::format("co_await c.db.scan(\"{}\", \"{}\", 1);", key, other);
    case Kind::scan_for_update:
      return fmt::format("co_await c.db.scan_for_update(\"{}\", \"{}\");", key, other);
    case Kind::savepoint:
      return "co_await c.db.savepoint(\"s\");";
    case Kind::rollback_to:
      return "co_await c.db.rollback_to(\"s\");";
    case Kind::release_savepoint:
      return "co_await c.db.release(\"s\");";
    case Kind::commit:
      return "co_await c.db.commit();";
    case Kind::abort:
      return "co_await c.db.abort();";
  }
  return {};
}

}  // namespace

std::string source_of(const Program& program) {
  std::string text =
      "// m0, m1: TimedMutex; s0, s1: UpgradeMutex; p0: Semaphore of 1; p1: of 2, owned; c0, c1: CondVar; all in w.\n";
  for (std::size_t a = 0; a < program.actors.size(); ++a) {
    text += fmt::format("Task<> t{}(Context& c) {{\n", a);
    for (const Op& op : program.actors[a]) text += "  " + source_of(op) + "\n";
    text += "}\n";
  }
  text += "  .given({";
  for (const int key : program.rows) text += fmt::format("{{\"{}\", {}}}, ", key_of(key), key);
  return text + "})\n";
}

std::vector<Program> smaller(const Program& program) {
  std::vector<Program> all;
  for (std::size_t a = 0; a < program.actors.size() && program.actors.size() > 1; ++a) {
    all.push_back(program);
    all.back().actors.erase(all.back().actors.begin() + static_cast<std::ptrdiff_t>(a));
  }
  for (std::size_t a = 0; a < program.actors.size(); ++a) {
    for (std::size_t i = 0; i < program.actors[a].size(); ++i) {
      all.push_back(program);
      std::vector<Op>& ops = all.back().actors[a];
      ops.erase(ops.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }
  for (std::size_t r = 0; r < program.rows.size(); ++r) {
    all.push_back(program);
    all.back().rows.erase(all.back().rows.begin() + static_cast<std::ptrdiff_t>(r));
  }
  return all;
}

}  // namespace lockstep::random_programs

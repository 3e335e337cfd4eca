// registry.cc: fills in the registry from the run.
#include "engine/gdb/registry.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "engine/actor/run_state.h"
#include "engine/gdb/tracing.h"
#include "engine/schedule/schedule.h"
#include "engine/sync/lock_core.h"

extern "C" {
// "LOCKSTEP-RUN" also tells a debugger that the symbol is this one.
lockstep::debugging::Registry lockstep_registry = {.magic = "LOCKSTEP-RUN",
                                                   .version = lockstep::debugging::kVersion,
                                                   .size = sizeof(lockstep::debugging::Registry),
                                                   .step = 0,
                                                   .stop_at = UINT32_MAX,
                                                   .forced = -1,
                                                   .next = -1,
                                                   .actors = 0,
                                                   .locks = 0,
                                                   .edges = 0,
                                                   .lines = 0,
                                                   .run = {},
                                                   .actor = {},
                                                   .lock = {},
                                                   .edge = {},
                                                   .line = {}};

__attribute__((noinline)) void lockstep_stop() {
  asm volatile("" ::: "memory");  // not to be optimised away
}
}

namespace lockstep::debugging {
namespace {

constexpr int kLookForStop_ms = 50;

std::string hold_script;  // empty: nobody asked to be held. Set before any run

template <std::size_t N>
void put(char (&to)[N], std::string_view text) {
  const std::size_t length = std::min(text.size(), N - 1);
  std::memcpy(to, text.data(), length);
  std::memset(to + length, 0, N - length);
}

const char* state_of(const Actor& actor) {
  switch (actor.place) {
    case Actor::Place::not_started:
      return "not started";
    case Actor::Place::at_gate:
      return "ready";
    case Actor::Place::waiting:
      return "waits";
    case Actor::Place::running:
      return "runs";
    case Actor::Place::finished:
      return "finished";
  }
  return "";
}

std::string doing(const Actor& actor) {
  const Operation* const operation = actor.current();
  if (operation == nullptr || actor.place == Actor::Place::finished) return {};
  const Description described = operation->describe();
  std::string text = described.verb;
  if (!described.object.empty()) text += " " + described.object;
  if (!described.detail.empty()) text += " " + described.detail;
  return text;
}

const std::string& name_of_actor(const RunState& run, int actor) {
  static const std::string outside = "(outside)";
  return actor < 0 ? outside : run.actors[static_cast<std::size_t>(actor)]->name;
}

std::string line_of(const RunState& run, const record::Event& event) {
  std::string text = fmt::format("{:>4} {:>9.2f} ms  ", event.step, static_cast<double>(event.at_ns) / 1e6);
  if (event.actor >= 0) text += name_of_actor(run, event.actor) + " ";
  text += record::name_of(event.kind);
  for (const std::string& part : {event.verb, event.object, event.detail}) {
    if (!part.empty()) text += " " + part;
  }
  for (const int other : event.others) text += " -> " + name_of_actor(run, other);
  return text;
}

void write_actors(RunState& run, Registry& to) {
  to.actors = 0;
  for (const auto& actor : run.actors) {
    if (to.actors == kActors) break;
    ActorEntry& entry = to.actor[to.actors++];
    put(entry.name, actor->name);
    put(entry.state, state_of(*actor));
    put(entry.doing, doing(*actor));
    put(entry.waits, "");
  }
}

void write_edges(RunState& run, Registry& to) {
  to.edges = 0;
  const WaitGraph graph = run.wait_graph();
  for (const WaitForEdge& edge : graph.edges()) {
    if (to.edges == kEdges) break;
    EdgeEntry& entry = to.edge[to.edges++];
    put(entry.from, name_of_actor(run, edge.from));
    put(entry.to, name_of_actor(run, edge.to));
    put(entry.object, edge.object);
    if (edge.from < 0 || edge.from >= static_cast<int>(to.actors)) continue;
    ActorEntry& actor = to.actor[edge.from];
    if (actor.waits[0] == 0) {
      put(actor.waits, edge.what.empty() ? name_of_actor(run, edge.to)
                                         : fmt::format("{} ({})", name_of_actor(run, edge.to), edge.what));
    }
  }
}

void write_locks(RunState& run, Registry& to) {
  to.locks = 0;
  run.for_each_lock([&to](const sync::LockCore& core) {
    for (const sync::Hold& hold : core.holds()) {
      if (to.locks == kLocks) return;
      LockEntry& entry = to.lock[to.locks++];
      put(entry.name, core.name());
      put(entry.how, fmt::format("{} {}", hold.actor->name, sync::name_of(hold.mode)));
      put(entry.where, fmt::format("{}:{}", hold.where.file_name(), hold.where.line()));
    }
  });
  const std::vector<Blocker> of_store = run.backend == nullptr ? std::vector<Blocker>() : run.backend->holders();
  for (const Blocker& held : of_store) {
    if (to.locks == kLocks) return;
    LockEntry& entry = to.lock[to.locks++];
    put(entry.name, held.object);
    put(entry.how, fmt::format("{} {}", name_of_actor(run, held.actor), held.what));
    put(entry.where, "");
  }
}

void write_history(RunState& run, Registry& to) {
  const std::vector<record::Event> events = run.events_from(0);
  const std::size_t first = events.size() > kLines ? events.size() - kLines : 0;
  to.lines = 0;
  for (std::size_t i = first; i < events.size(); ++i) put(to.line[to.lines++].text, line_of(run, events[i]));
}

void add_edge(const RunState& run, int from, int to) {
  Registry& registry = lockstep_registry;
  const std::string& source = name_of_actor(run, from);
  const std::string& target = name_of_actor(run, to);
  for (std::uint32_t i = 0; i < registry.edges; ++i) {
    if (source == registry.edge[i].from && target == registry.edge[i].to) return;
  }
  if (registry.edges == kEdges) return;
  EdgeEntry& entry = registry.edge[registry.edges++];
  put(entry.from, source);
  put(entry.to, target);
  const Operation* const operation = run.actors[static_cast<std::size_t>(from)]->current();
  put(entry.object, operation == nullptr ? std::string() : operation->describe().object);
}

void write_state(RunState& run) {
  write_actors(run, lockstep_registry);
  write_edges(run, lockstep_registry);
  write_locks(run, lockstep_registry);
  write_history(run, lockstep_registry);
}

bool is_awaited() noexcept {
  if (!hold_script.empty()) return true;
  static const bool awaited = [] {
    const char* const step = std::getenv("LOCKSTEP_DEBUG");
    if (step == nullptr || *step == '\0') return false;
    lockstep_registry.stop_at = static_cast<std::uint32_t>(std::strtoul(step, nullptr, 10));
    return true;
  }();
  return awaited;
}

class Debugger final : public RunObserver {
 public:
  void begin(const char* run) override { put(lockstep_registry.run, run); }
  void cycle_closed(RunState& run, const std::vector<int>& cycle) override;
  int look(RunState& run, std::uint32_t steps_taken, const Choice* next) override;
};

void Debugger::cycle_closed(RunState& run, const std::vector<int>& cycle) {
  if (hold_script.empty()) return;
  write_state(run);
  // The actor that closed the cycle may not be known to wait yet.
  for (std::size_t i = 0; i < cycle.size(); ++i) add_edge(run, cycle[i], cycle[(i + 1) % cycle.size()]);
  fmt::print(stderr, "lockstep: held at the deadlock; ^C goes on\n  gdb -q -p {} -x {}\n", ::getpid(), hold_script);
  if (const std::string why = why_no_attaching(); !why.empty()) fmt::print(stderr, "  but {}\n", why);
  while (!run.stop_requested()) ::poll(nullptr, 0, kLookForStop_ms);
}

int Debugger::look(RunState& run, std::uint32_t steps_taken, const Choice* next) {
  Registry& registry = lockstep_registry;
  registry.step = steps_taken;
  registry.next = next == nullptr ? -1 : next->actor;
  write_state(run);
  if (steps_taken >= registry.stop_at || next == nullptr) lockstep_stop();
  const int forced = registry.forced;
  registry.forced = -1;
  return forced;
}

}  // namespace

void hold_at_cycles(const char* script) {
  hold_script = script;
  // Without it only a parent may attach where kernel.yama.ptrace_scope is 1.
  ::prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
}

RunObserver* awaited() noexcept {
  static Debugger debugger;
  return is_awaited() ? &debugger : nullptr;
}

}  // namespace lockstep::debugging

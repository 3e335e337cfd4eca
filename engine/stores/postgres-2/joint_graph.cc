// joint_graph.cc: see joint_graph.h.
#include "engine/stores/postgres-2/joint_graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <set>

namespace lockstep::postgres_2 {
namespace {

using namespace std::chrono_literals;

constexpr Nanos kPeriodMost = 10ms;
constexpr Nanos kPeriodLeast = 500us;
/// The servers are asked again after this time, even when the same requests wait: an actor that held one of them up may
/// itself wait by now.
constexpr Nanos kLookAgain = 25ms;

/// The shortest way from `from` back to it, as indices of edges; empty when there is none.
std::vector<std::size_t> way_back(std::span<const JointEdge> edges, std::size_t first) {
  const int start = edges[first].from;
  std::map<int, std::size_t> came_by{{edges[first].to, first}};
  std::deque<int> open{edges[first].to};
  while (!open.empty()) {
    const int at = open.front();
    open.pop_front();
    if (at == start) break;
    for (std::size_t i = 0; i < edges.size(); ++i) {
      if (edges[i].from == at && came_by.emplace(edges[i].to, i).second) open.push_back(edges[i].to);
    }
  }
  std::vector<std::size_t> way;
  if (!came_by.contains(start)) return way;
  for (int at = start;;) {
    const std::size_t edge = came_by.at(at);
    way.push_back(edge);
    if (edge == first) break;
    at = edges[edge].from;
  }
  std::reverse(way.begin(), way.end());
  return way;
}

/// The actor that a process of a server works for: by itself, or for a process of the other server. -1: nobody's.
int actor_behind(std::span<postgres::Common* const> servers, std::size_t server, const std::optional<std::string>& pid,
                 const std::optional<std::string>& application) {
  const int actor = servers[server]->actors.actor_of(std::atoi(pid.value_or("").c_str()));
  if (actor >= 0 || !application || !application->starts_with(kForeignSession)) return actor;
  return servers[1 - server]->actors.actor_of(std::atoi(application->c_str() + kForeignSession.size()));
}

}  // namespace

std::vector<JointEdge> cycle_over_servers(std::span<const JointEdge> edges) {
  std::vector<JointEdge> best;
  for (std::size_t first = 0; first < edges.size(); ++first) {
    std::vector<JointEdge> cycle;
    for (const std::size_t edge : way_back(edges, first)) cycle.push_back(edges[edge]);
    const bool is_on_both = std::any_of(
        cycle.begin(), cycle.end(), [&cycle](const JointEdge& each) { return each.server != cycle.front().server; });
    if (is_on_both && (best.empty() || cycle.size() < best.size())) best = std::move(cycle);
  }
  const auto smallest = std::min_element(best.begin(), best.end(),
                                         [](const JointEdge& a, const JointEdge& b) { return a.from < b.from; });
  std::rotate(best.begin(), smallest, best.end());
  return best;
}

std::string foreign_session_setup() {
  return fmt::format(" set postgres_fdw.application_name = '{}%p';", kForeignSession);
}

std::vector<JointEdge> edges_on(std::span<postgres::Common* const> servers, std::size_t server,
                                std::span<const int> pids) {
  const auto waits = servers[server]->monitor->query(
      fmt::format("select w.pid, w.application_name, b.pid, a.application_name from pg_catalog.pg_stat_activity w"
                  " cross join pg_catalog.unnest(pg_catalog.pg_blocking_pids(w.pid)) b (pid)"
                  " left join pg_catalog.pg_stat_activity a on a.pid = b.pid"
                  " where w.pid = any ('{{{}}}'::int[]) or w.application_name like '{}%'",
                  fmt::join(pids, ","), kForeignSession));
  std::vector<JointEdge> edges;
  if (!waits) return edges;
  for (const auto& row : *waits) {
    const int from = actor_behind(servers, server, row[0], row[1]), to = actor_behind(servers, server, row[2], row[3]);
    if (from >= 0 && to >= 0 && from != to) edges.push_back({.from = from, .to = to, .server = server});
  }
  return edges;
}

bool is_on_cycle_of(std::span<postgres::Common* const> servers, std::size_t server, int actor) {
  const std::vector<JointEdge> edges = edges_on(servers, server, servers[server]->actors.pids());
  for (std::size_t i = 0; i < edges.size(); ++i) {
    if (edges[i].from == actor && !way_back(edges, i).empty()) return true;
  }
  return false;
}

std::vector<Blocker> blockers_through(std::span<postgres::Common* const> servers, std::size_t server, int pid) {
  const std::size_t other = 1 - server;
  std::vector<Blocker> blockers;
  const auto waits = servers[other]->monitor->query(
      fmt::format("select w.pid, b.pid, a.application_name from pg_catalog.pg_stat_activity w"
                  " cross join pg_catalog.unnest(pg_catalog.pg_blocking_pids(w.pid)) b (pid)"
                  " left join pg_catalog.pg_stat_activity a on a.pid = b.pid where w.application_name = '{}{}'",
                  kForeignSession, pid));
  if (!waits || waits->empty()) return blockers;
  const postgres::ServerWait wait =
      servers[other]->monitor->wait_of(std::atoi((*waits)[0][0].value_or("").c_str()), postgres::Monitor::Detail::row);
  const std::string row_text =
      wait.row.empty() ? std::string("a row") : fmt::format("row {} of {}", wait.row, wait.relation);
  for (const auto& row : *waits) {
    const std::string what = at_server(row_text + " through a foreign table", other);
    blockers.push_back({.actor = actor_behind(servers, other, row[1], row[2]),
                        .object = wait.object.empty() ? std::string("a row") : wait.object,
                        .what = what,
                        .lock = what});
  }
  return blockers;
}

std::string text_of(std::span<const JointEdge> cycle, const std::map<int, std::string>& names) {
  const auto name_of = [&names](int actor) {
    const auto found = names.find(actor);
    return found == names.end() ? fmt::format("session {}", actor) : found->second;
  };
  std::string text;
  for (const JointEdge& edge : cycle) {
    text += fmt::format("{}{} waits for {} on server {}", text.empty() ? "" : ", ", name_of(edge.from),
                        name_of(edge.to), edge.server + 1);
  }
  return text;
}

JointDetector::JointDetector(std::vector<postgres::Common*> servers, Nanos deadlock_timeout)
    : servers_(std::move(servers)),
      deadlock_timeout_(deadlock_timeout),
      thread_([this](const std::stop_token& stop) { watch(stop); }) {}

JointDetector::~JointDetector() {
  thread_.request_stop();
  thread_.join();
}

void JointDetector::add(int actor, const std::string& name, JointMember& member) {
  const MutexLock lock(mutex_);
  members_[actor] = {name, &member};
}

void JointDetector::remove(const JointMember& member) {
  const MutexLock lock(mutex_);
  std::erase_if(members_, [&member](const auto& each) { return each.second.member == &member; });
}

void JointDetector::watch(const std::stop_token& stop) {
  const Nanos period = std::clamp(deadlock_timeout_ / 5, kPeriodLeast, kPeriodMost);
  std::mutex mutex;
  std::condition_variable_any ended;
  std::unique_lock lock(mutex);
  while (!stop.stop_requested()) {
    (void)ended.wait_for(lock, stop, period, [] { return false; });
    if (!stop.stop_requested()) look();
  }
}

JointDetector::Flights JointDetector::flights_older_than(Nanos age) {
  const Nanos begun_before = RealClock().now() - age;
  Flights flights;
  for (const auto& [actor, known] : members_) {
    const auto flight = known.member->flight();
    if (flight && flight->since <= begun_before) flights.emplace(actor, *flight);
  }
  return flights;
}

/// The waits of those requests, as each server tells them now.
std::vector<JointEdge> JointDetector::edges_of(const Flights& flights) {
  std::vector<JointEdge> edges;
  for (std::size_t server = 0; server < servers_.size(); ++server) {
    std::vector<int> pids;
    for (const int pid : servers_[server]->actors.pids()) {
      const auto flight = flights.find(servers_[server]->actors.actor_of(pid));
      if (flight != flights.end() && flight->second.server == server) pids.push_back(pid);
    }
    for (const JointEdge& edge : edges_on(servers_, server, pids)) {
      if (flights.contains(edge.from)) edges.push_back(edge);
    }
  }
  return edges;
}

void JointDetector::look() {
  const MutexLock lock(mutex_);
  const Flights before = flights_older_than(deadlock_timeout_);
  if (before.size() < 2) return;
  std::map<int, std::uint64_t> numbers;
  std::set<std::size_t> on;
  for (const auto& [actor, flight] : before) {
    numbers[actor] = flight.number;
    on.insert(flight.server);
  }
  const Nanos now = RealClock().now();
  if (on.size() < 2 || (numbers == looked_at_ && now - looked_ < kLookAgain)) return;
  looked_at_ = std::move(numbers);
  looked_ = now;
  const std::vector<JointEdge> cycle = cycle_over_servers(edges_of(before));
  if (cycle.empty()) return;
  int victim = cycle.front().from;
  for (const JointEdge& edge : cycle) {
    const auto still = members_.at(edge.from).member->flight();
    if (!still || still->number != before.at(edge.from).number) return;  // it has moved: no cycle has stood
    if (before.at(edge.from).since > before.at(victim).since) victim = edge.from;
  }
  std::map<int, std::string> names;
  for (const auto& [actor, known] : members_) names[actor] = known.name;
  broken_.fetch_add(1, std::memory_order_relaxed);
  members_.at(victim).member->give_up(before.at(victim), text_of(cycle, names));
}

}  // namespace lockstep::postgres_2

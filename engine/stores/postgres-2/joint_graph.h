// joint_graph.h: who waits for whom on both servers together, and the cycles that neither server can see.
//
// A server looks for cycles among the waits that it knows. A session that waits on one server for a transaction which
// waits on the other one is a chain of one link on each: no server sees a cycle. Here the links are joined by session.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "engine/stores/postgres-2/placement.h"
#include "engine/stores/postgres/session.h"
#include "kv/base/mutex.h"

namespace lockstep::postgres_2 {

/// Actor `from` waits for actor `to` on that server.
struct JointEdge {
  int from = -1;
  int to = -1;
  std::size_t server = 0;
};

/// The edges of the shortest cycle that has waits on both servers, in order, the smallest actor first; empty when there
/// is none. A cycle on one server alone is left to that server.
std::vector<JointEdge> cycle_over_servers(std::span<const JointEdge> edges);

/// A session that a server has opened on the other one, through a foreign table, bears the process that it works for:
/// what the sessions of a run set for that (postgres_fdw.application_name; %p is known from PostgreSQL 15 on).
inline constexpr std::string_view kForeignSession = "lockstep via ";
std::string foreign_session_setup();

/// The waits between actors of the run on one of the servers, as it tells them now: those of the processes `pids`, and
/// those of sessions that the other server has opened there.
std::vector<JointEdge> edges_on(std::span<postgres::Common* const> servers, std::size_t server,
                                std::span<const int> pids);
/// The actor's wait closes a cycle on that server alone, or stands in one: the server breaks it.
bool is_on_cycle_of(std::span<postgres::Common* const> servers, std::size_t server, int actor);
/// Whom a process of a server waits for on the other one, through a foreign table.
std::vector<Blocker> blockers_through(std::span<postgres::Common* const> servers, std::size_t server, int pid);

/// "T1 waits for T2 on server 2, T2 waits for T1 on server 1". `names`: of the actors, by index.
std::string text_of(std::span<const JointEdge> cycle, const std::map<int, std::string>& names);

/// One request of a session on its way, as the detector sees it.
struct JointFlight {
  std::uint64_t number = 0;  ///< of the session's requests; differs from that of every other one
  Nanos since{};             ///< on the real clock
  std::size_t server = 0;
};

/// A session, as far as the detector is concerned. Functions may be called by any thread.
class JointMember {
 public:
  virtual ~JointMember() = default;
  /// nullopt: nothing is on its way.
  virtual std::optional<JointFlight> flight() const = 0;
  /// Gives up that flight, unless it has ended: the session is the victim of the cycle that `text` tells.
  virtual void give_up(const JointFlight& flight, const std::string& text) = 0;
};

/// Looks for cycles over both servers in a thread of its own, once two requests have been on their way for as long as a
/// server waits before it looks (deadlock_timeout). The victim is the member that began to wait last: it has closed the
/// cycle.
///
/// What is seen of two servers is no snapshot. A cycle counts when each of its requests was on its way before the first
/// look and still is after the last one. A session whose request has not ended has neither committed nor let go of
/// anything, so every link has stood throughout.
///
/// Thread-safe. `mutex_` is held during a look, which asks both servers; members come and go only between looks. It
/// comes before the mutexes of sessions and monitors.
class JointDetector {
 public:
  /// `servers` outlive it.
  JointDetector(std::vector<postgres::Common*> servers, Nanos deadlock_timeout);
  ~JointDetector();
  JointDetector(const JointDetector&) = delete;
  JointDetector& operator=(const JointDetector&) = delete;

  void add(int actor, const std::string& name, JointMember& member) LOCKSTEP_EXCLUDES(mutex_);
  void remove(const JointMember& member) LOCKSTEP_EXCLUDES(mutex_);

  /// How many cycles it has broken.
  std::uint64_t broken() const noexcept { return broken_.load(std::memory_order_relaxed); }

 private:
  struct KnownMember {
    std::string name;
    JointMember* member = nullptr;
  };
  using Flights = std::map<int, JointFlight>;

  void watch(const std::stop_token& stop);
  Flights flights_older_than(Nanos age) LOCKSTEP_REQUIRES(mutex_);
  std::vector<JointEdge> edges_of(const Flights& flights) LOCKSTEP_REQUIRES(mutex_);
  void look() LOCKSTEP_EXCLUDES(mutex_);

  const std::vector<postgres::Common*> servers_;
  const Nanos deadlock_timeout_;
  std::atomic<std::uint64_t> broken_{0};  // relaxed: a count

  Mutex mutex_;
  std::map<int, KnownMember> members_ LOCKSTEP_GUARDED_BY(mutex_);
  std::map<int, std::uint64_t> looked_at_ LOCKSTEP_GUARDED_BY(mutex_);  // the flights of the last look in vain
  Nanos looked_ LOCKSTEP_GUARDED_BY(mutex_){0};
  std::jthread thread_;  // last: begins when all is there
};

}  // namespace lockstep::postgres_2

// backend.h: what the engine asks of a store. One folder under engine/stores/ implements it for each store.
//
// A backend opens sessions, one for each actor. A session answers requests in portable verbs. It never decides how to
// wait: an attempt that cannot finish says what it waits for, and the executor parks, suspends or polls.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/store/dsns.h"
#include "engine/store/isolation.h"
#include "engine/store/traits.h"
#include "kv/base/clock.h"
#include "kv/base/result.h"
#include "kv/base/waiter.h"

namespace lockstep {

class Footprint;
struct IncidentSource;

/// What a session can be asked. The names in recordings are the enumerators.
enum class Verb : std::uint8_t {
  begin,            ///< claims: what it may lock (for the banker)
  read,             ///< key -> value
  read_for_update,  ///< key -> value, locked
  write,            ///< key, value: insert or overwrite
  insert,           ///< key, value: Fault::constraint when the key exists
  write_if,         ///< key, expected, value: overwrite when the value is `expected` -> rows 0 or 1
  add,              ///< key, delta: value := value + delta (a number) in one statement -> value, rows
  add_if,  ///< key, delta, floor: as add when the result is at least `floor` -> rows 0 or 1 (conditional update)
  erase,   ///< key -> rows 0 or 1
  scan,    ///< key <= k < upper in order, at most `limit` -> table
  scan_for_update,  ///< the same, the rows found are locked
  execute,          ///< sql (in `key`) -> table, rows, ended. Only stores with StoreTraits::sql
  savepoint,        ///< name in `key`
  rollback_to,
  release,
  commit,
  abort,
  reset,  ///< gives back what outlives transactions (Session::holds_beyond_transaction); outside a transaction
};

std::string_view name_of(Verb verb) noexcept;

/// One request. Plain data in the frame of the coroutine that awaits it. The views must stay valid until it is
/// answered.
struct Request {
  Verb verb = Verb::begin;
  std::string_view key = {};
  std::string_view upper = {};  ///< end of a scan, exclusive; empty = no end
  std::string_view value = {};
  std::string_view expected = {};
  std::int64_t delta = 0;
  std::int64_t floor = 0;
  std::size_t limit = SIZE_MAX;
  std::span<const std::string> claims = {};
};

/// What every store refuses alike, before it looks at any data; sessions ask it first. Fault::invalid for: begin inside
/// or reset inside a transaction (which goes on), anything else outside one, an empty key. Allowed outside a
/// transaction: `execute`, a transaction of its own then, `reset`, and `abort`, which does nothing. A refusal changes
/// nothing.
std::optional<Error> refusal(const Request& request, bool in_transaction);

/// The rows that a scan or a statement gives: every row a list of columns, NULL as nullopt. A scan gives key and value.
using Table = std::vector<std::vector<std::optional<std::string>>>;

/// What one statement gave. A text in SQL may hold several, up to the first that fails.
struct StatementResult {
  std::vector<std::string> columns;  ///< their names; empty for a command without rows
  Table rows;
  std::string tag;             ///< of the server: "UPDATE 1"; empty where it gives none
  std::optional<Error> error;  ///< the statement failed
};

/// Something that a store said to a session while it worked for it.
struct Notice {
  std::string severity;  ///< "NOTICE", "WARNING"; of a message from another session "NOTIFY"
  std::string text;
  Facts facts;  ///< as Error::facts
};

struct Reply {
  std::optional<std::string> value;  ///< of read, read_for_update, add
  std::int64_t rows = 0;             ///< rows touched or found
  Table table;                       ///< of several statements, those of the last
  /// Of `execute`, in order: all that the text gave, also when it failed.
  std::vector<StatementResult> results;
  /// Of a statement in SQL outside a transaction: it may have changed something, which is committed by now.
  bool autocommitted = false;
  /// Of a statement in SQL that ended the transaction: it did not commit.
  bool rolled_back = false;
};

/// An actor that an operation waits for, and what it waits to get.
struct Blocker {
  int actor = -1;          ///< index of the actor; -1 = a session outside this run
  std::string object;      ///< the key, lock or relation
  std::string what;        ///< for people: "exclusive lock", "banker: the claim of T1"
  bool avoidance = false;  ///< nothing is held yet: granting would be unsafe (banker)
  bool any = false;        ///< of the blockers so marked one must give way (units of a pool); of the others all must
  std::string lock = {};   ///< a server's words for what is awaited, where `object` does not say it whole
};

/// What an operation that is not finished waits for.
struct Waiting {
  int fd = -1;              ///< a socket to poll, or -1
  short events = 0;         ///< POLLIN, POLLOUT
  Nanos deadline = kNever;  ///< run clock: cancel with `deadline_fault` then
  Fault deadline_fault = Fault::lock_timeout;
  /// Another process (a server) decides when the wait ends. Time is real then, and only blockers() tells whether the
  /// request waits for another session or is just in flight.
  bool external = false;
  /// Real time: attempt again then even without a wake-up, for a lock that another process may give back. kNever = no
  /// need.
  Nanos retry_at = kNever;
};

/// What has come of the answer to a request that waits for a server.
struct Arrival {
  bool complete = false;  ///< the next attempt() finishes
  /// The server has ended the wait by itself, as a deadlock or at a limit: no other session's progress was needed.
  bool gave_up = false;
};

/// The state of one request between attempts; kept by the awaiting frame, filled by the session.
struct Pending {
  Request request;
  Reply reply;
  std::optional<Error> error;   ///< set when the request failed
  Waiting waiting;              ///< valid after attempt() answered false
  std::vector<Notice> notices;  ///< what the store has said since the latest attempt
  std::uint32_t phase = 0;      ///< for the session: where a request of several parts stands; starts at 0
};

/// One actor's connection to a store. Used by one actor at a time; only wake-ups come from elsewhere.
class Session {
 public:
  virtual ~Session() = default;

  /// Makes progress with the request. true: it has finished, and `pending.reply` or `pending.error` is set. false:
  /// `pending.waiting` says what it waits for. Unless that is a socket or a time, `waiter` will be woken exactly once.
  virtual bool attempt(Pending& pending, Waiter& waiter) = 0;

  /// Gives the waiting request up and takes it out of queues. The next attempt() finishes with `why`, or with the
  /// answer when that came first. For an external wait: asks the server to cancel the request, and attempt() finishes
  /// once the server has answered.
  virtual void cancel(Pending& pending, Fault why) = 0;

  /// The actors that the waiting request waits for now. May ask the server, which takes a millisecond. Callable only
  /// while the request waits. Empty when it is not blocked (in flight, or about to be woken).
  virtual std::vector<Blocker> blockers(const Pending& pending) = 0;

  /// Of a request that waits for a server: what has come here by now. Never blocks. Only under a schedule, where one
  /// thread works at a time.
  virtual Arrival arrival() { return {}; }

  /// What is sent to the store for a request in a portable verb, for people; empty: the verb is all there is.
  virtual std::string statement_of(const Request&) const { return {}; }

  /// True between begin and commit / abort. The engine aborts what a failed body left open.
  virtual bool in_transaction() const noexcept = 0;

  /// True when the server has been told of a limit (a time-out), by which it may end a wait of this session. Any
  /// thread.
  virtual bool has_limit() const noexcept { return false; }

  /// True when it has something that a rollback does not give back, such as a lock of the session: Verb::reset does.
  virtual bool holds_beyond_transaction() const noexcept { return false; }

  /// True when attempt() may block the calling thread for long (BackendOptions::blocking). cancel() and blockers() may
  /// then be called by another thread while attempt() runs.
  virtual bool blocks() const noexcept { return false; }

  /// For a search on a store that locks the gaps between keys. Adds to the footprint what an attempt of `request`
  /// depends on, or changes, beyond its own keys. Called just before the attempt, and once more with `waits` when it
  /// must wait.
  virtual void touch_gaps(const Request&, bool /*waits*/, Footprint&) {}
};

/// What is known of a store only once it is open. The rest is in its traits.
struct Capabilities {
  bool nonblocking;         ///< attempt() never blocks the calling thread
  std::string version;      ///< its name and version, for people
  std::string caveat = {};  ///< what must stand beside every measurement on it, a sentence; empty: nothing
};

/// A row of a scenario's initial and final state.
using State = std::vector<std::pair<std::string, std::string>>;  ///< ordered by key

/// Told of what a store decides by itself. Actors are indices. Called in the thread that caused it.
class StoreObserver {
 public:
  virtual ~StoreObserver() = default;
  /// `cycle`: the actors in order (the last waits for the first); `victim`: one of them; `why`: the policy.
  virtual void on_deadlock(const std::vector<int>& cycle, int victim, const std::string& why) = 0;
};

/// How a backend is opened for one run.
struct BackendOptions {
  std::string protocol;                                    ///< one of BackendKind::protocols
  std::string dsn;                                         ///< stores with StoreTraits::dsn; empty = their default
  bool durable = false;                                    ///< commits on a server of the program's own reach the disk
  Nanos lock_timeout = kNever;                             ///< longest wait for one lock
  Nanos statement_timeout = kNever;                        ///< longest statement, where the store can end one
  Nanos deadlock_timeout = std::chrono::milliseconds(50);  ///< see DeadlockBreaking::after_timeout
  std::vector<std::pair<std::string, std::string>> own = {};  ///< those of StoreTraits::own_options that are set
  Nanos connect_timeout = std::chrono::seconds(5);
  bool blocking = false;              ///< sessions may block the calling thread (free schedule on threads)
  const Clock* clock = nullptr;       ///< the run clock; outlives the backend
  StoreObserver* observer = nullptr;  ///< outlives the backend; nullptr = none
};

/// A store, opened for one run. Thread-safe as to open_session; destroyed after its sessions.
class Backend {
 public:
  virtual ~Backend() = default;

  /// Empties the run's own table (or file, or schema) and fills it with `rows`. Then runs the scenario's own DDL, one
  /// statement an entry (only with StoreTraits::sql).
  virtual Result<void> set_up(const State& rows, std::span<const std::string> ddl) = 0;

  /// A session for the actor with this index and name ("T1").
  virtual Result<std::unique_ptr<Session>> open_session(int actor, const std::string& name) = 0;

  /// The committed state, read outside every session after the run. Gives what the table of rows holds.
  virtual Result<State> final_state() = 0;

  /// Runs `sql` outside every session, for an invariant that only SQL can state. Fault::unsupported without SQL.
  virtual Result<Table> query(const std::string& sql) = 0;

  /// For debuggers: the locks that are held, where the store can tell: the holder, the object, the mode.
  virtual std::vector<Blocker> holders() { return {}; }

  /// Search mode: from now on one session works at a time. Of a wait only its blockers are read, so the store leaves
  /// out what is meant for people. The store may share one processor with its server. Called before the first session
  /// is opened.
  virtual void serve_search() {}

  /// Called before a load begins. Fault::invalid when the store has no room for so many sessions.
  virtual Result<void> room_for(int /*sessions*/) { return {}; }

  /// The processes of the store's server on this machine, as they are now; empty for a store without one.
  virtual std::vector<int> server_processes() { return {}; }

  /// The protocol that the store was opened at.
  virtual const ProtocolTraits& protocol() const noexcept = 0;
  virtual const Capabilities& capabilities() const noexcept = 0;

  /// Facts for the recording: server settings, journal mode … "denied": what the store was asked to do and may not, a
  /// sentence.
  virtual std::vector<std::pair<std::string, std::string>> environment() const { return {}; }
};

/// A kind of store: an entry of the generated catalogue; the name is the folder's under engine/stores/.
struct BackendKind {
  std::string_view name;
  std::string_view summary;
  StoreTraits traits;
  std::vector<ProtocolTraits> protocols;  ///< the first is the default

  Result<std::unique_ptr<Backend>> (*open)(const BackendOptions& options);
  /// Whether the store can be opened here with this DSN (empty: none was given), as far as can be told without trying.
  Result<void> (*available)(const std::string& dsn);
  /// nullptr: the store has no isolation specs of its own kind.
  RunIsolationSpec run_isolation_spec;
  /// What people are told before the store is opened with this DSN, when that takes a while; empty: nothing.
  std::string (*announcement)(const std::string& dsn);
  /// Where its server tells of deadlocks (incident.h); nullptr: nowhere.
  const IncidentSource* incidents;

  /// nullptr: the store has no protocol of that name.
  const ProtocolTraits* protocol_named(std::string_view protocol) const;
  std::vector<std::string> protocol_names() const;
  /// True when a server is named for the store: by this DSN, or by the environment.
  bool is_server_named(const std::string& dsn) const;
};

/// BackendKind::available and announcement of a store that is always here.
Result<void> always_available(const std::string& dsn);
std::string nothing_to_announce(const std::string& dsn);

/// Every kind of store of this build, ordered by name. Stores whose footprints are known come first. A scenario runs on
/// the first one unless asked otherwise.
std::span<const BackendKind> backends();

/// The kind with that name, or nullptr.
const BackendKind* backend_named(std::string_view name);

/// ProtocolTraits::holds of that protocol; HoldsUntilEnd::writes when this build has none of that name.
HoldsUntilEnd holds_until_end(std::string_view store, std::string_view protocol);

/// The first of backends().
const BackendKind& default_backend();
/// The store whose protocols stand for those of others; nullptr: this build has none.
const BackendKind* modelling_backend();
/// The database of that name which such a protocol can stand for; nullptr when no model of any store has that name.
const EmulatedDatabase* emulated_named(std::string_view name);

}  // namespace lockstep

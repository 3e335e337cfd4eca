// isolation.cc: the rules that decide the text, in the order in which they are asked:
//
//   launch   a session that still has a step is waited for first; then the step is sent
//   try      done: its lines are written. Held up by another session, or by a marker: "<waiting ...>"
//   retry    those that wait, once each; again while one with a marker is left and something has happened
//   end      those that are left are waited for; markers that wait for each other end the run
#include "engine/stores/postgres/isolation.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>

#include "engine/stores/postgres/cluster.h"
#include "engine/stores/postgres/connection.h"
#include "engine/stores/postgres/own_database.h"
#include "engine/stores/postgres/protocol.h"
#include "engine/stores/postgres/server_binaries.h"

namespace lockstep::postgres {
namespace {

using std::chrono::steady_clock;

constexpr Nanos kSpecConnectMax = std::chrono::seconds(10);
/// How often the server is asked whether a step is blocked: as often as the tool asks. Sooner, a deadlock_timeout of
/// 10 ms, which specs set, would not be over yet, and the lines would come in another order.
constexpr int kAskEvery_ms = 10;
constexpr int kLimitDefault_s = 300;
constexpr const char* kIsBlocked = "lockstep_is_blocked";

/// What the tool's suite runs under, so that dates and the like look the same everywhere.
std::vector<std::pair<std::string, std::string>> settings_for(const IsolationOptions& options) {
  std::vector<std::pair<std::string, std::string>> settings = {{"timezone", "America/Los_Angeles"},
                                                               {"datestyle", "Postgres, MDY"},
                                                               {"intervalstyle", "postgres_verbose"},
                                                               {"lc_messages", "C"},
                                                               {"lc_monetary", "C"},
                                                               {"lc_numeric", "C"},
                                                               {"lc_time", "C"},
                                                               {"bytea_output", "hex"},
                                                               {"timezone_abbreviations", "Default"}};
  if (const auto level = isolation_named(options.protocol)) {
    settings.emplace_back("default_transaction_isolation", *level);
  }
  return settings;
}

/// The limit that the tool takes from the environment: seconds.
Nanos default_limit() {
  const auto seconds_in = [](const char* name) {
    const char* const text = std::getenv(name);
    return text == nullptr ? 0 : std::atoi(text);
  };
  if (const int seconds = seconds_in("PGISOLATIONTIMEOUT"); seconds > 0) return std::chrono::seconds(seconds);
  if (const int seconds = seconds_in("PG_TEST_TIMEOUT_DEFAULT"); seconds > 0) return std::chrono::seconds(2 * seconds);
  return std::chrono::seconds(kLimitDefault_s);
}

/// Ends the run: its exit code, or why there is none.
struct RunEnded {
  Result<int> how;
};

class SpecRunner;

/// A connection, and of a session the step that has not been reported.
struct SpecLine {
  Connection connection;
  int pid = 0;
  std::string session;  ///< empty: the control connection
  SpecRunner* runner = nullptr;
  int notices = 0;
  const IsolationEntry* active = nullptr;
};

class SpecRunner {
 public:
  SpecRunner(const IsolationSpec& spec, const IsolationOptions& options, const Dsn& dsn)
      : spec_(spec), options_(options), dsn_(dsn), limit_(options.limit.value_or(default_limit())) {}

  Result<int> run() {
    try {
      write(fmt::format("Parsed test spec with {} sessions\n", spec_.sessions.size()));
      connect_all();
      if (!spec_.permutations.empty()) {
        for (const auto& permutation : spec_.permutations) run_permutation(permutation);
      } else {
        std::vector<IsolationEntry> steps;
        run_all(steps, std::vector<std::size_t>(spec_.sessions.size(), 0));
      }
      return 0;
    } catch (RunEnded& ended) {
      return std::move(ended.how);
    }
  }

 private:
  void write(std::string_view text) { options_.out(text); }
  [[noreturn]] void die(const std::string& why) {
    options_.err(why);
    throw RunEnded{1};
  }
  void look_for_stop() const {
    if (options_.stopped && options_.stopped()) throw RunEnded{Error{Fault::cancelled, {}, "stopped"}};
  }

  void connect_all() {
    lines_.resize(spec_.sessions.size() + 1);
    std::string pids;
    for (std::size_t i = 0; i < lines_.size(); ++i) {
      SpecLine& line = lines_[i];
      line.session = i == 0 ? std::string() : spec_.sessions[i - 1].name;
      line.runner = this;
      auto connected =
          connect(dsn_, fmt::format("isolation/{}/{}", spec_.name, i == 0 ? "control connection" : line.session),
                  kSpecConnectMax);
      if (!connected) throw RunEnded{connected.error()};
      line.connection = std::move(*connected);
      line.pid = ::PQbackendPID(line.connection.get());
      if (i == 0) continue;
      ::PQsetNoticeReceiver(line.connection.get(), hear_notice, &line);
      pids += (pids.empty() ? "" : ",") + std::to_string(line.pid);
    }
    const std::string prepare = fmt::format(
        "prepare {} (int) as select pg_catalog.pg_isolation_test_session_is_blocked($1, '{{{}}}')", kIsBlocked, pids);
    if (const auto prepared = ask(control(), prepare, {}, kSpecConnectMax); !prepared)
      die(fmt::format("prepare of lock wait query failed: {}\n", prepared.error().message));
  }

  PGconn* control() { return lines_[0].connection.get(); }
  SpecLine& line_of(const IsolationPlace& place) { return lines_[place.session + 1]; }
  const IsolationStep& step_at(const IsolationPlace& place) const {
    return spec_.sessions[place.session].steps[place.step];
  }
  const std::string& name_of(const IsolationEntry& entry) const { return step_at(entry.place).name; }

  static void hear_notice(void* self, const PGresult* notice) {
    SpecLine& line = *static_cast<SpecLine*>(self);
    line.runner->write(fmt::format("{}: {}", line.session, ::PQresultErrorMessage(notice)));
    ++line.notices;
    line.runner->has_new_notice_ = true;
  }

  // --- one statement outside of steps ---

  /// As PQexec, but looks for ^C: the last result counts.
  Answer execute(PGconn* connection, const std::string& sql) {
    Answer last;
    if (::PQsendQuery(connection, sql.c_str()) == 0) return last;
    for (;;) {
      while (::PQisBusy(connection) != 0) {
        if (poll(connection, 100) && ::PQconsumeInput(connection) == 0) break;
      }
      Answer next(::PQgetResult(connection));
      if (next == nullptr) return last;
      last = std::move(next);
      const ExecStatusType status = ::PQresultStatus(last.get());
      if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH) return last;
    }
  }

  bool poll(PGconn* connection, int most_ms) const {
    look_for_stop();
    pollfd fd{::PQsocket(connection), POLLIN, 0};
    return ::poll(&fd, 1, most_ms) > 0;
  }

  /// True when it went well; then its rows are written.
  bool tell(const Answer& answer) {
    const ExecStatusType status = ::PQresultStatus(answer.get());
    if (status == PGRES_TUPLES_OK) write_rows(answer.get());
    return status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK;
  }

  /// By libpq itself, whose form it is.
  void write_rows(const PGresult* rows) {
    char* text = nullptr;
    std::size_t size = 0;
    std::FILE* const stream = ::open_memstream(&text, &size);
    if (stream == nullptr) return;
    PQprintOpt form{};
    form.header = 1;
    form.align = 1;
    std::string separator = "|";
    form.fieldSep = separator.data();
    ::PQprint(stream, rows, &form);
    std::fclose(stream);
    write({text, size});
    std::free(text);  // NOLINT(cppcoreguidelines-no-malloc): open_memstream's
  }

  // --- permutations ---

  void run_all(std::vector<IsolationEntry>& steps, std::vector<std::size_t> next) {
    bool is_whole = true;
    for (std::size_t session = 0; session < next.size(); ++session) {
      if (next[session] == spec_.sessions[session].steps.size()) continue;
      is_whole = false;
      steps.push_back({.place = {session, next[session]++}});
      run_all(steps, next);
      steps.pop_back();
      --next[session];
    }
    if (is_whole) run_permutation(steps);
  }

  void run_permutation(const std::vector<IsolationEntry>& steps) {
    std::string head = "\nstarting permutation:";
    for (const IsolationEntry& entry : steps) head += " " + name_of(entry);
    write(head + "\n");
    for (const std::string& sql : spec_.setups) {
      if (!tell(execute(control(), sql))) die(fmt::format("setup failed: {}", ::PQerrorMessage(control())));
    }
    for (std::size_t i = 0; i < spec_.sessions.size(); ++i) {
      if (!spec_.sessions[i].setup) continue;
      PGconn* const connection = lines_[i + 1].connection.get();
      if (!tell(execute(connection, *spec_.sessions[i].setup)))
        die(fmt::format("setup of session {} failed: {}", spec_.sessions[i].name, ::PQerrorMessage(connection)));
    }
    target_notices_.clear();
    std::vector<const IsolationEntry*> waiting;
    for (const IsolationEntry& entry : steps) launch(entry, waiting);
    try_all(waiting, false);
    if (!waiting.empty()) die("failed to complete permutation due to mutually-blocking steps\n");
    for (std::size_t i = 0; i < spec_.sessions.size(); ++i) {
      if (!spec_.sessions[i].teardown) continue;
      PGconn* const connection = lines_[i + 1].connection.get();
      if (!tell(execute(connection, *spec_.sessions[i].teardown)))
        options_.err(
            fmt::format("teardown of session {} failed: {}", spec_.sessions[i].name, ::PQerrorMessage(connection)));
    }
    if (spec_.teardown && !tell(execute(control(), *spec_.teardown)))
      options_.err(fmt::format("teardown failed: {}", ::PQerrorMessage(control())));
  }

  void launch(const IsolationEntry& entry, std::vector<const IsolationEntry*>& waiting) {
    SpecLine& line = line_of(entry.place);
    if (line.active != nullptr) await_session(line, waiting);
    if (::PQsendQuery(line.connection.get(), step_at(entry.place).sql.c_str()) == 0) {
      write(fmt::format("failed to send query for step {}: {}\n", name_of(entry),
                        ::PQerrorMessage(line.connection.get())));
      throw RunEnded{1};
    }
    line.active = &entry;
    for (const IsolationMarker& marker : entry.markers) {
      if (marker.kind == IsolationMarker::Kind::notices)
        target_notices_.emplace_back(&marker, marker.notices + line_of(marker.place).notices);
    }
    const bool waits = must_wait(entry, true, false);
    try_all(waiting, true);
    if (waits) waiting.push_back(&entry);
  }

  /// Until the session has no step that is not reported.
  void await_session(SpecLine& line, std::vector<const IsolationEntry*>& waiting) {
    const auto began = steady_clock::now();
    while (line.active != nullptr) {
      const IsolationEntry* const old = line.active;
      // It may be done, and yet stay because of its markers.
      if (!must_wait(*old, false, true)) std::erase(waiting, old);
      try_all(waiting, true);
      if (line.active == nullptr) return;
      const Nanos span = steady_clock::now() - began;
      if (span <= 2 * limit_) continue;
      std::string text =
          fmt::format("step {} timed out after {} seconds\nactive steps are:", name_of(*line.active), seconds_of(span));
      for (const SpecLine& each : lines_) {
        if (each.active != nullptr) text += " " + name_of(*each.active);
      }
      die(text + "\n");
    }
  }

  static std::int64_t seconds_of(Nanos span) { return std::chrono::duration_cast<std::chrono::seconds>(span).count(); }

  /// Tries those that wait, once each; again while one with markers is left and something has happened that may have
  /// satisfied it.
  void try_all(std::vector<const IsolationEntry*>& waiting, bool may_block) {
    bool again = true;
    while (again) {
      has_new_notice_ = false;
      bool has_marker = false;
      const std::size_t before = waiting.size();
      for (std::size_t i = 0; i < waiting.size();) {
        if (must_wait(*waiting[i], may_block, true)) {
          has_marker = has_marker || !waiting[i]->markers.empty();
          ++i;
        } else {
          waiting.erase(waiting.begin() + static_cast<std::ptrdiff_t>(i));
        }
      }
      again = has_marker && (waiting.size() < before || has_new_notice_);
    }
  }

  bool is_held_by_marker(const IsolationEntry& entry) {
    return std::any_of(entry.markers.begin(), entry.markers.end(), [this](const IsolationMarker& marker) {
      SpecLine& other = line_of(marker.place);
      switch (marker.kind) {
        case IsolationMarker::Kind::once:
          return false;
        case IsolationMarker::Kind::step:
          return other.active != nullptr && other.active->place == marker.place;
        case IsolationMarker::Kind::notices:
          break;
      }
      const auto target = std::find_if(target_notices_.rbegin(), target_notices_.rend(),
                                       [&marker](const auto& each) { return each.first == &marker; });
      return target != target_notices_.rend() && other.notices < target->second;
    });
  }

  bool is_blocked(const SpecLine& line) {
    const std::string execute = fmt::format("execute {} ({})", kIsBlocked, line.pid);
    const auto answer = ask(control(), execute, {}, kSpecConnectMax);
    if (!answer || ::PQntuples(answer->get()) != 1)
      die(fmt::format("lock wait query failed: {}\n", answer ? std::string() : answer.error().message));
    return ::PQgetvalue(answer->get(), 0, 0)[0] == 't';
  }

  void take_in(PGconn* connection) {
    if (::PQconsumeInput(connection) == 0)
      die(fmt::format("PQconsumeInput failed: {}\n", ::PQerrorMessage(connection)));
  }

  /// Cancels the step once, after the limit. After twice the limit the run ends.
  void watch_limit(const IsolationEntry& entry, PGconn* connection, Nanos span, bool& cancelled) {
    if (span > limit_ && !cancelled) {
      const std::unique_ptr<PGcancel, void (*)(PGcancel*)> cancel(::PQgetCancel(connection), ::PQfreeCancel);
      std::array<char, 256> why{};
      if (cancel != nullptr && ::PQcancel(cancel.get(), why.data(), static_cast<int>(why.size())) != 0) {
        write(fmt::format("isolationtester: canceling step {} after {} seconds\n", name_of(entry), seconds_of(span)));
        cancelled = true;
      } else if (cancel != nullptr) {
        options_.err(fmt::format("PQcancel failed: {}\n", why.data()));
      }
    }
    if (span > 2 * limit_) die(fmt::format("step {} timed out after {} seconds\n", name_of(entry), seconds_of(span)));
  }

  void tell_waiting(const IsolationEntry& entry) {
    write(fmt::format("step {}: {} <waiting ...>\n", name_of(entry), step_at(entry.place).sql));
  }

  /// Tries a step that is under way. False: it is done and has been reported. `may_block`: it may go on waiting when
  /// the server says that it is blocked. `again`: it was tried before.
  bool must_wait(const IsolationEntry& entry, bool may_block, bool again) {
    SpecLine& line = line_of(entry.place);
    PGconn* const connection = line.connection.get();
    const auto is_once = [](const IsolationMarker& each) { return each.kind == IsolationMarker::Kind::once; };
    if (!again && std::any_of(entry.markers.begin(), entry.markers.end(), is_once)) {
      tell_waiting(entry);
      return true;
    }
    if (::PQsocket(connection) < 0) die(fmt::format("invalid socket: {}", ::PQerrorMessage(connection)));
    const auto began = steady_clock::now();
    bool cancelled = false;
    while (::PQisBusy(connection) != 0) {
      if (poll(connection, kAskEvery_ms)) {
        take_in(connection);
        continue;
      }
      if (may_block && is_blocked(line)) {
        // Notices may have come while the server was asked, and even the result.
        take_in(connection);
        if (::PQisBusy(connection) == 0) break;
        if (!again) tell_waiting(entry);
        return true;
      }
      watch_limit(entry, connection, steady_clock::now() - began, cancelled);
    }
    if (is_held_by_marker(entry)) {
      if (!again) tell_waiting(entry);
      return true;
    }
    if (again) {
      write(fmt::format("step {}: <... completed>\n", name_of(entry)));
    } else {
      write(fmt::format("step {}: {}\n", name_of(entry), step_at(entry.place).sql));
    }
    report(line);
    line.active = nullptr;
    return false;
  }

  void report(const SpecLine& line) {
    PGconn* const connection = line.connection.get();
    for (;;) {
      while (::PQisBusy(connection) != 0) {
        if (poll(connection, 100) && ::PQconsumeInput(connection) == 0) break;
      }
      const Answer answer(::PQgetResult(connection));
      if (answer == nullptr) break;
      write_result(answer.get());
    }
    (void)::PQconsumeInput(connection);
    for (;;) {
      const std::unique_ptr<PGnotify, void (*)(void*)> told(::PQnotifies(connection), ::PQfreemem);
      if (told == nullptr) return;
      const auto sender = std::find_if(lines_.begin() + 1, lines_.end(),
                                       [&told](const SpecLine& each) { return each.pid == told->be_pid; });
      write(fmt::format("{}: NOTIFY \"{}\" with payload \"{}\" from {}\n", line.session, told->relname, told->extra,
                        sender == lines_.end() ? fmt::format("PID {}", told->be_pid) : sender->session));
      (void)::PQconsumeInput(connection);
    }
  }

  void write_result(const PGresult* answer) {
    const ExecStatusType status = ::PQresultStatus(answer);
    if (status == PGRES_COMMAND_OK || status == PGRES_EMPTY_QUERY) return;
    if (status == PGRES_TUPLES_OK) return write_rows(answer);
    if (status != PGRES_FATAL_ERROR) {
      write(fmt::format("unexpected result status: {}\n", ::PQresStatus(status)));
      return;
    }
    const char* const severity = ::PQresultErrorField(answer, PG_DIAG_SEVERITY);
    const char* const primary = ::PQresultErrorField(answer, PG_DIAG_MESSAGE_PRIMARY);
    // A lost connection has no fields, only libpq's text.
    write(severity != nullptr && primary != nullptr ? fmt::format("{}:  {}\n", severity, primary)
                                                    : fmt::format("{}\n", ::PQresultErrorMessage(answer)));
  }

  const IsolationSpec& spec_;
  const IsolationOptions& options_;
  const Dsn& dsn_;
  const Nanos limit_;
  std::vector<SpecLine> lines_;  // the control connection, then the sessions
  std::vector<std::pair<const IsolationMarker*, int>> target_notices_;
  bool has_new_notice_ = false;
};

}  // namespace

Result<int> run_isolation_spec(const IsolationSpec& spec, const IsolationOptions& options) {
  const auto text = dsn_for(options.dsn);
  if (!text) return text.error();
  const auto dsn = Dsn::parse(*text);
  if (!dsn) return dsn.error();
  auto database = OwnDatabase::create(*dsn, kSpecConnectMax, settings_for(options));
  if (!database) return database.error();
  return SpecRunner(spec, options, (*database)->dsn()).run();
}

}  // namespace lockstep::postgres

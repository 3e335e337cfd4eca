// conformance.h: every backend of the build at every protocol, opened for a test, and driven without the engine.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "engine/store/backend.h"
#include "tests/engine/stores/driver.h"
#include "tests/engine/stores/postgres/postgres_client.h"

namespace lockstep {

/// A point of the grid.
struct StoreAt {
  std::string backend;
  std::string protocol;
  bool blocking = false;  ///< BackendOptions::blocking
};

inline void PrintTo(const StoreAt& at, std::ostream* out) {
  *out << at.backend << ", " << at.protocol << (at.blocking ? ", blocking" : "");
}

inline std::vector<StoreAt> every_store() {
  std::vector<StoreAt> all;
  for (const BackendKind& kind : backends()) {
    for (const std::string& protocol : kind.protocol_names()) all.push_back({std::string(kind.name), protocol});
  }
  return all;
}

/// And once more for the stores that have other sessions for a thread that may block. Only for one session: a test has
/// one thread.
inline std::vector<StoreAt> every_session() {
  std::vector<StoreAt> all = every_store();
  for (const StoreAt& at : every_store()) {
    if (backend_named(at.backend)->traits.has_blocking_sessions) all.push_back({at.backend, at.protocol, true});
  }
  return all;
}

inline std::string test_name(const ::testing::TestParamInfo<StoreAt>& info) {
  std::string name = info.param.backend + "_" + info.param.protocol + (info.param.blocking ? "_blocking" : "");
  std::replace_if(
      name.begin(), name.end(), [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; }, '_');
  return name;
}

/// Opens the store with its rows; clients are opened when first asked for.
class Conformance : public ::testing::TestWithParam<StoreAt> {
 protected:
  /// Where a server ends waits, they must not end before a test has looked at them.
  static constexpr Nanos kLockTimeout = std::chrono::seconds(10);

  void SetUp() override { open({{"A", "100"}, {"B", "200"}, {"C", "300"}}); }

  /// `real_clock`: for tests with threads, where nobody can move a virtual one.
  void open(const State& rows, bool real_clock = false, Nanos lock_timeout = kLockTimeout) {
    sessions_.clear();
    backend_.reset();
    const BackendKind* kind = backend_named(GetParam().backend);
    ASSERT_NE(kind, nullptr);
    BackendOptions options;
    options.protocol = GetParam().protocol;
    options.lock_timeout = lock_timeout;
    options.blocking = GetParam().blocking;
    options.clock = &clock_;
    if (kind->name == "postgres") {
      options.dsn = postgres_testing::test_dsn();
      if (options.dsn.empty())
        GTEST_SKIP() << "no PostgreSQL: no server programs here, and LOCKSTEP_TEST_DSN is not set";
    } else if (const auto here = kind->available({}); !here) {
      GTEST_SKIP() << here.error().message;
    }
    if (kind->traits.waits == Waits::external) real_clock = true;
    if (real_clock) options.clock = &real_clock_;
    virtual_ = !real_clock;
    auto opened = kind->open(options);
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    backend_ = std::move(opened).value();
    const auto ready = backend_->set_up(rows, {});
    ASSERT_TRUE(ready.ok()) << ready.error().message;
    for (const auto& [key, value] : rows) claims_.push_back(key);
  }

  /// A statement in SQL goes to one server, and sees the rows of that.
  bool rows_are_spread() const { return GetParam().backend == "postgres-2"; }

  bool skipped() const { return IsSkipped() || backend_ == nullptr; }

  Session& session(int actor) {
    while (static_cast<int>(sessions_.size()) <= actor) {
      const int index = static_cast<int>(sessions_.size());
      // Of a cluster all on one node: that is the store that others are compared with.
      const int place = GetParam().backend == "galera" ? 3 * index : index;
      auto opened = backend_->open_session(place, "T" + std::to_string(index + 1));
      EXPECT_TRUE(opened.ok()) << opened.error().message;
      sessions_.push_back(std::move(opened).value());
    }
    return *sessions_[actor];
  }

  VirtualClock* clock() { return virtual_ ? &clock_ : nullptr; }

  /// Runs the request to its end, whatever it is.
  Pending run(int actor, Request request) {
    if (request.verb == Verb::begin) request.claims = claims_;
    Call call(session(actor), request);
    EXPECT_TRUE(call.finish(clock())) << name_of(request.verb) << " never ends";
    return std::move(call.pending);
  }
  /// The same; it must succeed.
  Reply does(int actor, Request request) {
    Pending done = run(actor, request);
    EXPECT_FALSE(done.error) << name_of(request.verb) << ": " << done.error->message;
    return std::move(done.reply);
  }
  /// The same; it must fail. The fault.
  Fault fails(int actor, Request request) {
    const Pending done = run(actor, request);
    EXPECT_TRUE(done.error) << name_of(request.verb) << " succeeds";
    if (done.error) {
      EXPECT_FALSE(done.error->message.empty()) << name_of(done.error->fault);
    }
    return done.error ? done.error->fault : Fault::internal;
  }

  void begin(int actor) { does(actor, {.verb = Verb::begin}); }
  void commit(int actor) { does(actor, {.verb = Verb::commit}); }
  void abort(int actor) { does(actor, {.verb = Verb::abort}); }
  void write(int actor, std::string_view key, std::string_view value) {
    does(actor, {.verb = Verb::write, .key = key, .value = value});
  }
  std::string read(int actor, std::string_view key) {
    return does(actor, {.verb = Verb::read, .key = key}).value.value_or("(none)");
  }
  Table scan(int actor, std::string_view from, std::string_view to, std::size_t limit = SIZE_MAX,
             Verb verb = Verb::scan) {
    return does(actor, {.verb = verb, .key = from, .upper = to, .limit = limit}).table;
  }
  /// The committed state; only when no transaction is open.
  State committed() {
    auto state = backend_->final_state();
    EXPECT_TRUE(state.ok()) << (state.ok() ? "" : state.error().message);
    return state.ok() ? std::move(state).value() : State{};
  }

  VirtualClock clock_;
  RealClock real_clock_;
  bool virtual_ = true;
  std::vector<std::string> claims_;
  std::unique_ptr<Backend> backend_;
  std::vector<std::unique_ptr<Session>> sessions_;
};

/// At the head of every test of the grid.
#define LOCKSTEP_SKIP_WITHOUT_STORE() \
  if (skipped()) return

}  // namespace lockstep

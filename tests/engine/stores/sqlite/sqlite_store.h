// sqlite_store.h: an SQLite store with a virtual clock and a few sessions, for the tests of it.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "engine/store/backend.h"
#include "engine/stores/sqlite/session.h"
#include "tests/engine/stores/driver.h"

namespace lockstep {
BackendKind backend_sqlite();
}

namespace lockstep::sqlite {

struct Store {
  explicit Store(const std::string& protocol, Nanos lock_timeout = kNever, int sessions = 3) {
    BackendOptions options;
    options.protocol = protocol;
    options.lock_timeout = lock_timeout;
    options.clock = &clock;
    auto opened = backend_sqlite().open(options);
    if (!opened) {
      ADD_FAILURE() << opened.error().message;
      return;
    }
    backend = std::move(opened).value();
    const auto ready = backend->set_up({{"A", "100"}, {"B", "100"}}, {});
    EXPECT_TRUE(ready.ok()) << (ready.ok() ? "" : ready.error().message);
    for (int i = 0; i < sessions; ++i) {
      this->sessions.push_back(std::move(backend->open_session(i, "T" + std::to_string(i + 1))).value());
    }
  }

  Session& operator[](int actor) { return *sessions[actor]; }

  /// The request succeeds at its first attempt.
  Reply does(int actor, Request request) {
    Call call(*sessions[actor], request);
    EXPECT_TRUE(call.attempt()) << "T" << actor + 1 << " waits at " << name_of(request.verb);
    EXPECT_FALSE(call.pending.error) << call.text();
    return call.pending.reply;
  }

  /// The request fails at its first attempt.
  Error fails(int actor, Request request) {
    Call call(*sessions[actor], request);
    EXPECT_TRUE(call.attempt()) << "T" << actor + 1 << " waits at " << name_of(request.verb);
    EXPECT_TRUE(call.pending.error) << "T" << actor + 1 << " succeeds at " << name_of(request.verb);
    return call.pending.error.value_or(Error{});
  }

  void begin(int actor) { does(actor, {.verb = Verb::begin}); }
  void commit(int actor) { does(actor, {.verb = Verb::commit}); }
  void abort(int actor) { does(actor, {.verb = Verb::abort}); }
  std::string read(int actor, const char* key) {
    return does(actor, {.verb = Verb::read, .key = key}).value.value_or("-");
  }
  void write(int actor, const char* key, const char* value) {
    does(actor, {.verb = Verb::write, .key = key, .value = value});
  }
  /// Asked at the end; takes the sessions along.
  State end() {
    sessions.clear();
    return backend->final_state().value();
  }

  VirtualClock clock;
  std::unique_ptr<Backend> backend;
  std::vector<std::unique_ptr<Session>> sessions;
};

}  // namespace lockstep::sqlite

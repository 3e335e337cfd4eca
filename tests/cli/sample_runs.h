// sample_runs.h: runs made by hand, for tests of what is shown.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/record/run.h"
#include "kv/base/holds.h"

namespace lockstep::cli::samples {

/// As a catalogue of stores would answer, for tests that have none (reports::HoldsOf).
inline HoldsUntilEnd holds_of(std::string_view, std::string_view protocol) {
  return protocol.starts_with("2pl") ? HoldsUntilEnd::reads_and_writes : HoldsUntilEnd::writes;
}

/// Writes the events of a run down, numbered, ten microseconds of virtual time a step.
class Story {
 public:
  explicit Story(std::vector<std::string> actors) { run_.actors = std::move(actors); }

  /// An operation that is answered at once.
  Story& does(int actor, std::string verb, std::string object = "", std::string detail = "", std::string answer = "") {
    asks(actor, verb, object, detail);
    return grants(actor, std::move(answer));
  }
  Story& asks(int actor, std::string verb, std::string object = "", std::string detail = "") {
    now_ns_ += 10'000;
    record::Event event{.actor = actor, .step = ++steps_, .kind = record::EventKind::request};
    event.verb = std::move(verb);
    event.object = std::move(object);
    event.detail = std::move(detail);
    open_[actor] = event;
    return add(std::move(event));
  }
  Story& waits(int actor, std::vector<int> others, std::string what = "exclusive lock") {
    record::Event event = answer_to(actor, record::EventKind::wait);
    event.detail = std::move(what);
    event.others = std::move(others);
    return add(std::move(event));
  }
  Story& grants(int actor, std::string answer = "") {
    record::Event event = answer_to(actor, record::EventKind::grant);
    event.detail = std::move(answer);
    return add(std::move(event));
  }
  Story& fails(int actor, Fault fault, std::string code = "", std::string message = "") {
    record::Event event = answer_to(actor, record::EventKind::fault);
    event.fault = fault;
    event.code = std::move(code);
    event.detail = std::move(message);
    return add(std::move(event));
  }
  Story& cycle(std::vector<int> actors, std::string how) {
    record::Event event{.kind = record::EventKind::cycle};
    event.others = std::move(actors);
    event.detail = std::move(how);
    return add(std::move(event));
  }
  Story& retries(int actor, int attempt) {
    record::Event event{.actor = actor, .kind = record::EventKind::retry};
    event.detail = std::to_string(attempt);
    return add(std::move(event));
  }
  Story& finishes(int actor) { return add({.actor = actor, .kind = record::EventKind::finish}); }
  Story& says(record::EventKind kind, std::string text) {
    record::Event event{.kind = kind};
    event.detail = std::move(text);
    return add(std::move(event));
  }
  Story& passes(std::int64_t ns) {
    now_ns_ += ns;
    return *this;
  }

  record::Run take() { return std::move(run_); }

 private:
  record::Event answer_to(int actor, record::EventKind kind) const {
    record::Event event = open_.at(actor);
    event.kind = kind;
    event.detail.clear();
    return event;
  }
  Story& add(record::Event event) {
    event.seq = run_.events.size() + 1;
    event.at_ns = now_ns_ - 10'000;
    run_.events.push_back(std::move(event));
    return *this;
  }

  record::Run run_;
  std::map<int, record::Event> open_;
  std::int64_t now_ns_ = 0;
  std::uint32_t steps_ = 0;
};

/// The deadlock of two transfers, found and broken: the example of the command line's contract.
inline record::Run two_lock() {
  Story story({"T1", "T2"});
  story.does(0, "begin").does(1, "begin");
  story.does(0, "read_for_update", "A", "", "100").does(1, "read_for_update", "B", "", "100");
  story.asks(0, "read_for_update", "B").waits(0, {1}).asks(1, "read_for_update", "A").waits(1, {0});
  story.cycle({0, 1}, "victim T2 (youngest)");
  story.fails(1, Fault::deadlock).asks(1, "abort").grants(1).retries(1, 1).grants(0, "100");
  story.does(0, "commit").finishes(0);
  story.does(1, "begin").does(1, "read_for_update", "B", "", "90").does(1, "read_for_update", "A", "", "110");
  story.does(1, "commit").finishes(1);
  record::Run run = story.take();
  run.id = "7f3a00c0ffee";
  run.scenario = "deadlock/two-lock";
  run.title = "Two transfers take the same two locks in opposite order";
  run.store = "kv";
  run.store_version = "kv 0.1";
  run.protocol = "2pl-detect";
  run.pattern = "plain";
  run.executor = "threads";
  run.schedule = "T1 T2 T1 T2";
  run.seed = 7;
  run.virtual_time = true;
  run.verdict = record::Verdict::deadlock;
  run.expected = record::Verdict::deadlock;
  run.summary = "found and broken: 1 victim, 1 retry";
  run.why = "T1 takes A then B; T2 takes B then A. Each holds what the other needs.";
  run.fix = "one order for all locks makes the cycle impossible";
  run.fix_command = "lockstep run deadlock/two-lock --pattern ordered";
  run.outcomes = {.committed = 2, .aborted = 1, .retries = 1, .faults = {{"deadlock", 1}}};
  run.cycles = {{"T1", "T2"}};
  run.victims = {"T2"};
  run.invariants = {{.text = "money is conserved", .held = true, .detail = ""}};
  run.wall_ms = 10.4;
  run.started_at = "2024-05-01T12:00:00Z";
  return run;
}

/// Philosophers who each hold one fork and want the next: nobody breaks the cycle.
inline record::Run philosophers(int count) {
  std::vector<std::string> names;
  for (int i = 0; i < count; ++i) names.push_back("P" + std::to_string(i + 1));
  Story story(names);
  const auto fork = [count](int i) { return "fork" + std::to_string(i % count + 1); };
  for (int i = 0; i < count; ++i) story.does(i, "lock", fork(i));
  std::vector<int> cycle;
  for (int i = 0; i < count; ++i) {
    cycle.push_back(i);
    story.asks(i, "lock", fork(i + 1)).waits(i, {(i + 1) % count}, "mutex");
  }
  story.cycle(cycle, "nobody will break it");
  for (int i = 0; i < count; ++i) story.fails(i, Fault::hung).finishes(i);
  record::Run run = story.take();
  run.scenario = "threads/dining-philosophers";
  run.store = "none";
  run.pattern = "naive";
  run.executor = "threads";
  run.schedule = "free";
  run.seed = 1;
  run.verdict = record::Verdict::hung;
  run.expected = record::Verdict::hung;
  run.ending = record::Ending::stuck;
  run.summary = "nobody can go on";
  run.cycles = {names};
  run.why = "Every philosopher takes the left fork first; each then waits for the one on the right.";
  run.fix = "number the forks and take the lower one first";
  run.fix_command = "lockstep run threads/dining-philosophers --pattern ordered";
  return run;
}

}  // namespace lockstep::cli::samples

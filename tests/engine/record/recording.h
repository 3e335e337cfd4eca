// recording.h: what the tests of recordings share: a folder of their own, and a run with every field filled.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "engine/record/run.h"
#include "tests/engine/temporary_folder.h"

namespace lockstep::record {

inline std::string bytes_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline void put(const std::string& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << bytes;
  ASSERT_TRUE(file.good()) << path;
}

inline Event event_on(std::uint64_t seq, const std::string& object = "") {
  Event event;
  event.seq = seq;
  event.object = object;
  return event;
}

/// Everything filled, and every kind of event.
inline Run full_run() {
  Run run;
  run.scenario = "deadlock/two-lock";
  run.title = "Two transfers in opposite orders";
  run.store = "kv";
  run.store_version = "kv 0.1";
  run.protocol = "2pl-detect";
  run.pattern = "plain";
  run.executor = "threads";
  run.schedule = "T1 T2 T1 T2";
  run.seed = 0xFFFF'FFFF'FFFF'FFFFULL;
  run.virtual_time = true;
  run.actors = {"T1", "T2"};
  run.verdict = Verdict::deadlock;
  run.expected = Verdict::clean;
  run.ending = Ending::stuck;
  run.summary = "found and broken: 1 victim, 1 retry";
  run.why = "T1 takes A then B";
  run.fix = "one order for all locks";
  run.fix_command = "lockstep run deadlock/two-lock --pattern ordered";
  run.outcomes = {.committed = 2, .aborted = 1, .retries = 3, .faults = {{"busy", 4}, {"deadlock", 1}}};
  run.cycles = {{"T1", "T2"}, {"T2", "T1"}};
  run.victims = {"T2", "T1"};
  run.invariants = {{"money is conserved", true, ""}, {"stock never below zero", false, "stock = -1"}};
  run.wall_ms = 10.25;
  run.started_at = "2026-01-02T03:04:05.678Z";
  run.command = "lockstep run deadlock/two-lock";
  run.environment = {{"compiler", "g++ 12"}, {"cores", "2"}};
  run.documents = {{"state-graph", "{}"}};
  for (int kind = 0; kind <= static_cast<int>(EventKind::note); ++kind) {
    Event event;
    event.seq = run.events.size() + 1;
    event.at_ns = kind * 1'000'000LL - 1;
    event.actor = kind % 3 - 1;
    event.step = static_cast<std::uint32_t>(kind / 2);
    event.kind = static_cast<EventKind>(kind);
    event.verb = "read_for_update";
    event.object = "account/" + std::to_string(kind);
    event.detail = "detail";
    if (kind % 2 == 1) event.fault = Fault::busy_snapshot;
    if (kind % 2 == 1) event.code = "SQLITE_BUSY_SNAPSHOT";
    if (kind == 1) event.others = {1, kNobody, 0};
    if (kind == 3) event.facts = {{"detail", "Key (k)=(1) already exists."}, {"constraint", "kv_pkey"}};
    run.events.push_back(event);
  }
  return run;
}

inline void expect_same(const Run& a, const Run& b) {
  EXPECT_EQ(a.id, b.id);
  EXPECT_EQ(a.scenario, b.scenario);
  EXPECT_EQ(a.title, b.title);
  EXPECT_EQ(a.store, b.store);
  EXPECT_EQ(a.store_version, b.store_version);
  EXPECT_EQ(a.protocol, b.protocol);
  EXPECT_EQ(a.pattern, b.pattern);
  EXPECT_EQ(a.executor, b.executor);
  EXPECT_EQ(a.schedule, b.schedule);
  EXPECT_EQ(a.seed, b.seed);
  EXPECT_EQ(a.virtual_time, b.virtual_time);
  EXPECT_EQ(a.actors, b.actors);
  EXPECT_EQ(a.verdict, b.verdict);
  EXPECT_EQ(a.expected, b.expected);
  EXPECT_EQ(a.ending, b.ending);
  EXPECT_EQ(a.summary, b.summary);
  EXPECT_EQ(a.why, b.why);
  EXPECT_EQ(a.fix, b.fix);
  EXPECT_EQ(a.fix_command, b.fix_command);
  EXPECT_EQ(a.outcomes.committed, b.outcomes.committed);
  EXPECT_EQ(a.outcomes.aborted, b.outcomes.aborted);
  EXPECT_EQ(a.outcomes.retries, b.outcomes.retries);
  EXPECT_EQ(a.outcomes.faults, b.outcomes.faults);
  EXPECT_EQ(a.cycles, b.cycles);
  EXPECT_EQ(a.victims, b.victims);
  ASSERT_EQ(a.invariants.size(), b.invariants.size());
  for (std::size_t i = 0; i < a.invariants.size(); ++i) {
    EXPECT_EQ(a.invariants[i].text, b.invariants[i].text);
    EXPECT_EQ(a.invariants[i].held, b.invariants[i].held);
    EXPECT_EQ(a.invariants[i].detail, b.invariants[i].detail);
  }
  EXPECT_EQ(a.wall_ms, b.wall_ms);
  EXPECT_EQ(a.started_at, b.started_at);
  EXPECT_EQ(a.command, b.command);
  EXPECT_EQ(a.environment, b.environment);
  EXPECT_EQ(a.documents, b.documents);
  ASSERT_EQ(a.events.size(), b.events.size());
  for (std::size_t i = 0; i < a.events.size(); ++i) {
    SCOPED_TRACE("event " + std::to_string(i + 1));
    EXPECT_EQ(a.events[i].seq, b.events[i].seq);
    EXPECT_EQ(a.events[i].at_ns, b.events[i].at_ns);
    EXPECT_EQ(a.events[i].actor, b.events[i].actor);
    EXPECT_EQ(a.events[i].step, b.events[i].step);
    EXPECT_EQ(a.events[i].kind, b.events[i].kind);
    EXPECT_EQ(a.events[i].verb, b.events[i].verb);
    EXPECT_EQ(a.events[i].object, b.events[i].object);
    EXPECT_EQ(a.events[i].detail, b.events[i].detail);
    EXPECT_EQ(a.events[i].fault, b.events[i].fault);
    EXPECT_EQ(a.events[i].code, b.events[i].code);
    EXPECT_EQ(a.events[i].others, b.events[i].others);
    EXPECT_EQ(a.events[i].facts, b.events[i].facts);
  }
}

}  // namespace lockstep::record

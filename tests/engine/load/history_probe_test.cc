// history_probe_test.cc: histories of loads: none shows an anomaly where the protocol keeps its promise; planted faults
// show.
#include "engine/load/history_probe.h"

#include <gmock/gmock.h>

#include <map>

#include "engine/load/round.h"
#include "engine/scenario/scenario.h"

namespace lockstep::load {
namespace {

using check::Level;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using End = check::Transaction::End;

Task<> nothing_of_its_own(Context& c) {
  const std::vector<std::string> claims{"n/0000000"};
  co_await c.db.begin(claims);
  co_await c.db.commit();
}

Scenario idle() {
  return scenario("probes alone")
      .rows(1, [](const Shape& shape) { return numbered("n/", shape.rows, "0"); })
      .pattern("plain", "begins and commits")
      .session(nothing_of_its_own)
      .holds("no row is lost, none is left over",
             [](const Final& end) { return end.rows() == 1 ? std::string() : "other rows are there"; });
}

constexpr int kSessions = 6;
constexpr std::uint64_t kCommits = 60;

/// A round that is on record from its first transaction to its last.
RoundRequest on_record(std::string protocol, std::string executor, std::uint64_t seed) {
  RoundRequest request;
  request.protocol = std::move(protocol);
  request.pattern = "plain";
  request.executor = std::move(executor);
  request.sessions = kSessions;
  request.shape.seed = seed;
  request.warmup = request.measured = Nanos(0);
  request.history = std::chrono::minutes(1);
  request.commits_most = kCommits;
  return request;
}

TEST(History, ShowsNothingThatTheProtocolForbids) {
  for (const std::string& protocol : backend_named("kv")->protocol_names()) {
    for (const char* executor : {"threads", "coroutines"}) {
      SCOPED_TRACE(protocol + " on " + executor);
      const auto result = run_round(idle(), on_record(protocol, executor, 1), nullptr);
      ASSERT_TRUE(result.ok()) << result.error().message;
      EXPECT_EQ(result->claim, backend_named("kv")->protocol_named(protocol)->isolation);
      EXPECT_EQ(result->on_record, kSessions * kCommits);
      EXPECT_THAT(result->anomaly, IsEmpty());
      EXPECT_THAT(result->broken, IsEmpty());
    }
  }
}

/// A store that loses updates: what is added is added to what was there at begin.
class Careless final : public Session {
 public:
  using Rows = std::map<std::string, std::int64_t, std::less<>>;
  explicit Careless(Rows& rows) : rows_(rows) {}

  bool attempt(Pending& pending, Waiter&) override {
    const Request& request = pending.request;
    switch (request.verb) {
      case Verb::begin:
        open_ = true;
        before_ = rows_;
        break;
      case Verb::read:
        pending.reply.value = std::to_string(rows_.find(request.key)->second);
        break;
      case Verb::add:
        rows_[std::string(request.key)] = before_[std::string(request.key)] + request.delta;
        pending.reply.value = std::to_string(rows_.find(request.key)->second);
        break;
      default:
        open_ = false;
    }
    return true;
  }
  void cancel(Pending&, Fault) override {}
  std::vector<Blocker> blockers(const Pending&) override { return {}; }
  bool in_transaction() const noexcept override { return open_; }

 private:
  Rows& rows_;
  Rows before_;
  bool open_ = false;
};

class Nobody final : public Waiter {
 public:
  void wake() noexcept override {}
};

void ask(Session& session, Verb verb) {
  Nobody nobody;
  Pending pending;
  pending.request.verb = verb;
  ASSERT_TRUE(session.attempt(pending, nobody));
  ASSERT_FALSE(pending.error);
}

TEST(History, ShowsUpdatesThatAreLost) {
  const RealClock clock;
  ProbeConfig probe_config{.rows = 2, .most = 100, .seed = 7, .clock = &clock};
  probe_config.recording = true;
  Careless::Rows rows;
  for (const auto& [key, value] : probe_rows(probe_config.rows)) rows[key] = 0;
  ProbeRecords probe_records[2];
  std::unique_ptr<Session> sessions[2];
  for (std::size_t i = 0; i < 2; ++i)
    sessions[i] = make_history_probe(std::make_unique<Careless>(rows), probe_config, i, probe_records[i]);
  for (int i = 0; i < 10; ++i) {
    for (const auto& session : sessions) ask(*session, Verb::begin);
    for (const auto& session : sessions) ask(*session, Verb::commit);
  }
  std::vector<std::int64_t> versions;
  for (const auto& [key, version] : rows) versions.push_back(version);
  const check::History history = history_of({&probe_records[0], &probe_records[1]}, versions);
  EXPECT_EQ(history.transactions.size(), 20u);
  EXPECT_THAT(check::anomalies_of(history, Level::read_committed), Not(IsEmpty()));
}

/// A server: every answer takes a second attempt.
class Slow final : public Session {
 public:
  explicit Slow(int& begins) : begins_(begins) {}
  bool attempt(Pending& pending, Waiter&) override {
    if (pending.phase++ == 0) {
      begins_ += pending.request.verb == Verb::begin ? 1 : 0;
      return false;
    }
    open_ = pending.request.verb != Verb::commit;
    pending.reply.value = "1";
    return true;
  }
  void cancel(Pending&, Fault) override {}
  std::vector<Blocker> blockers(const Pending&) override { return {}; }
  bool in_transaction() const noexcept override { return open_; }

 private:
  int& begins_;
  bool open_ = false;
};

/// How often the session was asked again until it had answered.
int attempts(Session& session, Verb verb) {
  Nobody nobody;
  Pending pending;
  pending.request.verb = verb;
  int count = 1;
  while (!session.attempt(pending, nobody)) ++count;
  return count;
}

TEST(History, BeginsOnceWhereARecordIsAskedForWhileTheBeginIsOnItsWay) {
  const RealClock clock;
  ProbeConfig probe_config{.rows = 2, .most = 100, .seed = 7, .clock = &clock};
  ProbeRecords probe_records;
  int begins = 0;
  const auto session = make_history_probe(std::make_unique<Slow>(begins), probe_config, 0, probe_records);
  Nobody nobody;
  Pending begin;
  ASSERT_FALSE(session->attempt(begin, nobody));
  probe_config.recording = true;
  EXPECT_TRUE(session->attempt(begin, nobody));
  EXPECT_EQ(begins, 1);
  EXPECT_EQ(attempts(*session, Verb::commit), 2);
  EXPECT_THAT(probe_records, IsEmpty());

  EXPECT_EQ(attempts(*session, Verb::begin), 4) << "begin and two reads wait once each";
  EXPECT_EQ(attempts(*session, Verb::commit), 3) << "so do the write and the commit";
  ASSERT_EQ(probe_records.size(), 1u);
  EXPECT_EQ(probe_records[0].end, End::committed);
  EXPECT_EQ(probe_records[0].write.version, 1);
}

ProbeRecord probe_record(std::int64_t began, std::int64_t ended, ProbeRecord::Seen first, ProbeRecord::Seen second,
                         ProbeRecord::Seen write, End end = End::committed) {
  ProbeRecord one;
  one.began_at = began;
  one.ended_at = ended;
  one.end = end;
  one.reads[0] = first;
  one.reads[1] = second;
  one.write = write;
  return one;
}

std::string found(Level level, const ProbeRecords& a, const ProbeRecords& b,
                  const std::vector<std::int64_t>& versions) {
  std::string names;
  for (const check::Anomaly& one : check::anomalies_of(history_of({&a, &b}, versions), level)) names += one.name + ";";
  return names;
}

TEST(History, TellsWriteSkewFromWhatASnapshotAllows) {
  const ProbeRecords a{probe_record(0, 10, {0, 0}, {1, 0}, {0, 1})};
  const ProbeRecords b{probe_record(1, 11, {0, 0}, {1, 0}, {1, 1})};
  EXPECT_EQ(found(Level::snapshot, a, b, {1, 1}), "");
  EXPECT_EQ(found(Level::serializable, a, b, {1, 1}), "G2-item;");
}

TEST(History, ShowsReadsOfTwoStates) {
  const ProbeRecords a{probe_record(0, 10, {0, 0}, {1, 1}, {2, 1})};  // before the first of b, after its second
  const ProbeRecords b{probe_record(1, 4, {2, 0}, {2, 0}, {0, 1}), probe_record(5, 8, {2, 0}, {2, 0}, {1, 1})};
  EXPECT_EQ(found(Level::read_committed, a, b, {1, 1, 1}), "");
  EXPECT_THAT(found(Level::snapshot, a, b, {1, 1, 1}), HasSubstr("G-single"));
}

TEST(History, ShowsReadsOfWhatWasNeverCommitted) {
  const ProbeRecords a{probe_record(0, 10, {2, 0}, {2, 0}, {0, 1}, End::aborted)};
  const ProbeRecords b{probe_record(1, 9, {0, 1}, {1, 0}, {1, 1})};
  EXPECT_THAT(found(Level::read_committed, a, b, {0, 1, 0}), HasSubstr("G1a"));
}

TEST(History, ShowsStaleReads) {
  const ProbeRecords a{probe_record(0, 10, {2, 0}, {2, 0}, {0, 1})};
  const ProbeRecords b{probe_record(20, 30, {0, 0}, {1, 0}, {1, 1})};
  EXPECT_THAT(found(Level::snapshot, a, b, {1, 1, 0}), HasSubstr("realtime"));
}

TEST(History, HeldAgainstMoreThanTheProtocolPromisesItShows) {
  RoundRequest request = on_record("snapshot", "threads", 1);
  request.claim = Level::serializable;
  request.commits_most = 400;
  std::string anomaly, proof;
  for (std::uint64_t seed = 1; seed <= 200 && anomaly.empty(); ++seed) {
    request.shape.seed = seed;
    const auto result = run_round(idle(), request, nullptr);
    ASSERT_TRUE(result.ok());
    anomaly = result->anomaly;
    proof = result->proof;
  }
  EXPECT_THAT(anomaly, testing::EndsWith("in the history, which serializable forbids"));
  EXPECT_THAT(proof, HasSubstr("\n")) << "a line a step";
}

}  // namespace
}  // namespace lockstep::load

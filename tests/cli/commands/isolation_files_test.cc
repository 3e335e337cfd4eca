// isolation_files_test.cc: specs of PostgreSQL beside the original: `lockstep run FILE --format isolation` and
// isolationtester on one server, byte for byte. LOCKSTEP_SEED=n begins the random specs with that seed,
// LOCKSTEP_ROUNDS=n says how many.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>

#include "engine/stores/postgres/own_database.h"
#include "kv/base/random.h"
#include "tests/cli/child.h"
#include "tests/engine/stores/postgres/postgres_client.h"

namespace lockstep::cli {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::IsEmpty;

const fs::path kSpecs = fs::path(LOCKSTEP_SOURCE_DIR) / "tests/isolation";

std::string text_at(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// The original, where a package has it (Debian: postgresql-client-15); empty: it is not here.
std::string isolationtester() {
  for (const char* version : {"15", "16", "17", "18", "14"}) {
    const std::string path = fmt::format("/usr/lib/postgresql/{}/lib/pgxs/src/test/isolation/isolationtester", version);
    if (fs::exists(path)) return path;
  }
  return {};
}

/// What a shell command writes to both of its streams, in their order, and its exit code.
std::pair<std::string, int> output_of(const std::string& command) {
  std::FILE* const pipe = ::popen((command + " 2>&1").c_str(), "r");
  std::string text;
  char bytes[4096];
  for (std::size_t got = 0; (got = std::fread(bytes, 1, sizeof bytes, pipe)) > 0;) text.append(bytes, got);
  const int status = ::pclose(pipe);
  return {text, WEXITSTATUS(status)};
}

std::string in_quotes(const std::string& text) {
  std::string safe = "'";
  for (const char c : text) safe += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return safe + "'";
}

class IsolationFiles : public testing::Test {
 protected:
  void SetUp() override {
    dsn_ = postgres_testing::test_dsn();
    if (dsn_.empty()) GTEST_SKIP() << "skipped: no PostgreSQL server is installed and LOCKSTEP_TEST_DSN is not set";
  }

  /// What this program writes for the spec.
  std::pair<std::string, int> ours(const fs::path& spec, const std::string& options = {}, int limit_s = 20) const {
    return output_of(fmt::format("PGISOLATIONTIMEOUT={} LOCKSTEP_DSN={} {} run {} --format isolation --no-record {}",
                                 limit_s, in_quotes(dsn_), LOCKSTEP_PROGRAM, in_quotes(spec.string()), options));
  }

  /// What the original writes for it, in a database made for it.
  std::pair<std::string, int> the_originals(const fs::path& spec, int limit_s = 20) const {
    const auto dsn = postgres::Dsn::parse(dsn_);
    EXPECT_TRUE(dsn.ok());
    const auto database = postgres::OwnDatabase::create(*dsn, 10s, {});
    EXPECT_TRUE(database.ok()) << (database.ok() ? "" : database.error().message);
    if (!database.ok()) return {};
    return output_of(
        fmt::format("PGISOLATIONTIMEOUT={} PGTZ=America/Los_Angeles PGDATESTYLE='Postgres, MDY' "
                    "PGOPTIONS='-c intervalstyle=postgres_verbose' PGAPPNAME=isolation/{} LC_MESSAGES=C "
                    "{} {} < {}",
                    limit_s, spec.stem().string(), isolationtester(), in_quotes((*database)->dsn().without_password()),
                    in_quotes(spec.string())));
  }

  std::string dsn_;
};

TEST_F(IsolationFiles, HaveTheBytesOfTheirExpectedFiles) {
  for (const auto& entry : fs::directory_iterator(kSpecs / "specs")) {
    const fs::path spec = entry.path();
    const auto [text, code] = ours(spec);
    EXPECT_EQ(text, text_at(kSpecs / "expected" / (spec.stem().string() + ".out"))) << spec;
    EXPECT_EQ(code, 0) << spec;
  }
}

TEST_F(IsolationFiles, CancelAStepThatCannotEnd) {
  const auto [text, code] = ours(kSpecs / "hang.spec", {}, 1);
  EXPECT_EQ(text, text_at(kSpecs / "hang.out"));
  EXPECT_EQ(code, 0);
}

TEST_F(IsolationFiles, AreHeldAgainstAnExpectedFile) {
  const auto [same, code] =
      ours(kSpecs / "specs/markers.spec", "--expected " + (kSpecs / "expected/markers.out").string());
  EXPECT_EQ(code, 0) << same;
  EXPECT_THAT(same, IsEmpty());
  const auto [differs, wrong] =
      ours(kSpecs / "specs/markers.spec", "--expected " + (kSpecs / "expected/waits.out").string());
  EXPECT_EQ(wrong, 1);
  EXPECT_THAT(differs, HasSubstr("differs at line"));
}

TEST_F(IsolationFiles, AreCheckedAsASuite) {
  const ScratchFolder folder;
  const fs::path root = folder.path();
  fs::create_directory(root / "specs");
  fs::create_directory(root / "expected");
  const auto put = [&](const std::string& name, const std::string& expected) {
    std::ofstream(root / "specs" / (name + ".spec")) << "session s step a { select 1 as one; }\n";
    std::ofstream(root / "expected" / expected) << "Parsed test spec with 1 sessions\n\nstarting permutation: a\n"
                                                << "step a: select 1 as one;\none\n---\n  1\n(1 row)\n\n";
  };
  put("plain", "plain.out");
  put("variant", "variant_3.out");
  const auto check = [&] {
    return output_of(fmt::format("LOCKSTEP_DSN={} {} check {}", in_quotes(dsn_), LOCKSTEP_PROGRAM, root.string()));
  };
  const auto [good, code] = check();
  EXPECT_EQ(code, 0) << good;
  EXPECT_THAT(good, HasSubstr("2 specs checked: 2 byte for byte as expected, 0 not"));
  std::ofstream(root / "expected/plain.out", std::ios::app) << "more\n";
  const auto [bad, wrong] = check();
  EXPECT_EQ(wrong, 1) << bad;
  const fs::path junit = root / "check.xml";
  (void)output_of(fmt::format("LOCKSTEP_DSN={} {} check {} --junit {}", in_quotes(dsn_), LOCKSTEP_PROGRAM,
                              root.string(), junit.string()));
  EXPECT_THAT(text_at(junit), HasSubstr("tests=\"2\" failures=\"1\""));
  EXPECT_THAT(text_at(junit), HasSubstr("differs at line"));
  EXPECT_THAT(bad, HasSubstr("1 byte for byte as expected, 1 not"));
}

/// Specs at random that both programs must write alike. Steps that can only wait for ever are left out: what the tool
/// does then costs its limit, and the clock has a say. So a session takes the resources in one order, and whose turn it
/// is follows from a model of who holds what.
class RandomSpec {
 public:
  explicit RandomSpec(std::uint64_t seed) : random_(seed, 0) {
    const int sessions = 2 + below(3);
    for (int i = 0; i < sessions; ++i) make_session(i);
  }

  std::string text() {
    std::string text =
        "setup { create table t (id int primary key, v int); insert into t select i, 0 from generate_series(1, 4) i; "
        "}\n"
        "setup { create table log (who text, what int); }\n"
        "teardown { drop table t, log; }\n";
    for (std::size_t i = 0; i < sessions_.size(); ++i) {
      text += fmt::format("session \"s{}\"\n", i);
      if (i == 1) text += "setup { listen news; set application_name = 'x'; }\n";
      for (const Step& step : sessions_[i].steps) text += fmt::format("step {} {{ {} }}\n", step.name, step.sql);
      if (below(3) == 0) text += "teardown { rollback; select pg_advisory_unlock_all(); }\n";
    }
    const int permutations = 1 + below(3);
    for (int i = 0; i < permutations; ++i) text += permutation();
    return text;
  }

 private:
  static constexpr int kRows = 4;  ///< the resources below that are rows, the others advisory locks
  struct Step {
    std::string name, sql;
    int takes = -1;  ///< a resource, until the transaction ends
    bool begins = false, ends = false;
  };
  struct Session {
    std::vector<Step> steps;
    // Of the permutation that is being made.
    std::size_t next = 0;
    std::vector<int> has;
    int wants = -1;
    std::string held_by_step;  ///< a marker
    bool inside = false;
  };

  int below(int bound) { return static_cast<int>(random_() % static_cast<std::uint64_t>(bound)); }

  std::string harmless() {
    switch (below(7)) {
      case 0:
        return "select * from t order by id;";
      case 1:
        return "insert into log values ('é', null), ('', -3);";
      case 2:
        return "select who, what, what * 1.5 as \"a b\" from log order by 1, 2; select 1 where false;";
      case 3:
        return "do $$ begin raise notice 'one'; raise warning 'two' using detail = 'more', hint = 'less'; end $$;";
      case 4:
        return "notify news, 'it''s';";
      case 5:
        return "";
      default:
        return "select array[1, 2] as a, null as n, E'two\\nlines' as l, now() - now() as d;";
    }
  }

  std::string taking(int resource) {
    if (resource >= kRows) return fmt::format("select pg_advisory_xact_lock({});", resource);
    switch (below(3)) {
      case 0:
        return fmt::format("update t set v = v + 1 where id = {};", resource + 1);
      case 1:
        return fmt::format("select * from t where id = {} for update;", resource + 1);
      default:
        return fmt::format("update t set v = v * 2 + 1 where id = {} returning id, v;", resource + 1);
    }
  }

  void make_session(int index) {
    Session session;
    int number = 0;
    const auto add = [&](Step step) {
      step.name = fmt::format("s{}_{}", index, ++number);
      session.steps.push_back(std::move(step));
    };
    if (below(3) == 0) add({.name = {}, .sql = below(2) == 0 ? "select 1 / 0;" : harmless()});
    add({.name = {}, .sql = "begin;", .begins = true});
    for (int resource = below(3); resource < 6; resource += 1 + below(3)) {
      add({.name = {}, .sql = taking(resource), .takes = resource});
      if (below(3) == 0) add({.name = {}, .sql = harmless()});
    }
    add({.name = {}, .sql = below(4) == 0 ? "rollback;" : "commit;", .ends = true});
    if (below(2) == 0) add({.name = {}, .sql = harmless()});
    sessions_.push_back(std::move(session));
  }

  bool is_free(int resource) const {
    return std::none_of(sessions_.begin(), sessions_.end(), [resource](const Session& session) {
      return std::find(session.has.begin(), session.has.end(), resource) != session.has.end();
    });
  }

  /// Of several that wait for one row that was changed, the server lets now this one go first and now that one.
  bool is_second_in_line(int resource) const {
    return resource >= 0 && resource < kRows &&
           std::any_of(
               queue_.begin(), queue_.end(), [&](std::size_t waiter) { return sessions_[waiter].wants == resource; });
  }

  /// The first that waits for a resource that has become free gets it.
  void grant() {
    for (const std::size_t waiter : queue_) {
      Session& session = sessions_[waiter];
      if (session.wants < 0 || !is_free(session.wants)) continue;
      session.has.push_back(session.wants);
      session.wants = -1;
    }
    std::erase_if(queue_, [this](std::size_t waiter) { return sessions_[waiter].wants < 0; });
    for (Session& session : sessions_) {
      const bool waits = std::any_of(queue_.begin(), queue_.end(), [&](std::size_t waiter) {
        return sessions_[waiter].steps[sessions_[waiter].next - 1].name == session.held_by_step;
      });
      if (!waits) session.held_by_step.clear();
    }
  }

  std::string permutation() {
    for (Session& session : sessions_) {
      session.next = 0;
      session.has.clear();
      session.wants = -1;
      session.held_by_step.clear();
      session.inside = false;
    }
    queue_.clear();
    std::string text = "permutation";
    for (;;) {
      std::vector<std::size_t> can;
      for (std::size_t i = 0; i < sessions_.size(); ++i) {
        const Session& session = sessions_[i];
        const bool may_go = session.wants < 0 && session.held_by_step.empty() && session.next < session.steps.size();
        if (may_go && !is_second_in_line(session.steps[session.next].takes)) can.push_back(i);
      }
      if (can.empty()) return text + "\n";
      const std::size_t chosen = can[static_cast<std::size_t>(below(static_cast<int>(can.size())))];
      Session& session = sessions_[chosen];
      const Step& step = session.steps[session.next++];
      text += " " + step.name;
      session.inside = (session.inside || step.begins) && !step.ends;
      if (step.takes >= 0 && !is_free(step.takes)) {
        session.wants = step.takes;
        queue_.push_back(chosen);
        if (below(4) == 0) text += "(*)";
        continue;
      }
      if (step.takes >= 0) session.has.push_back(step.takes);
      if (step.ends) session.has.clear();
      if (!queue_.empty() && !session.inside && !step.ends && below(3) == 0) {
        const Session& other = sessions_[queue_[static_cast<std::size_t>(below(static_cast<int>(queue_.size())))]];
        session.held_by_step = other.steps[other.next - 1].name;
        text += fmt::format("({})", session.held_by_step);
      }
      grant();
    }
  }

  Random random_;
  std::vector<Session> sessions_;
  std::deque<std::size_t> queue_;
};

std::uint64_t number_of(const char* name, std::uint64_t otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

TEST_F(IsolationFiles, AreWrittenAsByTheOriginal) {
  if (isolationtester().empty()) GTEST_SKIP() << "skipped: isolationtester is not here (Debian: postgresql-client-15)";
  for (const auto& entry : fs::directory_iterator(kSpecs / "specs")) {
    const auto expected = the_originals(entry.path());
    EXPECT_EQ(ours(entry.path()).first, expected.first) << entry.path();
  }
}

TEST_F(IsolationFiles, AtRandomAreWrittenAsByTheOriginal) {
  if (isolationtester().empty()) GTEST_SKIP() << "skipped: isolationtester is not here (Debian: postgresql-client-15)";
  const std::uint64_t first = number_of("LOCKSTEP_SEED", 1), rounds = number_of("LOCKSTEP_ROUNDS", 12);
  const ScratchFolder folder;
  for (std::uint64_t seed = first; seed < first + rounds; ++seed) {
    const std::string text = RandomSpec(seed).text();
    const fs::path spec = fs::path(folder.path()) / "random.spec";
    std::ofstream(spec, std::ios::binary) << text;
    const auto [expected, code] = the_originals(spec);
    ASSERT_EQ(ours(spec), std::pair(expected, code)) << "LOCKSTEP_SEED=" << seed << " LOCKSTEP_ROUNDS=1\n" << text;
  }
}

TEST_F(IsolationFiles, ThatAreWrongAreToldAsByTheOriginal) {
  if (isolationtester().empty()) GTEST_SKIP() << "skipped: isolationtester is not here (Debian: postgresql-client-15)";
  const ScratchFolder folder;
  const fs::path spec = fs::path(folder.path()) / "wrong.spec";
  for (const char* text : {
           "session s step a { select 1 } session t step a { select 2 }",
           "session s step a { select 1 } permutation b",
           "session s step a { select 1 }\n;",
           "session s step a { select 1",
           "session s",
           "setup { select nonsense } session s step a { select 1 }",
           "session s setup { select nonsense } step a { select 1 }",
           "session s step a { select 1 } teardown { select nonsense }",
           "session s step a { select 1 } step b { select 2 } permutation a",
           "session s step a { select 1 } session t step b { select 2 } permutation a(b) b(a)",
       }) {
    std::ofstream(spec, std::ios::binary) << text;
    EXPECT_EQ(ours(spec), the_originals(spec)) << text;
  }
}

}  // namespace
}  // namespace lockstep::cli

// ranks_test.cc: the program as the ranks of an MPI job on this machine. Skipped in a build without MPI, and where
// mpirun is missing.
#include "engine/ranks/ranks.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <thread>

#include "engine/record/run.h"
#include "engine/stores/postgres/cluster.h"
#include "tests/cli/child.h"

namespace lockstep::cli {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr const char* kMpirun = "/usr/bin/mpirun";

std::string text_in(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();  // of a process that goes meanwhile, what has come
  return text.str();
}

/// The fields of /proc/PID/stat behind the name: state, parent, …
std::vector<std::string> stat_of(const std::string& pid) {
  const std::string stat = text_in("/proc/" + pid + "/stat");
  std::istringstream words(stat.substr(std::min(stat.size(), stat.rfind(')') + 1)));
  return {std::istream_iterator<std::string>(words), {}};
}

/// `mpirun -n RANKS lockstep ARGUMENTS`.
class Job {
 public:
  Job(int ranks, const std::vector<std::string>& arguments) {
    std::vector<std::string> words = {
        kMpirun, "-n", std::to_string(ranks), "--oversubscribe", "--allow-run-as-root", LOCKSTEP_PROGRAM};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ != 0) return;
    ::dup2(::open("/dev/null", O_RDONLY), STDIN_FILENO);
    ::dup2(::open(out_path().c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), STDOUT_FILENO);
    ::dup2(::open(err_path().c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), STDERR_FILENO);
    ::setenv("LANG", "C.UTF-8", 1);
    ::setenv("TERM", "dumb", 1);
    ::setenv("LOCKSTEP_RUNS", runs_folder().c_str(), 1);
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  ~Job() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGTERM);  // mpirun ends its ranks
    ::waitpid(pid_, nullptr, 0);
  }
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;

  std::string out() const { return text_in(out_path()); }
  std::string runs_folder() const { return folder_.path() + "/runs"; }
  void send(int signal) const { ::kill(pid_, signal); }

  /// The ranks that run now, in their order.
  std::vector<pid_t> ranks() const {
    std::vector<std::pair<int, pid_t>> found;
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      const std::string name = entry.path().filename();
      if (name.find_first_not_of("0123456789") != std::string::npos) continue;
      const auto words = stat_of(name);
      if (words.size() < 2 || words[1] != std::to_string(pid_)) continue;
      const std::string environment = text_in("/proc/" + name + "/environ");
      const std::string variable = "OMPI_COMM_WORLD_RANK=";
      const std::size_t at = environment.find(variable);
      if (at != std::string::npos)
        found.emplace_back(std::atoi(environment.c_str() + at + variable.size()), std::stoi(name));
    }
    std::sort(found.begin(), found.end());
    std::vector<pid_t> pids;
    for (const auto& [rank, pid] : found) pids.push_back(pid);
    return pids;
  }

  /// False when it ended, or took too long, before `holds`.
  bool wait_until(const std::function<bool()>& holds) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(kPatience);
    while (!holds()) {
      if (std::chrono::steady_clock::now() > until || has_ended()) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));  // looks again
    }
    return true;
  }

  Ended wait() {
    Ended ended;
    ended.in_time = !wait_until([] { return false; }) && has_ended();
    if (!ended.in_time) {
      ::kill(pid_, SIGTERM);
      ::waitpid(pid_, &status_, 0);
      pid_ = -1;
    }
    if (WIFEXITED(status_)) ended.code = WEXITSTATUS(status_);
    if (WIFSIGNALED(status_)) ended.signal = WTERMSIG(status_);
    ended.out = out();
    ended.err = text_in(err_path());
    return ended;
  }

 private:
  std::string out_path() const { return folder_.path() + "/out"; }
  std::string err_path() const { return folder_.path() + "/err"; }
  bool has_ended() {
    if (pid_ > 0 && ::waitpid(pid_, &status_, WNOHANG) == pid_) pid_ = -1;
    return pid_ <= 0;
  }

  const ScratchFolder folder_;
  pid_t pid_ = -1;
  int status_ = 0;
};

class RanksCommand : public testing::Test {
 protected:
  void SetUp() override {
    if (!has_mpi()) GTEST_SKIP() << "a build without MPI (cmake -DLOCKSTEP_MPI=ON)";
    if (::access(kMpirun, X_OK) != 0) GTEST_SKIP() << "no " << kMpirun;
  }
};

/// A server that all ranks reach; empty: there is none.
std::string server() {
  if (const char* named = std::getenv("LOCKSTEP_TEST_DSN"); named != nullptr && *named != '\0') return named;
  static const auto cluster = postgres::start_private_cluster();
  return cluster ? (*cluster)->dsn() : std::string();
}

/// The processor time that a process has used, in seconds.
double seconds_of(pid_t pid) {
  const auto words = stat_of(std::to_string(pid));
  return words.size() < 13 ? 0 : std::atof(words[11].c_str()) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

/// A search's result without what the clock and the number of workers say.
nlohmann::json result_of(const Ended& ended) {
  EXPECT_TRUE(ended.err.empty() || ended.code != 0) << ended.err;  // mpirun has something to say of any other code
  nlohmann::json result = nlohmann::json::parse(ended.out, nullptr, false);
  EXPECT_FALSE(result.is_discarded()) << ended.out;
  for (const char* of_this_run : {"jobs", "schedules_per_s"}) result.erase(of_this_run);
  return result;
}

TEST_F(RanksCommand, ASearchBySamplesGivesTheSameForAnyNumberOfRanks) {
  // The third one learns on its way that the queue of a lock matters, and begins again on all ranks. The last one is of
  // a program, whose threads are not there before they run.
  const std::vector<std::vector<std::string>> searches = {
      {"threads/two-lock", "--strategy", "walk", "--budget", "250000"},  // several rounds of all ranks
      {"threads/dining-philosophers", "--strategy", "pct", "--budget", "12000"},
      {"threads/if-instead-of-while", "--strategy", "pos", "--budget", "12000"},
      {"--strategy", "walk", "--budget", "1500", "--", LOCKSTEP_CASES, "two-lock"}};
  for (std::vector<std::string> words : searches) {
    words.insert(words.begin(), {"explore", "--no-record", "--json", "--seed", "5", "--jobs", "1"});
    const Ended alone = lockstep(words);
    const nlohmann::json expected = result_of(alone);
    EXPECT_GT(expected["runs"], 1000);
    for (const int ranks : {2, 3}) {
      const Ended ended = Job(ranks, words).wait();
      EXPECT_EQ(ended.code, alone.code) << words[6] << " on " << ranks << "\n" << ended.err;
      EXPECT_EQ(result_of(ended), expected) << words[6] << " on " << ranks;
    }
  }
}

TEST_F(RanksCommand, ASearchThatCannotBeSharedIsRankZerosAlone) {
  const std::vector<std::string> words = {"explore", "deadlock/two-lock", "--no-record", "--json"};
  nlohmann::json expected = result_of(lockstep(words));
  Ended ended = Job(3, words).wait();
  EXPECT_THAT(ended.err, HasSubstr("rank 0 searches alone: the ranks of a job share samples"));
  ended.err.clear();
  EXPECT_EQ(result_of(ended), expected);
}

/// The cells of check's or matrix's JSON, without times and the ids of runs.
nlohmann::json cells_of(const Ended& ended) {
  nlohmann::json result = nlohmann::json::parse(ended.out, nullptr, false);
  EXPECT_FALSE(result.is_discarded()) << ended.out << ended.err;
  result.erase("wall_ms");
  result.erase("id");
  for (nlohmann::json& cell : result["cells"]) {
    cell.erase("wall_ms");
    cell.erase("run");
  }
  return result;
}

TEST_F(RanksCommand, CheckAndMatrixShareTheirCells) {
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"check", "deadlock", "--store", "kv,sqlite", "--json"},
        std::vector<std::string>{"matrix", "isolation", "--store", "kv", "--json", "--no-record"}}) {
    const Ended alone = lockstep(words);
    for (const int ranks : {2, 3}) {
      const Ended ended = Job(ranks, words).wait();
      EXPECT_EQ(ended.code, alone.code) << ended.err;
      EXPECT_EQ(cells_of(ended), cells_of(alone)) << words[0] << " on " << ranks;
    }
  }
}

TEST_F(RanksCommand, EveryCellOfAMatrixIsSavedWhoeverHasRunIt) {
  Job job(3, {"matrix", "isolation/write-skew", "--store", "kv", "--json"});
  const Ended ended = job.wait();
  ASSERT_EQ(ended.code, 0) << ended.err;
  const nlohmann::json cells = nlohmann::json::parse(ended.out)["cells"];
  ASSERT_GT(cells.size(), 3u);
  std::set<std::string> runs;
  for (const auto& cell : cells) {
    const std::string id = cell["run"];
    EXPECT_TRUE(record::find(job.runs_folder(), id).ok()) << id;
    runs.insert(id);
  }
  EXPECT_EQ(runs.size(), cells.size());
}

TEST_F(RanksCommand, OnlyRankZeroSpeaks) {
  const Ended wrong = Job(3, {"explore", "deadlock/two-lok", "--strategy", "walk"}).wait();
  EXPECT_EQ(wrong.code, 2);
  const std::size_t said = wrong.err.find("did you mean");
  ASSERT_NE(said, std::string::npos) << wrong.err;
  EXPECT_EQ(wrong.err.find("did you mean", said + 1), std::string::npos) << wrong.err;
  const Ended load = Job(2, {"compare", "money/transfer"}).wait();
  EXPECT_EQ(load.code, 2);
  EXPECT_THAT(load.err, HasSubstr("a load of 2 ranks needs a store that all of them reach, with --dsn"));
}

TEST_F(RanksCommand, ARankThatDiesEndsTheSearchWithWhatIsFinished) {
  Job job(3, {"explore", "deadlock/three-cycle", "--strategy", "walk", "--budget", "10m", "--json"});
  // Some rounds are behind it by then.
  ASSERT_TRUE(job.wait_until([&] {
    const auto ranks = job.ranks();
    return ranks.size() == 3 && seconds_of(ranks[1]) > 1.5;
  }));
  ::kill(job.ranks().at(1), SIGKILL);
  const Ended ended = job.wait();
  EXPECT_TRUE(ended.in_time);
  EXPECT_NE(ended.code, 0);
  EXPECT_THAT(ended.err, HasSubstr("rank 1 of 3 on"));
  EXPECT_THAT(ended.err, HasSubstr("is gone before the end; what was finished until then is kept"));
  const nlohmann::json result = nlohmann::json::parse(ended.out, nullptr, false);
  ASSERT_FALSE(result.is_discarded()) << ended.out << ended.err;
  EXPECT_GT(result["runs"], 1000);
  EXPECT_GT(result["deadlocks"], 0);
  const auto saved = record::list(job.runs_folder());
  ASSERT_TRUE(saved.ok());
  EXPECT_THAT(*saved, Not(IsEmpty()));
}

TEST_F(RanksCommand, ARankThatDiesLeavesTheTablesThatWereChecked) {
  Job job(2, {"check", "--store", "kv", "--executor", "threads,coroutines"});
  ASSERT_TRUE(job.wait_until([&] { return !job.out().empty() && job.ranks().size() == 2; }));
  ::kill(job.ranks().at(1), SIGKILL);
  const Ended ended = job.wait();
  EXPECT_TRUE(ended.in_time);
  EXPECT_NE(ended.code, 0);
  EXPECT_THAT(ended.err, HasSubstr("rank 1 of 2"));
  EXPECT_THAT(ended.out, HasSubstr("checked: "));
}

TEST_F(RanksCommand, InterruptingMpirunEndsAllWithWhatIsFinished) {
  Job job(2, {"explore", "deadlock/three-cycle", "--strategy", "walk", "--budget", "10m", "--json"});
  ASSERT_TRUE(job.wait_until([&] {
    const auto ranks = job.ranks();
    return ranks.size() == 2 && seconds_of(ranks[1]) > 1.5;
  }));
  job.send(SIGINT);
  const Ended ended = job.wait();
  EXPECT_TRUE(ended.in_time);
  EXPECT_NE(ended.code, 0);
  EXPECT_THAT(ended.err, Not(HasSubstr("is gone before the end")));
  const nlohmann::json result = nlohmann::json::parse(ended.out, nullptr, false);
  ASSERT_FALSE(result.is_discarded()) << ended.out << ended.err;
  EXPECT_GT(result["runs"], 1000);
}

TEST_F(RanksCommand, ALoadOfSeveralRanksIsOneLoad) {
  const std::string dsn = server();
  if (dsn.empty()) GTEST_SKIP() << "no PostgreSQL server is installed and LOCKSTEP_TEST_DSN is not set";
  const Ended ended =
      Job(2, {"compare", "money/transfer", "--store", "postgres", "--dsn", dsn, "--strategy", "ordered", "--sessions",
              "5", "--rounds", "2", "--for", "200ms", "--warmup", "50ms", "--json", "--no-record"})
          .wait();
  EXPECT_EQ(ended.code, 0) << ended.err;
  const nlohmann::json result = nlohmann::json::parse(ended.out, nullptr, false);
  ASSERT_FALSE(result.is_discarded()) << ended.out << ended.err;
  const nlohmann::json& row = result["groups"][0]["rows_of"][0];
  EXPECT_EQ(row["sessions"], 5);
  EXPECT_EQ(row["rounds"].size(), 2u);
  EXPECT_GT(row["committed"], 0);
  // Every commit of every rank is in the histogram, and the money is conserved over all of them.
  std::uint64_t measured = 0;
  for (const auto& bucket : row["histogram"]) measured += bucket[1].get<std::uint64_t>();
  EXPECT_EQ(row["committed"], measured);
  EXPECT_EQ(row["invariant_broken"], 0);
  EXPECT_GT(row["history"]["on_record"], 0) << "rank 0 has put a history on record";
}

}  // namespace
}  // namespace lockstep::cli

// contest.cc: one process a contestant, led by commands of one letter over a pipe (start, round, invariant, quit); the
// answers are lines of JSON.
#include "tests/bench/kv_bench/contest.h"

#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <memory>
#include <utility>

#include "tests/bench/kv_bench/json.h"

namespace lockstep::bench {

bool Record::failed() const {
  bool broken = !refused.empty() || !broken_invariant.empty();
  for (const Round& round : rounds) broken |= !round.broken.empty();
  return broken;
}

namespace {

/// A contestant in this process.
class Local {
 public:
  Local(const Contestant& contestant, const Settings& settings) : contestant_(contestant), settings_(settings) {}

  /// Opens and fills. Empty, or why it takes no part.
  std::string start(Filled& filled) {
    const Memory before = Memory::now();
    Result<std::unique_ptr<Engine>> opened = open_engine(contestant_, settings_);
    if (!opened.ok()) return opened.error().message;
    engine_ = std::move(opened).value();
    filled = fill(*engine_, settings_, before);
    return {};
  }
  Round round() { return run_round(*engine_, settings_); }
  std::string broken_invariant() { return engine_->broken_invariant(); }

 private:
  const Contestant& contestant_;
  const Settings& settings_;
  std::unique_ptr<Engine> engine_;
};

/// The same in a child process. Made before this process has threads.
class Remote {
 public:
  Remote(const Contestant& contestant, const Settings& settings) {
    int commands[2];
    int answers[2];
    LOCKSTEP_CHECK(pipe(commands) == 0 && pipe(answers) == 0, "no pipe");
    std::fflush(nullptr);
    pid_ = fork();
    LOCKSTEP_CHECK(pid_ >= 0, "no process");
    if (pid_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      close(commands[1]), close(answers[0]);
      serve(contestant, settings, commands[0], fdopen(answers[1], "w"));
    }
    close(commands[0]), close(answers[1]);
    commands_ = commands[1];
    answers_ = fdopen(answers[0], "r");
  }
  Remote(const Remote&) = delete;
  Remote& operator=(const Remote&) = delete;
  ~Remote() {
    [[maybe_unused]] const auto told = write(commands_, "q", 1);  // younger siblings hold its pipe open too
    close(commands_);
    std::fclose(answers_);
    waitpid(pid_, nullptr, 0);
  }

  std::string start(Filled& filled) {
    const Json answer = ask('s');
    if (answer.is_null()) return died();
    filled = answer.at("filled").get<Filled>();
    return answer.at("refused").get<std::string>();
  }
  Round round() {
    const Json answer = ask('r');
    if (!answer.is_null()) return answer.get<Round>();
    Round round;
    round.broken = died();
    return round;
  }
  std::string broken_invariant() {
    const Json answer = ask('i');
    return answer.is_null() ? died() : answer.get<std::string>();
  }

 private:
  static std::string died() { return "its process has died"; }

  [[noreturn]] static void serve(const Contestant& contestant, const Settings& settings, int commands, FILE* answers) {
    {
      Local local(contestant, settings);
      char command = 0;
      while (read(commands, &command, 1) == 1 && command != 'q') {
        Json answer;
        if (command == 's') {
          Filled filled;
          answer["refused"] = local.start(filled);
          answer["filled"] = filled;
        } else if (command == 'r') {
          answer = local.round();
        } else {
          answer = local.broken_invariant();
        }
        fmt::print(answers, "{}\n", answer.dump());
        std::fflush(answers);
      }
    }
    _exit(0);
  }

  Json ask(char command) {
    std::string line;
    if (write(commands_, &command, 1) == 1)
      for (int c = std::fgetc(answers_); c != EOF && c != '\n'; c = std::fgetc(answers_)) line += static_cast<char>(c);
    return line.empty() ? Json() : Json::parse(line);
  }

  pid_t pid_ = -1;
  int commands_ = -1;
  FILE* answers_ = nullptr;
};

template <class Runner>
std::vector<Record> run_all(const std::vector<Contestant>& contestants, const Settings& settings,
                            const Progress& progress) {
  std::vector<Record> records(contestants.size());
  std::vector<std::unique_ptr<Runner>> runners;
  for (const Contestant& contestant : contestants) runners.push_back(std::make_unique<Runner>(contestant, settings));
  for (std::size_t i = 0; i < runners.size(); ++i) {
    Record& record = records[i];
    record.contestant = contestants[i];
    record.refused = runners[i]->start(record.filled);
    progress(record.refused.empty()
                 ? fmt::format("{}: filled in {:.1f} s", record.contestant.name(), record.filled.seconds)
                 : fmt::format("{}: {}", record.contestant.name(), record.refused));
  }
  for (unsigned round = 1; round <= settings.rounds; ++round)
    for (std::size_t i = 0; i < runners.size(); ++i) {
      Record& record = records[i];
      if (record.failed()) continue;
      record.rounds.push_back(runners[i]->round());
      const Round& latest = record.rounds.back();
      progress(fmt::format("round {}: {} {}", round, record.contestant.name(),
                           latest.broken.empty() ? fmt::format("{:.0f} /s", latest.per_second()) : latest.broken));
    }
  for (std::size_t i = 0; i < runners.size(); ++i)
    if (!records[i].failed()) records[i].broken_invariant = runners[i]->broken_invariant();
  return records;
}

}  // namespace

std::vector<Record> run_contest(const std::vector<Contestant>& contestants, const Settings& settings,
                                const Progress& progress) {
  std::signal(SIGPIPE, SIG_IGN);  // a contestant that dies is an answer, not the end
  if (contestants.size() == 1) return run_all<Local>(contestants, settings, progress);
  return run_all<Remote>(contestants, settings, progress);
}

}  // namespace lockstep::bench

// program_bench.cc: what a run of a program under control takes, beside the floors: a process that is forked and ends,
// and the program by itself, forked and executed.
//
//   build/release/tests/program_bench [--rounds 5] [--seconds 1]
//
// Each contestant has its time in turn within each round; the median of the rounds is shown. `cpu us` is processor time
// a run, of this process and its children, and the one to read on a machine that others use. `floors` is how many
// times that of the program by itself a run under control takes, by processor time.
#include <fmt/format.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "engine/explore/explore.h"
#include "engine/foreign/program.h"

extern char** environ;

namespace lockstep {
namespace {

double seconds_of(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

/// Of this process, and of its children that have been waited for.
double processor_seconds() {
  double sum = 0;
  for (const int who : {RUSAGE_SELF, RUSAGE_CHILDREN}) {
    rusage usage{};
    ::getrusage(who, &usage);
    sum += seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
  }
  return sum;
}

void end_with(const std::string& why) {
  fmt::print(stderr, "{}\n", why);
  std::exit(1);
}

void wait_for(pid_t process) {
  if (::waitpid(process, nullptr, 0) != process) end_with("a child is lost");
}

void fork_and_end() {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  wait_for(child);
}

void execute(const std::vector<std::string>& words) {
  std::vector<char*> arguments;
  for (const std::string& each : words) arguments.push_back(const_cast<char*>(each.c_str()));
  arguments.push_back(nullptr);
  pid_t child = -1;
  if (::posix_spawn(&child, arguments[0], nullptr, nullptr, arguments.data(), environ) != 0) end_with("no process");
  wait_for(child);
}

struct Measured {
  double runs = 0, seconds = 0, processor = 0;
};

Measured repeated(const std::function<void()>& once, double seconds) {
  Measured measured;
  const RealClock clock;
  const Nanos begun = clock.now();
  const double processor = processor_seconds();
  while (measured.seconds < seconds) {
    once();
    ++measured.runs;
    measured.seconds = std::chrono::duration<double>(clock.now() - begun).count();
  }
  measured.processor = processor_seconds() - processor;
  return measured;
}

/// A search with its own start of the program, as `lockstep explore` makes it.
Measured searched(const std::vector<std::string>& words, Strategy strategy, int jobs, double seconds) {
  const Result<foreign::ProgramCall> call = foreign::call_of(words);
  if (!call) end_with(call.error().message);
  const RealClock clock;
  const Nanos begun = clock.now();
  const double processor = processor_seconds();
  Measured measured;
  do {
    const foreign::ProgramExplorable explorable(*call, {}, nullptr);
    ExploreRequest request{.strategy = strategy, .most_runs = UINT64_MAX, .fewest_preemptions = false};
    request.most_time = Nanos(static_cast<std::int64_t>(seconds * 1e9));
    const Result<Exploration> found = explore(explorable, {}, request, jobs, nullptr, clock.now());
    if (!found) end_with(found.error().message);
    measured.runs += static_cast<double>(found->runs + found->pruned);
    measured.seconds = std::chrono::duration<double>(clock.now() - begun).count();
  } while (measured.seconds < seconds);
  measured.processor = processor_seconds() - processor;
  return measured;
}

struct Contestant {
  std::string name;
  std::function<Measured(double)> measure;
  std::vector<double> rates = {}, costs = {};
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values.empty() ? 0 : values[values.size() / 2];
}

int compare(int rounds, double seconds) {
  const auto by_itself = [](std::vector<std::string> words) {
    return [words = std::move(words)](double most) { return repeated([&words] { execute(words); }, most); };
  };
  const auto controlled = [](std::vector<std::string> words, Strategy strategy, int jobs) {
    return [words = std::move(words), strategy, jobs](double most) { return searched(words, strategy, jobs, most); };
  };
  const std::string cases = LOCKSTEP_CASES;
  std::vector<Contestant> contestants{
      {"fork, end, wait", [](double most) { return repeated(fork_and_end, most); }},
      {"/bin/true", by_itself({"/bin/true"})},
      // Without threads' turns nothing keeps it from its deadlock: the ordered one is the same work.
      {"ordered, by itself", by_itself({cases, "ordered"})},
      {"ordered, walk", controlled({cases, "ordered"}, Strategy::walk, 1)},
      {"two-lock, walk", controlled({cases, "two-lock"}, Strategy::walk, 1)},
      {"two-lock, walk, 2 jobs", controlled({cases, "two-lock"}, Strategy::walk, 2)},
      {"philosophers 7, walk", controlled({cases, "philosophers", "7"}, Strategy::walk, 1)},
      {"philosophers 7, exhaustive", controlled({cases, "philosophers", "7"}, Strategy::exhaustive, 1)},
  };
  for (int round = 0; round < rounds; ++round) {
    for (Contestant& each : contestants) {
      const Measured measured = each.measure(seconds);
      each.rates.push_back(measured.runs / measured.seconds);
      each.costs.push_back(measured.processor * 1e6 / std::max(measured.runs, 1.0));
    }
  }
  const double floor = median(contestants[2].costs);
  fmt::print("{:28} {:>9} {:>9} {:>7}\n", "", "runs/s", "cpu us", "floors");
  for (const Contestant& each : contestants) {
    const double cost = median(each.costs);
    fmt::print("{:28} {:9.0f} {:9.0f} {:7.2f}\n", each.name, median(each.rates), cost, cost / floor);
  }
  return 0;
}

}  // namespace
}  // namespace lockstep

int main(int count, char** words) {
  int rounds = 5;
  double seconds = 1;
  for (int i = 1; i + 1 < count; i += 2) {
    if (std::strcmp(words[i], "--rounds") == 0) rounds = std::max(1, std::atoi(words[i + 1]));
    if (std::strcmp(words[i], "--seconds") == 0) seconds = std::max(0.1, std::atof(words[i + 1]));
  }
  return lockstep::compare(rounds, seconds);
}

// children.h: contestants in processes of their own, whose processor time the kernel reports when they end.
#pragma once

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace lockstep {

/// Runs `command`, gives its output, and its processor time in seconds. Ends the program when it fails.
inline std::string run_child(const std::vector<std::string>& command, double& cpu) {
  std::array<int, 2> ends{};
  if (::pipe(ends.data()) != 0) return {};
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(ends[1], STDOUT_FILENO);
    ::close(ends[0]);
    std::vector<char*> arguments;
    for (const std::string& each : command) arguments.push_back(const_cast<char*>(each.c_str()));
    arguments.push_back(nullptr);
    ::execvp(arguments[0], arguments.data());
    std::perror(arguments[0]);
    ::_exit(127);
  }
  ::close(ends[1]);
  std::string output;
  std::array<char, 4096> buffer;
  for (ssize_t count = 0; (count = ::read(ends[0], buffer.data(), buffer.size())) > 0;) {
    output.append(buffer.data(), static_cast<std::size_t>(count));
  }
  ::close(ends[0]);
  int status = 0;
  rusage usage{};
  ::wait4(child, &status, 0, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  cpu = seconds(usage.ru_utime) + seconds(usage.ru_stime);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return output;
  std::fprintf(stderr, "%s has failed\n", command[0].c_str());
  std::exit(1);
}

/// What pgbench says: transactions, and how many a second.
struct SaidByPgbench {
  double transactions = 0, per_second = 0;
};
inline SaidByPgbench said_by_pgbench(const std::string& output) {
  SaidByPgbench said;
  if (const auto at = output.find("actually processed: "); at != std::string::npos) {
    said.transactions = std::strtod(output.c_str() + at + 20, nullptr);
  }
  if (const auto at = output.find("tps = "); at != std::string::npos) {
    said.per_second = std::strtod(output.c_str() + at + 6, nullptr);
  }
  return said;
}

inline double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values.empty() ? 0 : values[values.size() / 2];
}

/// At the commas.
inline std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts{""};
  for (const char c : text) {
    if (c == ',') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

/// Gives each `--name value` of the command line to `take(name, value)`. False when that knows none of this name, or a
/// value is missing.
template <class Take>
bool take_options(int argc, char** argv, Take take) {
  for (int i = 1; i + 1 < argc; i += 2) {
    if (!take(std::string(argv[i]), argv[i + 1])) return false;
  }
  return argc % 2 == 1;
}

}  // namespace lockstep

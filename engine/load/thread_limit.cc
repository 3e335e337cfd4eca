// thread_limit.cc: asks /proc and the control group (proc(5), cgroups(7), setrlimit(2)).
#include "engine/load/thread_limit.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <fstream>
#include <optional>
#include <string>

namespace lockstep::load {
namespace {

constexpr long kForOthers = 200;  ///< of the machine's threads: other programs, a server of this run

std::optional<long> number_in(const std::string& path) {
  std::ifstream file(path);
  long number = 0;
  return file >> number ? std::optional(number) : std::nullopt;  // "max" is none
}

/// What is left of the tasks that the control group of this process may have.
std::optional<long> left_in_cgroup() {
  std::ifstream groups("/proc/self/cgroup");
  std::optional<long> least;
  for (std::string line; std::getline(groups, line);) {
    const std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1), path = line.substr(second + 1);
    if (!controllers.empty() && controllers.find("pids") == std::string::npos) continue;
    const std::string root = controllers.empty() ? "/sys/fs/cgroup" : "/sys/fs/cgroup/pids";
    for (const std::string& folder : {root + path, root}) {
      const auto most = number_in(folder + "/pids.max"), now = number_in(folder + "/pids.current");
      if (most) least = std::min(least.value_or(LONG_MAX), *most - now.value_or(0));
    }
  }
  return least;
}

}  // namespace

int most_threads() {
  long most = INT_MAX;
  const auto at_most = [&most](std::optional<long> limit) { most = std::min(most, limit.value_or(most)); };
  for (const char* path : {"/proc/sys/kernel/threads-max", "/proc/sys/kernel/pid_max"}) {
    if (const auto limit = number_in(path)) at_most(*limit - kForOthers);
  }
  // A thread's stack and the page that guards it are two mappings.
  if (const auto mappings = number_in("/proc/sys/vm/max_map_count")) at_most((*mappings - 1000) / 2);
  at_most(left_in_cgroup());
  rlimit of_user = {};
  if (::geteuid() != 0 && ::getrlimit(RLIMIT_NPROC, &of_user) == 0 && of_user.rlim_cur != RLIM_INFINITY)
    at_most(static_cast<long>(of_user.rlim_cur) - kForOthers);
  return static_cast<int>(std::max(most, 1L));
}

}  // namespace lockstep::load

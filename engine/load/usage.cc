// usage.cc: getrusage for this process, /proc for the server.
#include "engine/load/usage.h"

#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

namespace lockstep::load {
namespace {

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

rusage own_usage() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage;
}

/// Fields 14 and 15 of /proc/PID/stat (proc(5)); the name in field 2 may hold spaces.
std::optional<double> cpu_of(const std::string& pid) {
  std::ifstream file("/proc/" + pid + "/stat");
  std::string line;
  if (!std::getline(file, line)) return std::nullopt;
  const std::size_t end = line.rfind(')');
  if (end == std::string::npos) return std::nullopt;
  std::istringstream rest(line.substr(end + 1));
  std::string skipped;
  for (int field = 3; field < 14; ++field) rest >> skipped;
  double user = 0, system = 0;
  rest >> user >> system;
  return (user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

std::uint64_t memory_of(const std::string& pid) {
  std::ifstream file("/proc/" + pid + "/smaps_rollup");
  std::string word;
  while (file >> word) {
    std::uint64_t kilobytes = 0;
    if (word == "Pss:" && file >> kilobytes) return kilobytes * 1024;
  }
  return 0;
}

}  // namespace

double own_cpu_s() {
  const rusage usage = own_usage();
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

std::uint64_t own_peak_rss_bytes() { return static_cast<std::uint64_t>(own_usage().ru_maxrss) * 1024; }

std::optional<ServerUsage> server_usage(Backend& backend) {
  ServerUsage usage;
  bool found = false;
  for (const int process : backend.server_processes()) {
    const std::string pid = std::to_string(process);
    const auto cpu = cpu_of(pid);
    if (!cpu) continue;
    found = true;
    usage.cpu_s += *cpu;
    usage.rss_bytes += memory_of(pid);
  }
  return found ? std::optional(usage) : std::nullopt;
}

}  // namespace lockstep::load

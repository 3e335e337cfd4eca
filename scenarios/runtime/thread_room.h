// thread_room.h: how many threads a program may make here without taking the last ones of the machine from everybody
// else.
#pragma once

#include <fmt/format.h>
#include <sys/resource.h>

#include <cstdint>
#include <fstream>
#include <string>

namespace lockstep::scenarios {

/// The memory of a waiting thread with a small stack: some 45 kB of stack, kernel stack, page tables and the kernel's
/// records of it, and what its session has.
inline constexpr std::uint64_t kBytesAThread = 64 << 10;

struct ThreadRoom {
  std::uint64_t threads = UINT64_MAX;
  std::string why;  ///< "kernel.pid_max is 32768"
};

namespace thread_room_detail {

/// The number in a file of /proc; 0 when there is none.
inline std::uint64_t number_in(const char* path) {
  std::ifstream file(path);
  std::uint64_t number = 0;
  return file >> number ? number : 0;
}

/// Tasks of the whole machine: "0.20 0.18 0.12 1/80 11206" in /proc/loadavg.
inline std::uint64_t tasks() {
  std::ifstream file("/proc/loadavg");
  double load = 0;
  std::uint64_t running = 0, all = 0;
  char slash = 0;
  file >> load >> load >> load >> running >> slash >> all;
  return all;
}

inline std::uint64_t available_bytes() {
  std::ifstream file("/proc/meminfo");
  std::string name, unit;
  for (std::uint64_t kilobytes = 0; file >> name >> kilobytes; std::getline(file, unit)) {
    if (name == "MemAvailable:") return kilobytes * 1024;
  }
  return 0;
}

}  // namespace thread_room_detail

/// Three quarters of what the tightest of the machine's limits leaves, and half of the memory. What else may stand in
/// the way, such as a limit of a container, shows when a thread is made.
inline ThreadRoom thread_room() {
  namespace detail = thread_room_detail;
  ThreadRoom room;
  const auto limit = [&room](std::uint64_t most, std::uint64_t used, const std::string& why) {
    const std::uint64_t left = most > used ? most - used : 0;
    if (left / 4 * 3 >= room.threads) return;
    room = {.threads = left / 4 * 3, .why = why};
  };
  const std::uint64_t tasks = detail::tasks();
  for (const auto& [name, file] : {std::pair("kernel.pid_max", "/proc/sys/kernel/pid_max"),
                                   {"kernel.threads-max", "/proc/sys/kernel/threads-max"}}) {
    if (const std::uint64_t most = detail::number_in(file); most > 0)
      limit(most, tasks, fmt::format("{} is {}", name, most));
  }
  // A stack and the page that guards it are two mappings.
  if (const std::uint64_t most = detail::number_in("/proc/sys/vm/max_map_count"); most > 0) {
    limit(most / 2, 0, fmt::format("vm.max_map_count is {}", most));
  }
  rlimit processes{};
  if (::getrlimit(RLIMIT_NPROC, &processes) == 0 && processes.rlim_cur != RLIM_INFINITY) {
    limit(processes.rlim_cur, 0, fmt::format("ulimit -u is {}", processes.rlim_cur));
  }
  if (const std::uint64_t free = detail::available_bytes(); free > 0) {
    limit(free / kBytesAThread * 2 / 3, 0, fmt::format("{} MB of memory are available", free >> 20));
  }
  return room;
}

}  // namespace lockstep::scenarios

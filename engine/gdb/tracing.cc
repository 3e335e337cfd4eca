// tracing.cc: tries ptrace, and knows the settings of Linux that forbid it.
#include "engine/gdb/tracing.h"

#include <fmt/format.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

namespace lockstep::debugging {
namespace {

/// kernel.yama.ptrace_scope (Documentation/admin-guide/LSM/Yama.rst); 0 where there is no Yama.
int yama_scope() {
  std::ifstream file("/proc/sys/kernel/yama/ptrace_scope");
  int scope = 0;
  return file >> scope ? scope : 0;
}

constexpr int kOnlyRoot = 2, kNobody = 3;

std::string why_yama(int scope) {
  if (scope >= kNobody)
    return "kernel.yama.ptrace_scope is 3: nobody may trace until the machine starts anew without it";
  return "kernel.yama.ptrace_scope is 2: only root may trace (sudo, or: sudo sysctl kernel.yama.ptrace_scope=1)";
}

}  // namespace

std::string why_no_tracing() {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == 0 ? 0 : errno);
  if (child < 0) return {};  // gdb will say so
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  if (!WIFEXITED(status) || WEXITSTATUS(status) == 0) return {};
  const int scope = yama_scope();
  return fmt::format(
      "ptrace: {}: {}", std::strerror(WEXITSTATUS(status)),
      scope >= kOnlyRoot ? why_yama(scope) : "in a container give it the capability (docker run --cap-add=SYS_PTRACE)");
}

std::string why_no_attaching() {
  const int scope = yama_scope();
  return scope >= kNobody || (scope == kOnlyRoot && ::geteuid() != 0) ? why_yama(scope) : std::string();
}

}  // namespace lockstep::debugging

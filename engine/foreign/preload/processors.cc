// processors.cc: keeps the program to one processor, and tells it of those that it would have.
#include "engine/foreign/preload/processors.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "engine/foreign/preload/control.h"

namespace lockstep::foreign {
namespace {

cpu_set_t all_processors;
bool is_kept = false;

using GetAffinity = int(pid_t, std::size_t, cpu_set_t*);

/// As the functions of this name answer for a process that is not kept to one.
int tell(std::size_t size, cpu_set_t* to) noexcept {
  if (size == 0 || to == nullptr) return EINVAL;
  ::memset(to, 0, size);
  ::memcpy(to, &all_processors, size < sizeof all_processors ? size : sizeof all_processors);
  return 0;
}

}  // namespace

void keep_to_processor(int processor) noexcept {
  static auto* const get = next_function<GetAffinity>("sched_getaffinity");
  if (processor < 0 || get(0, sizeof all_processors, &all_processors) != 0) return;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(static_cast<std::size_t>(processor), &one);
  is_kept = ::sched_setaffinity(0, sizeof one, &one) == 0;
}

}  // namespace lockstep::foreign

using namespace lockstep::foreign;

LOCKSTEP_EXPORTED int sched_getaffinity(pid_t process, std::size_t size, cpu_set_t* to) noexcept {
  static auto* const next = next_function<GetAffinity>("sched_getaffinity");
  if (!is_kept) return next(process, size, to);
  errno = tell(size, to);
  return errno == 0 ? 0 : -1;
}

LOCKSTEP_EXPORTED int pthread_getaffinity_np(pthread_t thread, std::size_t size, cpu_set_t* to) noexcept {
  static auto* const next = next_function<int(pthread_t, std::size_t, cpu_set_t*)>("pthread_getaffinity_np");
  return is_kept ? tell(size, to) : next(thread, size, to);
}

LOCKSTEP_EXPORTED int get_nprocs() noexcept {
  static auto* const next = next_function<int()>("get_nprocs");
  return is_kept ? CPU_COUNT(&all_processors) : next();
}

LOCKSTEP_EXPORTED long sysconf(int name) noexcept {
  static auto* const next = next_function<long(int)>("sysconf");
  return is_kept && name == _SC_NPROCESSORS_ONLN ? CPU_COUNT(&all_processors) : next(name);
}

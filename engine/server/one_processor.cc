// one_processor.cc: see one_processor.h.
#include "engine/server/one_processor.h"

namespace lockstep::server {

OneProcessor::OneProcessor() {
  const int here = ::sched_getcpu();
  if (here < 0 || here >= CPU_SETSIZE || ::sched_getaffinity(0, sizeof before_, &before_) != 0) return;
  CPU_ZERO(&here_);
  CPU_SET(here, &here_);
  pinned_ = ::sched_setaffinity(0, sizeof here_, &here_) == 0;
}

OneProcessor::~OneProcessor() {
  if (pinned_) ::sched_setaffinity(0, sizeof before_, &before_);
}

void OneProcessor::take_in(int pid) const noexcept {
  if (pinned_) ::sched_setaffinity(pid, sizeof here_, &here_);
}

}  // namespace lockstep::server

// thread_limit.h: how many threads this machine lets this process make.
#pragma once

namespace lockstep::load {

/// The least of what the kernel, the control group and the user's limits allow, with some left for others. An estimate
/// from above: memory may end sooner.
int most_threads();

}  // namespace lockstep::load

// waiter.h: the one end of every wait. Whoever grants, kills or times an operation out wakes its waiter, once.
#pragma once

namespace lockstep {

/// Whoever waits. Lives in the frame of the waiting operation; a queue holds a pointer to it only while it waits.
class Waiter {
 public:
  /// Says that another attempt makes sense. Called exactly once for each time that the waiter was queued, possibly from
  /// another thread and with a leaf lock of the caller held: must neither block nor call back into the caller.
  virtual void wake() noexcept = 0;

 protected:
  ~Waiter() = default;
};

}  // namespace lockstep

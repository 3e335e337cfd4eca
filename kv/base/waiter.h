// waiter.h: the one end of every wait. The thread that grants, kills or times an operation out wakes its waiter, once.
#pragma once

namespace lockstep {

/// The waiting side of an operation. Lives in the operation's frame; a queue holds a pointer to it only while it waits.
class Waiter {
 public:
  /// Says that another attempt makes sense. Called exactly once for each time that the waiter was queued. The caller
  /// may be another thread and hold a leaf lock: must neither block nor call back into the caller.
  virtual void wake() noexcept = 0;

 protected:
  ~Waiter() = default;
};

}  // namespace lockstep

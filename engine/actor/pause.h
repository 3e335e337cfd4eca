// pause.h: an actor that does nothing for a while, such as one that holds a lock while it waits for its user.
//
//   co_await pause(std::chrono::milliseconds(100));
//
// This is the one wait that is for nobody and that cannot fail. It ends by its deadline alone, so virtual time jumps to
// it when no other actor can go.
#pragma once

#include "engine/actor/operation.h"

namespace lockstep {

class [[nodiscard]] Pause final : public AwaitableOperation {
 public:
  explicit Pause(Nanos span) : span_(span) {}

  bool attempt() override;
  void cancel(Fault why) override;
  const Waiting& waiting() const override { return waiting_; }
  std::vector<Blocker> blockers() override { return {}; }
  bool is_wait() const override { return false; }
  Description describe() const override;
  void await_resume() const noexcept {}

 private:
  const Nanos span_;  ///< on the run clock
  Waiting waiting_;
  bool over_ = false;
};

inline Pause pause(Nanos span) { return Pause(span); }

}  // namespace lockstep

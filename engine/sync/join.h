// join.h: waits for another actor's body to end, as std::thread::join() does.
//
//   co_await sync::join("worker");
//
// It is known whom the wait is for. So a join under a lock that the other one needs shows as the circle that it is.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "engine/actor/operation.h"

namespace lockstep::sync {

/// Ends when the actor's body has ended for good, whether well or with a fault. Fault::invalid: there is no such actor.
class [[nodiscard]] JoinOperation final : public AwaitableOperation {
 public:
  explicit JoinOperation(std::string actor) : name_(std::move(actor)) {}
  ~JoinOperation();

  bool attempt() override;
  void cancel(Fault why) override;
  const Waiting& waiting() const override { return waiting_; }
  std::vector<Blocker> blockers() override;
  Description describe() const override { return {.verb = "join", .object = name_, .detail = {}}; }
  void await_resume() const noexcept {}

 private:
  const std::string name_;
  const Actor* whom_ = nullptr;
  bool waits_ = false;
  Waiting waiting_;
};

/// `actor`: its name in the scenario. An actor that joins itself waits for itself: a circle of length one.
inline JoinOperation join(std::string actor) { return JoinOperation(std::move(actor)); }

}  // namespace lockstep::sync

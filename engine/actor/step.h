// step.h: a step of the schedule that does nothing by itself: the plain code after it, up to the next operation, is
// then a step of its own.
//
//   co_await step("looks whether it is initialised");
//   if (!world.initialised) { ... }
//
// A search sees what operations touch, and nothing of plain code. So two such steps of different actors are taken to
// depend on each other, whatever their code does. Where the code reads or writes one variable, sync::Shared says more.
#pragma once

#include <string>
#include <utility>

#include "engine/actor/operation.h"

namespace lockstep {

class [[nodiscard]] PlainStep final : public AwaitableOperation {
 public:
  explicit PlainStep(std::string name) : name_(std::move(name)) {}

  bool attempt() override;
  void cancel(Fault) override {}
  const Waiting& waiting() const override { return waiting_; }
  std::vector<Blocker> blockers() override { return {}; }
  Description describe() const override { return {"step", name_, {}}; }
  void await_resume() const noexcept {}

 private:
  const std::string name_;
  Waiting waiting_;
};

/// `name`: for people, what the code after it does.
inline PlainStep step(std::string name = {}) { return PlainStep(std::move(name)); }

}  // namespace lockstep

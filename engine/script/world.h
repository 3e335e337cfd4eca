// world.h: what the bodies of one run of a file share.
#pragma once

#include <memory>

#include "engine/script/answers.h"

namespace lockstep::script {

/// Made for each run by the engine (Scenario::with). When the run is taken down, what came goes to the file's sink.
class World {
 public:
  World() = default;
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  /// A body of the actor begins, for the first time or again. The actor alone uses the list until the run is over.
  std::vector<StepAnswer>& begin(int actor, std::shared_ptr<AnswerSink> sink);

  /// An invariant could not be asked. Final shows a world that does not change; this is beside what it is about.
  void note_failed_query(std::size_t invariant, std::string said) const;

 private:
  mutable Mutex mutex_;
  mutable AnswersOfRun answers_ LOCKSTEP_GUARDED_BY(mutex_);
  std::shared_ptr<AnswerSink> sink_ LOCKSTEP_GUARDED_BY(mutex_);
};

}  // namespace lockstep::script

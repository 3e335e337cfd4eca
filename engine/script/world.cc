// world.cc: see world.h.
#include "engine/script/world.h"

namespace lockstep::script {

World::~World() {
  const MutexLock lock(mutex_);
  if (sink_ != nullptr) sink_->put(std::move(answers_));
}

std::vector<StepAnswer>& World::begin(int actor, std::shared_ptr<AnswerSink> sink) {
  const MutexLock lock(mutex_);
  sink_ = std::move(sink);
  return answers_.actors[actor];  // stays where it is when others come
}

void World::note_failed_query(std::size_t invariant, std::string said) const {
  const MutexLock lock(mutex_);
  answers_.failed_queries.emplace_back(invariant, std::move(said));
}

}  // namespace lockstep::script

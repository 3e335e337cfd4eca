// lock_order.h: in which order the actors of a run take its in-process locks, and which of these orders could hang
// although none did.
//
// An actor that holds X and asks for Y gives an edge X → Y. A cycle of edges of different actors is a potential
// deadlock. Not so if a lock that two of them hold besides keeps them apart, or if they share what they hold. (K.
// Havelund, "Using runtime analysis to guide model checking of Java programs", SPIN 2000.) What else keeps actors apart
// is not seen, such as that one begins when the other has ended. Whether the deadlock can really happen is for a search
// to say.
#pragma once

#include <source_location>
#include <string>
#include <vector>

#include "engine/record/lock_order.h"
#include "engine/sync/real_lock.h"
#include "kv/base/mutex.h"

namespace lockstep::sync {

/// "scenarios/threads/two_lock.cc:33": from the root of the tree, wherever it was built.
std::string text_of(const std::source_location& where);

/// Thread-safe; its mutex is a leaf, also below the mutex of a lock's model.
class LockOrder {
 public:
  /// An actor is about to ask for a lock, and will wait if need be.
  void asks(int actor, const std::string& lock, LockMode mode, const std::source_location& where);
  void takes(int actor, const std::string& lock, LockMode mode, const std::source_location& where);
  void gives_back(int actor, const std::string& lock);

  /// The potential deadlocks of at most `most` actors, each once; `names` are those of the actors.
  std::vector<record::OrderViolation> violations(const std::vector<std::string>& names, std::size_t most = 8) const;

 private:
  struct Held {
    std::string lock;
    LockMode mode;
    std::source_location where;
  };
  struct Edge {
    int actor;
    Held held;
    Held wanted;
    std::vector<std::string> besides;  ///< what the actor held besides
  };
  std::vector<Held>& held_by(int actor) LOCKSTEP_REQUIRES(mutex_);
  static bool go_together(const Edge& edge, const Edge& next);
  void extend(std::vector<const Edge*>& way, std::size_t most, const std::vector<std::string>& names,
              std::vector<record::OrderViolation>& found) const LOCKSTEP_REQUIRES(mutex_);

  mutable Mutex mutex_;
  std::vector<std::vector<Held>> held_ LOCKSTEP_GUARDED_BY(mutex_);  ///< by actor
  std::vector<Edge> edges_ LOCKSTEP_GUARDED_BY(mutex_);
};

}  // namespace lockstep::sync

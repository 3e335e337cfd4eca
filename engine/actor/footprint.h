// footprint.h: what one step of a run touches, so that a search knows which steps commute.
//
// Two steps of different actors depend on each other when they touch the same thing and not both only look at it. Too
// much said costs reduction, too little costs soundness: whoever is in doubt says "changes".
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "kv/base/mutex.h"

namespace lockstep {

enum class Touch : std::uint8_t {
  looks,
  changes,
  takes,       ///< what nobody else may have at the same time: whoever wants it meanwhile is not enabled
  gives_back,  ///< the same, at its end
};

/// One thing, touched. `object` is a number that the same thing has in every run of one Footprint.
struct Access {
  std::uint32_t object = 0;
  Touch touch = Touch::looks;
  friend bool operator==(const Access&, const Access&) = default;
};

/// The numbers of things, for several footprints that are to mean the same by them. Thread-safe.
class ObjectNumbers {
 public:
  struct Object {
    char kind = 'l';
    std::string name;  // or the begin of the range
    std::string to;    // the end of the range
  };
  /// `key`: kind, name and end in one.
  std::uint32_t number_of(const std::string& key, Object object);
  /// Adds those from to.size() on.
  void copy_to(std::vector<Object>& to) const;

 private:
  mutable Mutex mutex_;
  std::vector<Object> objects_ LOCKSTEP_GUARDED_BY(mutex_);
  std::unordered_map<std::string, std::uint32_t> numbers_ LOCKSTEP_GUARDED_BY(mutex_);
};

/// Collects the accesses of one step after the other. Not thread-safe: one actor runs at a time.
class Footprint {
 public:
  /// `shared`: with other footprints, whose accesses this one is to understand too.
  explicit Footprint(std::shared_ptr<ObjectNumbers> shared = std::make_shared<ObjectNumbers>())
      : shared_(std::move(shared)) {}

  // -- during a step --
  /// An in-process lock or its like, by its name.
  void lock(std::string_view name, Touch touch) { add(number_of('l', name, {}), touch); }
  /// Some come into the queue of this lock without asking for it (from a condition variable), so it matters when the
  /// others do. From then on it is not left alone by those who would wait.
  void queue_matters(std::string_view lock);
  bool does_queue_matter(std::string_view lock);
  /// A key of the store. Remembered for the actor's transaction: see end_transaction().
  void key(int actor, std::string_view key, Touch touch) { add_held(actor, number_of('k', key, {}), touch); }
  /// The keys from <= k < to; an empty `to` means no upper end.
  void range(int actor, std::string_view from, std::string_view to, Touch touch) {
    add_held(actor, number_of('r', from, to), touch);
  }
  /// Anything else that is one for the whole run, such as the order in which transactions begin.
  void global(std::string_view what, Touch touch) { add(number_of('g', what, {}), touch); }
  /// Commit or abort: whatever the actor's transaction has touched is given back or becomes visible.
  void end_transaction(int actor);
  /// The actor's transaction may give some of it back.
  void touch_held(int actor);
  /// The step also ran code of this actor: it was woken.
  void ran(int actor) noexcept { actors_ |= 1U << static_cast<unsigned>(actor); }

  // -- between steps --
  const std::vector<Access>& accesses() const noexcept { return accesses_; }
  /// A bit for every actor whose code the step ran.
  std::uint32_t actors() const noexcept { return actors_; }
  void clear_step() noexcept {
    accesses_.clear();
    actors_ = 0;
  }
  /// A new run begins. What the numbers mean stays, and whose queue matters.
  void clear_run() noexcept;
  /// Understands the numbers that others have given by now.
  void learn_numbers();
  /// What another one has been told by queue_matters().
  void learn_queues(const Footprint& other);
  /// True once after queue_matters() has said something new: what was seen before does not hold any more.
  bool take_news() noexcept { return std::exchange(has_news_, false); }

  /// True when the two may not change places.
  bool conflict(const Access& a, const Access& b) const {
    if (a.touch == Touch::looks && b.touch == Touch::looks) return false;
    return a.object == b.object || (overlaps_beyond_itself(a.object, b.object) && overlap(a.object, b.object));
  }

 private:
  using Object = ObjectNumbers::Object;

  std::uint32_t number_of(char kind, std::string_view name, std::string_view to);
  void add(std::uint32_t object, Touch touch);
  void add_held(int actor, std::uint32_t object, Touch touch);
  static void merge(std::vector<Access>& into, Access access);
  bool overlaps_beyond_itself(std::uint32_t a, std::uint32_t b) const {
    return has_ranges_ && (objects_[a].kind == 'r' || objects_[b].kind == 'r');
  }
  bool overlap(std::uint32_t a, std::uint32_t b) const;

  std::shared_ptr<ObjectNumbers> shared_;
  std::vector<Object> objects_;  // those of shared_, as far as they are known here
  std::unordered_map<std::string, std::uint32_t> numbers_;
  std::string wanted_;  // the key of a look-up; its capacity is used again
  bool has_ranges_ = false;
  std::vector<bool> queue_matters_;  // by number
  bool has_news_ = false;

  std::vector<Access> accesses_;
  std::uint32_t actors_ = 0;
  std::vector<std::vector<Access>> held_;  // by actor: what its transaction has touched
};

}  // namespace lockstep

// footprint.h: what one step of a run touches, so that a search knows which steps commute.
//
// Two steps of different actors are independent when no touch of one conflicts with a touch of the other. Independent
// neighbours can change places: both orders are possible, touch the same things and lead to the same state. Only this
// place says which touches conflict:
//
//              | looks | shares | changes
//      looks   |   -   |   x    |    x      a reader sees how many share, so a share is no mere look
//      shares  |   x   |   -    |    x      taking and giving back a share in any order leaves the same shares
//      changes |   x   |   x    |    x
//
//   looks    reads the thing, or is refused by it
//   shares   joins or leaves the actors that share the thing, while nothing is queued for it
//   changes  everything else, and every case of doubt: too much said costs reduction, too little costs soundness
//
// tests/engine/explore/random/ holds the touches of every operation against all orders of small programs.
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

enum class Touch : std::uint8_t { looks, shares, changes };

/// True when two touches of one thing do not commute: the table above.
constexpr bool conflict(Touch a, Touch b) noexcept { return a != b || a == Touch::changes; }

/// How a step meets a thing that actors stand before, without queueing, until nobody has it: a plain mutex.
struct Passage {
  bool needs_open = false;     ///< the step can be taken only while nobody has the thing
  bool closed_before = false;  ///< somebody had it, or was queued for it, before the step
  bool closed_after = false;   ///< the same after the step
  friend bool operator==(const Passage&, const Passage&) = default;
};

/// One thing, touched. `object` is a number that the same thing has in every run of one Footprint.
struct Access {
  std::uint32_t object = 0;
  Touch touch = Touch::looks;
  Passage gate = {};
  friend bool operator==(const Access&, const Access&) = default;
};

/// The numbers of things, for several footprints that are to mean the same by them. Thread-safe.
class ObjectNumbers {
 public:
  struct Object {
    char kind = 'l';   // a lock; 'k' key, 'r' range of keys; 'p' place, 'g' range of places; 'o' one for the whole run
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
  /// `shared`: the numbers that it shares with other footprints, so as to understand their accesses too.
  explicit Footprint(std::shared_ptr<ObjectNumbers> shared = std::make_shared<ObjectNumbers>())
      : shared_(std::move(shared)) {}

  // -- during a step --
  /// An in-process lock or its like, by its name.
  void lock(std::string_view name, Touch touch, Passage gate = {}) {
    merge(accesses_, {number_of('l', name, {}), touch, gate});
  }
  /// Some requests come into the queue of this lock without asking for it (from a condition variable), so it matters
  /// when the others do. From then on actors that would wait for the lock no longer leave it alone.
  void queue_matters(std::string_view lock);
  bool does_queue_matter(std::string_view lock);
  /// A key of the store. Remembered for the actor's transaction: see end_transaction().
  void key(int actor, std::string_view key, Touch touch) { add_held(actor, number_of('k', key, {}), touch); }
  /// The keys from <= k < to; an empty `to` means no upper end.
  void range(int actor, std::string_view from, std::string_view to, Touch touch) {
    add_held(actor, number_of('r', from, to), touch);
  }
  /// Whether the index of the store has the key, which decides how far the locks on gaps reach.
  void place(int actor, std::string_view key, Touch touch) { add_held(actor, number_of('p', key, {}), touch); }
  /// As place(), for all keys from <= k < to; an empty `to` means no upper end.
  void gap(int actor, std::string_view from, std::string_view to, Touch touch) {
    add_held(actor, number_of('g', from, to), touch);
  }
  /// Anything else that is one for the whole run, such as the order in which transactions begin.
  void global(std::string_view what, Touch touch) { merge(accesses_, {number_of('o', what, {}), touch}); }
  /// Commit or abort: whatever the actor's transaction has touched is given back or becomes visible.
  void end_transaction(int actor);
  /// The actor's transaction may give some of it back, as it has touched it.
  void touch_held(int actor);
  /// The actor's transaction has given everything back, and nobody knows who waited for it.
  void change_held(int actor);
  /// The step also ran code of this actor: it was woken.
  void ran(int actor) noexcept { actors_ |= 1U << static_cast<unsigned>(actor); }

  // -- between steps --
  const std::vector<Access>& accesses() const noexcept { return accesses_; }
  /// A bit for every actor that had code run by the step.
  std::uint32_t actors() const noexcept { return actors_; }
  void clear_step() noexcept {
    accesses_.clear();
    actors_ = 0;
  }
  /// A new run begins. Numbers keep their meaning, and the queues that matter go on to do so.
  void clear_run() noexcept;
  /// Understands the numbers that others have given by now.
  void learn_numbers();
  /// What another one has learnt by queue_matters().
  void learn_from(const Footprint& other);
  /// True once after queue_matters() has said something new: what was seen before does not hold any more.
  bool take_news() noexcept { return std::exchange(has_news_, false); }

  /// True when the two may not change places.
  bool conflict(const Access& a, const Access& b) const {
    if (!lockstep::conflict(a.touch, b.touch)) return false;
    return a.object == b.object || (overlaps_beyond_itself(a.object, b.object) && overlap(a.object, b.object));
  }
  /// The other things that have a part of this one: ranges and the keys in them.
  const std::vector<std::uint32_t>& overlapping(std::uint32_t object) const { return overlapping_[object]; }

 private:
  using Object = ObjectNumbers::Object;

  std::uint32_t number_of(char kind, std::string_view name, std::string_view to);
  void add_held(int actor, std::uint32_t object, Touch touch);
  static void merge(std::vector<Access>& into, Access access);
  static bool is_range(char kind) noexcept { return kind == 'r' || kind == 'g'; }
  bool overlaps_beyond_itself(std::uint32_t a, std::uint32_t b) const {
    return has_ranges_ && (is_range(objects_[a].kind) || is_range(objects_[b].kind));
  }
  bool overlap(std::uint32_t a, std::uint32_t b) const;

  std::shared_ptr<ObjectNumbers> shared_;
  std::vector<Object> objects_;  // those of shared_, as far as they are known here
  std::unordered_map<std::string, std::uint32_t> numbers_;
  std::string wanted_;                                   // the key of a look-up; its capacity is used again
  std::vector<std::vector<std::uint32_t>> overlapping_;  // by number
  bool has_ranges_ = false;
  std::vector<bool> queue_matters_;  // by number
  bool has_news_ = false;

  std::vector<Access> accesses_;
  std::uint32_t actors_ = 0;
  std::vector<std::vector<Access>> held_;  // by actor: what its transaction has touched
};

}  // namespace lockstep

// banker.h: the banker's algorithm, and a resource manager for scenario bodies that uses it.
//
// E. W. Dijkstra, "Cooperating sequential processes" (EWD123, 1965), for one type of resource; several types as in
// Silberschatz, Galvin and Gagne, "Operating System Concepts", section "Banker's algorithm" (after Habermann, 1969).
//
// A state is safe when the processes can be put in an order in which each can get all that it may still ask for. It
// gets this out of what is free then, and gives everything back. A request is granted when it fits what is free and the
// state after it is safe. In a safe state no deadlock can come about. The price: requests wait though there is enough.
#pragma once

#include <concepts>
#include <cstdint>
#include <map>
#include <source_location>
#include <string>
#include <string_view>
#include <vector>

#include "engine/actor/operation.h"
#include "engine/sync/gate.h"

namespace lockstep {

/// So many units of each type of resource: `Units{1, 0, 2}`. Made from numbers one by one. g++ 12 compiles no braced
/// list of a vector inside a co_await expression, as in `co_await bank.request({1, 0, 2})`.
class Units {
 public:
  Units() = default;
  template <std::convertible_to<int>... N>
    requires(sizeof...(N) > 0)
  Units(N... units) : units_{static_cast<int>(units)...} {}  // implicit: see above
  static Units none(std::size_t types) {
    Units units;
    units.units_.assign(types, 0);
    return units;
  }

  std::size_t size() const noexcept { return units_.size(); }
  bool empty() const noexcept { return units_.empty(); }
  int& operator[](std::size_t type) { return units_[type]; }
  int operator[](std::size_t type) const { return units_[type]; }
  auto begin() noexcept { return units_.begin(); }
  auto end() noexcept { return units_.end(); }
  auto begin() const noexcept { return units_.begin(); }
  auto end() const noexcept { return units_.end(); }
  void push_back(int units) { units_.push_back(units); }
  void clear() noexcept { units_.clear(); }
  bool operator==(const Units&) const = default;

 private:
  std::vector<int> units_;
};

/// "(1, 0, 2)".
std::string to_string(const Units& units);

/// The algorithm alone: what is free, what each process may ask for, what it has. A value; not thread-safe.
///
/// Invariants: for each type, free + all allocations = total; for each process, 0 <= allocation <= claim <= total. With
/// avoidance the state is always safe, since only safe requests are granted.
class Banker {
 public:
  /// `total`: units of each type, at least one type, none negative.
  explicit Banker(Units total);

  /// Whether all processes can finish.
  struct Safety {
    bool safe = true;
    std::vector<int>
        sequence;  ///< an order in which they can: of those that could be next, always the first after the last
    std::vector<int> stuck;  ///< when unsafe: the processes that cannot be sure to finish, in their order
    Units left;              ///< when unsafe: what is free once everybody in `sequence` has finished
  };

  enum class Answer : std::uint8_t { grant, wait_unavailable, refuse_unsafe, claim_exceeded };

  struct Decision {
    Answer answer = Answer::grant;
    Safety safety;   ///< of the state with the request granted; only for grant and refuse_unsafe
    Units short_of;  ///< units lacking by type: of what is free (wait_unavailable) or of the claim (claim_exceeded)
  };

  /// A new process that may ask for at most `claim`; gives its number, from 0. A claim beyond the total is a broken
  /// invariant (LOCKSTEP_CHECK): see can_claim().
  int add_process(std::string name, Units claim);
  bool can_claim(const Units& claim) const noexcept;
  /// True for as many numbers as there are types, none negative. What else is asked for must be so (LOCKSTEP_CHECK).
  bool well_formed(const Units& units) const noexcept;

  /// What the answer to the request would be. Changes nothing.
  Decision consider(int process, const Units& request) const;
  /// consider() without looking at safety: what one does without a banker.
  Decision consider_blindly(int process, const Units& request) const;
  /// consider(), and does it when the answer is to grant it.
  Decision request(int process, const Units& request);
  /// consider_blindly(), and does it when the answer is to grant it.
  Decision request_blindly(int process, const Units& request);
  /// False, and nothing is done, when the process does not have that much.
  bool release(int process, const Units& units);

  /// Of the state as it is.
  Safety check() const;

  const Units& total() const noexcept { return total_; }
  const Units& available() const noexcept { return available_; }
  int processes() const noexcept { return static_cast<int>(rows_.size()); }
  const std::string& name(int process) const { return rows_.at(static_cast<std::size_t>(process)).name; }
  const Units& claim(int process) const { return rows_.at(static_cast<std::size_t>(process)).claim; }
  const Units& allocation(int process) const { return rows_.at(static_cast<std::size_t>(process)).allocation; }
  /// What it may still ask for: claim - allocation.
  Units need(int process) const;
  bool holds_nothing(int process) const noexcept;
  int process_named(std::string_view name) const noexcept;  ///< -1 when there is none

  /// "safe: P1, P3, P4, P0, P2" or "unsafe: after P1, P3 there is (0, 1, 0) left; P0 may need (7, 4, 3), ...".
  std::string explain(const Safety& safety) const;
  /// The whole decision in one sentence.
  std::string explain(int process, const Units& request, const Decision& decision) const;

 private:
  struct Row {
    std::string name;
    Units claim;
    Units allocation;
  };

  Safety check_of(const Units& available, int process, const Units& more) const;

  Units total_;
  Units available_;
  std::vector<Row> rows_;
};

namespace sync {

class ResourceManager;

/// Declares what the actor may ask for at most. Fault::claim_exceeded when that is more than there is at all,
/// Fault::invalid when it has claimed before.
class [[nodiscard]] ClaimOperation final : public AwaitableOperation {
 public:
  ClaimOperation(ResourceManager& manager, Units claim) : manager_(manager), claim_(std::move(claim)) {}

  bool attempt() override;
  void cancel(Fault) override {}
  const Waiting& waiting() const override { return waiting_; }
  std::vector<Blocker> blockers() override { return {}; }
  Description describe() const override;
  void await_resume() const noexcept {}

 private:
  ResourceManager& manager_;
  const Units claim_;
  Waiting waiting_;
};

/// Asks for units. Gives true; false only from try_request().
class [[nodiscard]] RequestOperation final : public AwaitableOperation {
 public:
  RequestOperation(ResourceManager& manager, Units units, bool waits, Nanos limit)
      : manager_(manager), units_(std::move(units)), waits_(waits), limit_(limit) {}
  ~RequestOperation();

  bool attempt() override;
  void cancel(Fault why) override;
  const Waiting& waiting() const override { return waiting_; }
  std::vector<Blocker> blockers() override;
  Description describe() const override;
  /// The safe sequence, or why it was not granted.
  std::string answer() const override { return reason_; }
  bool block(Actor&, Nanos span) override;
  bool await_resume() const noexcept { return stage_ == Stage::granted; }

 private:
  friend class ResourceManager;
  enum class Stage : std::uint8_t { idle, queued, granted, refused };

  ResourceManager& manager_;
  const Units units_;
  const bool waits_;
  const Nanos limit_;
  Waiting waiting_;
  bool waiting_began_ = false;
  // Guarded by ResourceManager::gate_ while it is queued.
  Stage stage_ = Stage::idle;
  int process_ = -1;
  int overtaken_ = 0;
  std::string reason_;
};

/// Gives units back.
class [[nodiscard]] GiveBackOperation final : public AwaitableOperation {
 public:
  /// `units` empty: everything that the actor has.
  GiveBackOperation(ResourceManager& manager, Units units) : manager_(manager), units_(std::move(units)) {}

  bool attempt() override;
  void cancel(Fault) override {}
  const Waiting& waiting() const override { return waiting_; }
  std::vector<Blocker> blockers() override { return {}; }
  Description describe() const override;
  std::string answer() const override { return now_free_; }
  void await_resume() const noexcept {}

 private:
  ResourceManager& manager_;
  const Units units_;
  std::string now_free_;
  Waiting waiting_;
};

/// Units of several types of resource, given to the actors of a run with or without the banker's foresight.
///
/// Requests wait in the order of arrival. Each time that units come back, the queue is gone through from its head.
/// Every request that can be granted now (with Policy::avoid: safely) is granted, though one before it cannot. A strict
/// queue could deadlock by itself: an actor that holds units may have to ask for more before it can give any back.
///
/// So a request can be overtaken. Its starvation is bounded: once it has been overtaken kOvertakenMax times, actors
/// that hold nothing are not granted anything before it. Actors that hold something go on, which keeps the state live.
/// As soon as they have given everything back the request is next.
///
/// On threads: boost::mutex and boost::condition_variable. Thread-safe. `gate_` is a leaf but for Operation::wake().
class ResourceManager {
 public:
  enum class Policy : std::uint8_t {
    avoid,               ///< the banker's: only what keeps the state safe
    grant_if_available,  ///< whatever is free; deadlocks are possible
  };
  static constexpr int kOvertakenMax = 8;

  /// `name` for people; `total` units of each type. `types` names the types ("A", "B", "C" … when none are given).
  ResourceManager(std::string name, Units total, Policy policy = Policy::avoid, std::vector<std::string> types = {});
  /// Nobody may wait in it.
  ~ResourceManager();
  ResourceManager(const ResourceManager&) = delete;
  ResourceManager& operator=(const ResourceManager&) = delete;

  const std::string& name() const noexcept { return name_; }

  /// Before the run, in the constructor of a world: the actor with this name may ask for at most `claim` and begins
  /// with `allocation`. LOCKSTEP_CHECK that this is possible.
  void declare(const std::string& actor, Units claim, Units allocation = {});

  /// The actor declares its own claim, once, before its first request.
  ClaimOperation claim(Units claim) { return {*this, std::move(claim)}; }
  /// Waits while the units are not free or the banker finds it unsafe. Fault::claim_exceeded beyond the claim.
  RequestOperation request(Units units) { return {*this, std::move(units), true, kNever}; }
  /// Ends the task with Fault::lock_timeout at the limit.
  RequestOperation request_for(Units units, Nanos limit) { return {*this, std::move(units), true, limit}; }
  /// Gives false instead of waiting.
  RequestOperation try_request(Units units) { return {*this, std::move(units), false, kNever}; }
  /// Fault::invalid when the actor does not have that much.
  GiveBackOperation release(Units units) { return {*this, std::move(units)}; }
  GiveBackOperation release_all() { return {*this, {}}; }

  /// The state now.
  Banker state() const;
  std::size_t queue_length() const;

 private:
  friend class ClaimOperation;
  friend class RequestOperation;
  friend class GiveBackOperation;

  Banker::Decision decide(const RequestOperation& operation) const LOCKSTEP_REQUIRES(gate_);
  Banker::Answer ask(RequestOperation& operation) LOCKSTEP_REQUIRES(gate_);
  void grant(RequestOperation& operation, const Banker::Decision& decision) LOCKSTEP_REQUIRES(gate_);
  const RequestOperation* stands_back_for(int process, std::size_t ahead) const LOCKSTEP_REQUIRES(gate_);
  void serve() LOCKSTEP_REQUIRES(gate_);
  std::vector<Blocker> blockers_of(const RequestOperation& operation) const LOCKSTEP_REQUIRES(gate_);
  std::string units_for_people(const Units& units) const;

  const std::string name_;
  const Policy policy_;
  const std::vector<std::string> types_;

  mutable Gate gate_;
  Banker banker_ LOCKSTEP_GUARDED_BY(gate_);
  std::vector<RequestOperation*> queue_ LOCKSTEP_GUARDED_BY(gate_);
};

}  // namespace sync
}  // namespace lockstep

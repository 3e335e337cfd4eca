// session.cc: when a transaction starts, how it is tried again, and what is counted.
#include "engine/load/session.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "engine/actor/transactions.h"

namespace lockstep::load {
namespace {

/// When the transactions of one session are meant to start.
class Arrivals {
 public:
  Arrivals(const LoadSession& session, const Plan& plan) : plan_(plan), open_(plan.request.rate > 0) {
    if (open_) mean_ns_ = 1e9 * plan.request.sessions / plan.request.rate;
    next_ = plan.started_at;
    const auto sessions = static_cast<std::int64_t>(plan.request.sessions);
    next_ += Nanos(plan.request.ramp.count() * static_cast<std::int64_t>(session.context.index) / sessions);
  }

  /// In an open loop the starts are a Poisson process, however the transaction before ended. In a closed loop the next
  /// start is now, after the time to think.
  Nanos next(Nanos now, Random& random, bool first) {
    if (!open_) return first ? next_ : now + plan_.request.think;
    const double uniform = (static_cast<double>(random() >> 11U) + 0.5) * 0x1.0p-53;
    next_ += Nanos(static_cast<std::int64_t>(-std::log(uniform) * mean_ns_));
    return next_;
  }

 private:
  const Plan& plan_;
  const bool open_;
  double mean_ns_ = 0;
  Nanos next_{0};
};

/// The transactions of a session, one after the other, until the plan says stop.
class BodiesOfLoad {
 public:
  BodiesOfLoad(LoadSession& session, const Plan& plan) : session_(session), plan_(plan), arrivals_(session, plan) {}

  bool next() {
    if (plan_.stopping.load(std::memory_order_relaxed) || commits_ >= commits_most_) return false;
    now_ = clock_.now();
    if (now_ < plan_.measure_from) session_.waits_before = session_.waits_until_now();
    if (now_ >= plan_.measure_until && !session_.waits_then) session_.waits_then = session_.waits_until_now();
    intended_ = arrivals_.next(now_, session_.context.random, std::exchange(first_, false));
    is_drawn_ = false;
    return true;
  }

  /// In slices: a session that has little to do must see the end all the same.
  std::optional<Nanos> time_to_begin() {
    if (intended_ <= now_) return Nanos(0);
    now_ = clock_.now();
    if (intended_ <= now_) return Nanos(0);
    if (plan_.stopping.load(std::memory_order_relaxed)) return std::nullopt;
    return std::min(intended_ - now_, Nanos(std::chrono::milliseconds(50)));
  }

  /// Every attempt draws the same numbers. Else a strategy that aborts much would end up with the transactions that are
  /// least often in conflict.
  Task<> body() {
    if (!std::exchange(is_drawn_, true)) drawn_ = session_.context.random;
    session_.context.random = drawn_;
    left_open_ = false;
    return session_.body(session_.context);
  }

  void gave_back(const Result<void>& ended) {
    left_open_ = true;
    if (!ended.ok() && is_environment(ended.fault())) session_.failure = ended.error();
  }

  /// A body that ends well and leaves its transaction open has found that there was nothing to do.
  void committed() {
    commits_ += left_open_ ? 0 : 1;
    if (!counts()) return;
    if (left_open_) {
      ++session_.refused;
      return;
    }
    ++session_.committed;
    session_.latency.record(now_ - intended_);
  }

  AfterFault after_fault(const Error& why, bool may_try, int) {
    if (is_environment(why.fault) && !session_.failure) session_.failure = why;
    if (session_.failure) return AfterFault::ends;
    const bool counted = counts();
    if (why.fault == Fault::refused) {
      session_.refused += counted ? 1 : 0;
      return AfterFault::goes_on;
    }
    session_.aborts[static_cast<std::size_t>(why.fault)] += counted ? 1 : 0;
    if (!may_try) {
      session_.given_up += counted ? 1 : 0;
      if (session_.gave_up.empty()) session_.gave_up = why.message;
      return AfterFault::goes_on;
    }
    if (plan_.stopping.load(std::memory_order_relaxed)) return AfterFault::goes_on;
    session_.retries += counted ? 1 : 0;
    return AfterFault::tries_again;
  }

  Database& database() { return session_.context.db; }
  Random& pauses() { return session_.pauses; }

 private:
  /// In the measured time. Sets now_.
  bool counts() {
    now_ = clock_.now();
    return now_ >= plan_.measure_from && now_ < plan_.measure_until;
  }

  LoadSession& session_;
  const Plan& plan_;
  const Clock& clock_ = session_.state.clock();
  Arrivals arrivals_;
  const std::uint64_t commits_most_ = plan_.request.commits_most == 0 ? UINT64_MAX : plan_.request.commits_most;
  std::uint64_t commits_ = 0;
  bool left_open_ = false;  ///< the attempt in hand: it was rolled back after it
  bool first_ = true;
  bool is_drawn_ = false;  ///< drawn_ is this transaction's
  Random drawn_{0, 0};
  Nanos now_{0}, intended_{0};
};

}  // namespace

LoadSession::LoadSession(const Plan& plan, std::size_t index, std::unique_ptr<SessionExecutor> where)
    : state(false, false, kNever, nullptr),
      executor(std::move(where)),
      actor(static_cast<int>(index), "S" + std::to_string(index + 1), state, *executor),
      context{.db = Database(actor.session, plan.request.store),
              .name = actor.name,
              .random = Random(plan.request.shape.seed, index),
              .index = index,
              .world_type = plan.scenario.world_type(),
              .world_object = plan.world.get(),
              .actor = &actor,
              .choices = &plan.choices},
      body(plan.scenario.body_of_session(plan.pattern, index)),
      pauses(~plan.request.shape.seed, index) {}

Task<> drive(LoadSession& session, const Plan& plan) {
  const RetryPolicy policy{.most = plan.request.retries_most, .backs_off = plan.request.retry == Retry::jitter};
  return perform_transactions(session.actor, BodiesOfLoad(session, plan), policy);
}

}  // namespace lockstep::load

// session.cc: when a transaction starts, how it is tried again, and what is counted.
#include "engine/load/session.h"

#include <cmath>

#include "engine/actor/pause.h"

namespace lockstep::load {
namespace {

Nanos back_off(int attempt, Random& random) {
  constexpr std::int64_t kFirst = 100'000;
  constexpr std::int64_t kMost = 10'000'000;
  const std::int64_t limit = std::min(kMost, kFirst << std::min(attempt, 16));
  return Nanos(static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(limit + 1)));
}

/// When the transactions of one session are meant to start.
class Arrivals {
 public:
  Arrivals(const LoadSession& session, const Plan& plan) : plan_(plan), open_(plan.request.rate > 0) {
    if (open_) mean_ns_ = 1e9 * plan.request.sessions / plan.request.rate;
    next_ = plan.started_at;
    const auto sessions = static_cast<std::int64_t>(plan.request.sessions);
    next_ += Nanos(plan.request.ramp.count() * static_cast<std::int64_t>(session.context.session) / sessions);
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

Task<> give_back(LoadContext& context) { co_await context.db.abort(); }

}  // namespace

LoadSession::LoadSession(const Plan& plan, std::size_t index, const Zipf& zipf, const Scatter& scatter,
                         std::unique_ptr<SessionExecutor> where)
    : state(false, false, kNever, nullptr),
      executor(std::move(where)),
      actor(static_cast<int>(index), "S" + std::to_string(index + 1), state, *executor),
      context{.db = Database(actor.session),
              .random = Random(plan.request.shape.seed, index),
              .shape = plan.request.shape,
              .zipf = zipf,
              .scatter = scatter,
              .board = plan.board,
              .session = index},
      pauses(~plan.request.shape.seed, index) {}

Task<> drive(LoadSession& session, const Plan& plan) {
  const Clock& clock = session.state.clock();
  Arrivals arrivals(session, plan);
  bool first = true;
  std::uint64_t commits = 0;
  const std::uint64_t commits_most = plan.request.commits_most == 0 ? UINT64_MAX : plan.request.commits_most;
  while (!plan.stopping.load(std::memory_order_relaxed) && commits < commits_most) {
    Nanos now = clock.now();
    if (now < plan.measure_from) session.waits_before = session.waits_until_now();
    if (now >= plan.measure_until && !session.waits_then) session.waits_then = session.waits_until_now();
    const Nanos intended = arrivals.next(now, session.context.random, first);
    first = false;
    if (intended > now) {
      // Waits in slices, so that a session with long gaps sees the end of the round.
      while (now < intended && !plan.stopping.load(std::memory_order_relaxed)) {
        co_await pause(std::min(intended - now, Nanos(std::chrono::milliseconds(50))));
        now = clock.now();
      }
      if (now < intended) co_return;
    }
    const Random drawn = session.context.random;
    for (int attempt = 1;; ++attempt) {
      // A retry makes the choice of the first attempt. Otherwise a strategy that aborts much would end up with the
      // transactions that conflict least.
      session.context.random = drawn;
      const Result<void> ended = co_await tried(plan.pattern.body(session.context));
      const bool left_open = session.actor.session != nullptr && session.actor.session->in_transaction();
      if (left_open) {
        const Result<void> given_back = co_await tried(give_back(session.context));
        if (!given_back.ok() && is_environment(given_back.fault())) session.failure = given_back.error();
      }
      now = clock.now();
      const bool counts = now >= plan.measure_from && now < plan.measure_until;
      if (ended.ok()) {
        ++commits;
        if (counts) {
          ++session.committed;
          session.latency.record(now - intended);
        }
        break;
      }
      const Fault fault = ended.fault();
      if (is_environment(fault) && !session.failure) session.failure = ended.error();
      if (session.failure) co_return;
      if (fault == Fault::refused) {
        session.refused += counts ? 1 : 0;
        break;
      }
      session.aborts[static_cast<std::size_t>(fault)] += counts ? 1 : 0;
      // After a failed version check the body reads again, as after an abort.
      const bool again = is_retry_safe(fault) || fault == Fault::version_changed;
      if (!again || attempt > plan.request.retries_most) {
        session.given_up += counts ? 1 : 0;
        if (session.gave_up.empty()) session.gave_up = ended.error().message;
        break;
      }
      if (plan.stopping.load(std::memory_order_relaxed)) break;
      session.retries += counts ? 1 : 0;
      if (plan.request.retry == Retry::jitter) co_await pause(back_off(attempt, session.pauses));
    }
  }
}

}  // namespace lockstep::load

// actor.cc: how an actor performs an operation, and what it writes down about it.
#include "engine/actor/actor.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "engine/actor/run_state.h"

namespace lockstep {

using record::Event;
using record::EventKind;

Actor::Actor(int i, std::string n, RunState& r, Executor& e) : index(i), name(std::move(n)), run(r), executor(e) {}

Actor::~Actor() = default;

void Actor::start() {
  if (run.footprint != nullptr) run.footprint->ran(index);
  root_.handle().promise().actor = this;
  root_.handle().promise().continuation = this;
  root_.handle().resume();
  if (root_.handle().promise().finished_else_notify()) on_child_finished();
}

void Actor::on_child_finished() noexcept {
  const std::optional<Error>& error = ending();
  Event event{.kind = EventKind::finish};
  if (error) {
    event.fault = error->fault;
    event.code = error->code;
    event.detail = error->message;
  }
  emit(std::move(event));
  if (run.footprint != nullptr) {
    // Where nobody joins it, its end is nothing that a search need know of.
    const std::string end = end_name();
    if (run.footprint->does_queue_matter(end)) run.footprint->lock(end, Touch::changes);
  }
  run.end_waiters.note_end(finished_, *this);
  executor.finished(*this);
}

bool perform(Operation& operation, detail::PromiseBase& promise, std::coroutine_handle<> handle) {
  Actor& actor = *promise.actor;
  operation.actor_ = &actor;
  operation.promise_ = &promise;
  operation.handle_ = handle;
  actor.current_ = &operation;
  if (actor.executor.controlled()) {
    actor.at_gate_ = true;
    if (!actor.executor.turn(actor)) return true;
    actor.at_gate_ = false;
  }
  actor.request(operation);
  if (actor.proceed(operation) == Actor::Progress::suspended) return true;
  if (!operation.error) return false;
  promise.abandon(std::move(*operation.error));
  return true;
}

void Actor::resume() {
  if (run.footprint != nullptr) run.footprint->ran(index);
  Operation& operation = *current_;
  if (at_gate_) {
    at_gate_ = false;
    request(operation);
  } else {
    publish_wait(nullptr);
  }
  if (proceed(operation) == Progress::suspended) return;
  detail::PromiseBase& promise = *operation.promise_;
  if (operation.error) {
    promise.abandon(std::move(*operation.error));
  } else {
    operation.handle_.resume();
  }
}

Actor::Progress Actor::proceed(Operation& operation) {
  for (;;) {
    // Acquire: sees what the waker, possibly in another thread, did before it woke us.
    operation.state_.exchange(Operation::State::idle, std::memory_order_acq_rel);
    if (const int why = operation.expired_with_.exchange(-1, std::memory_order_relaxed); why >= 0) {
      expired_ = !stopping();
      operation.cancel(static_cast<Fault>(why));
      // A grant may have come in between, and its wake-up with it: both belong to the wait that is over. They do not
      // wake an operation that waits anew in the attempt below.
      operation.state_.exchange(Operation::State::idle, std::memory_order_acq_rel);
    } else if (wait_began_ns_ < 0 && stopping() && !operation.is_cleanup()) {
      operation.error = Error{static_cast<Fault>(stop_with_.load(std::memory_order_relaxed)), {}, {}};
      break;
    }
    if (operation.may_block()) {
      publish_wait(&operation);
      const bool finished = operation.attempt();
      publish_wait(nullptr);
      LOCKSTEP_CHECK(finished, "an operation that blocks its thread came back unfinished");
      break;
    }
    if (operation.attempt()) break;

    note_wait(operation);
    publish_wait(&operation);
    // A stop that came before the wait was published did not see it.
    if (stopping() && !operation.is_cleanup() && last_stop_ != &operation) {
      last_stop_ = &operation;
      operation.expire(static_cast<Fault>(stop_with_.load(std::memory_order_relaxed)));
    }
    if (!executor.wait(*this, operation)) return Progress::suspended;
    publish_wait(nullptr);
  }
  conclude(operation);
  return Progress::finished;
}

void Actor::request(Operation& operation) {
  if (buffer_ != nullptr) {
    step_.store(buffer_->next_step(), std::memory_order_relaxed);
    if (!transaction_open_) on_record_ = true;
    request_is_due_ = on_record_;
    if (on_record_) requested_at_ns_ = run.elapsed().count();
    return;
  }
  step_.store(run.next_step(), std::memory_order_relaxed);
  if (!run.recording) return;
  run.note_site(step(), operation.frame().at);
  Description described = operation.describe();
  emit({.kind = EventKind::request,
        .verb = std::move(described.verb),
        .object = std::move(described.object),
        .detail = std::move(described.detail),
        .facts = operation.facts_asked()});
}

/// Of an actor that writes apart: late, because a transaction that is to be left out is known by its end of begin.
void Actor::write_request(Operation& operation) {
  if (!std::exchange(request_is_due_, false)) return;
  Description described = operation.describe();
  buffer_->add({.at_ns = requested_at_ns_,
                .actor = index,
                .step = step(),
                .kind = EventKind::request,
                .verb = std::move(described.verb),
                .object = std::move(described.object),
                .detail = std::move(described.detail)},
               operation.frame().at);
}

void Actor::conclude(Operation& operation) {
  const bool waited = wait_began_ns_ >= 0;
  const bool expired = expired_;
  expired_ = false;
  if (waited) {
    const Nanos span = run.elapsed() - Nanos(wait_began_ns_);
    // A pause waits for nobody.
    if (span > longest_wait_.span && operation.is_wait()) {
      longest_wait_ = {span, run.recording ? operation.describe() : Description{}};
    }
    wait_began_ns_ = -1;
    last_blockers_.clear();
    last_stop_ = nullptr;
    run.forget_cycles_of(index);
  }
  current_ = nullptr;
  noted_wait_ = nullptr;
  if (operation.error) {
    const Error& error = *operation.error;
    run.count_fault(error.fault);
    last_fault_ = error.fault;
    if (expired) run.timeouts.fetch_add(1, std::memory_order_relaxed);
    if (error.fault == Fault::deadlock) run.add_victim(index);
  }
  if (!run.recording || !on_record_) return;
  write_request(operation);
  Description described = operation.describe();
  Event event{.verb = std::move(described.verb), .object = std::move(described.object)};
  if (operation.error) {
    event.kind = EventKind::fault;
    event.fault = operation.error->fault;
    event.code = operation.error->code;
    event.detail = operation.error->message;
  } else {
    event.kind = EventKind::grant;
    event.detail = operation.answer();
  }
  // Of a run that nobody steers only what went wrong is kept whole: there are many operations.
  if (buffer_ == nullptr || operation.error) event.facts = operation.facts_answered();
  emit(std::move(event));
  run.note_store_locks();
}

void Actor::note_wait(Operation& operation) {
  if (wait_began_ns_ < 0) wait_began_ns_ = run.elapsed().count();
  // An external wait may just be in flight: the thread that polls it finds out whether it is blocked.
  if (!run.recording && !executor.controlled()) return;
  if (operation.waiting().external) return;
  write_request(operation);
  note_blockers(operation, operation.blockers());
}

void Actor::note_blockers(Operation& operation, const std::vector<Blocker>& blockers) {
  if (!run.recording) {
    // A search asks only whether there was any avoidance.
    const bool avoidance = std::any_of(blockers.begin(), blockers.end(), [](const Blocker& b) { return b.avoidance; });
    if (avoidance) run.avoidances.fetch_add(1, std::memory_order_relaxed);
    noted_wait_ = &operation;
    return;
  }
  std::vector<int> others;
  std::string what;
  Facts facts;
  bool avoidance = false;
  for (const Blocker& blocker : blockers) {
    others.push_back(blocker.actor);
    avoidance = avoidance || blocker.avoidance;
    if (what.empty()) what = blocker.what;
    if (facts.empty() && !blocker.lock.empty()) facts.emplace_back("lock", blocker.lock);
  }
  if (noted_wait_ == &operation && others == last_blockers_) return;
  noted_wait_ = &operation;
  last_blockers_ = others;
  if (avoidance) run.avoidances.fetch_add(1, std::memory_order_relaxed);
  if (!on_record_) return;
  Description described = operation.describe();
  // Not to the actor's own buffer: the actor that closed a cycle writes down the waits of the others.
  run.emit({.actor = index,
            .step = step(),
            .kind = EventKind::wait,
            .verb = std::move(described.verb),
            .object = std::move(described.object),
            .detail = std::move(what),
            .others = std::move(others),
            .facts = std::move(facts)});
  run.note_store_locks();
}

void Actor::publish_wait(Operation* operation) {
  MutexLock lock(wait_mutex_);
  waiting_ = operation;
  waiting_step_.store(operation == nullptr ? 0 : step(), std::memory_order_release);
}

void Actor::stop(Fault why) {
  int none = -1;
  stop_with_.compare_exchange_strong(none, static_cast<int>(why), std::memory_order_relaxed);
  bool hand_over = false;
  while_waiting([&](Operation& operation) {
    if (operation.is_cleanup()) return;
    if (operation.may_block()) {
      operation.cancel(why);
    } else {
      hand_over = operation.expire(why);
    }
  });
  if (hand_over) executor.ready(*this);
  executor.interrupt(*this);
}

void Actor::emit(Event event) {
  if (!run.recording) return;
  event.actor = index;
  event.step = event.kind == EventKind::finish || event.kind == EventKind::retry ? 0 : step();
  if (buffer_ != nullptr) {
    event.at_ns = run.elapsed().count();
    buffer_->add(std::move(event));
    return;
  }
  run.emit(std::move(event));
}

void Actor::note_refusal(const Error& error) {
  const bool from_operation = last_fault_ == error.fault;
  last_fault_.reset();
  if (from_operation || error.fault == Fault::hung || error.fault == Fault::cancelled) return;
  run.count_fault(error.fault);
  emit(
      {.kind = EventKind::fault, .verb = "give_up", .detail = error.message, .fault = error.fault, .code = error.code});
}

void Actor::note_transaction(Verb verb, const std::optional<Error>& error) {
  switch (verb) {
    case Verb::begin:
      if (error) break;
      if (buffer_ != nullptr && !transaction_open_) on_record_ = buffer_->keeps_next(!request_is_due_);
      transaction_open_ = true;
      break;
    case Verb::commit:
      if (!transaction_open_) break;
      if (!error) {
        run.committed.fetch_add(1, std::memory_order_relaxed);
        commits_ += 1;
        transaction_open_ = false;
      } else if (!session->in_transaction()) {
        if (error->fault != Fault::outcome_unknown) run.aborted.fetch_add(1, std::memory_order_relaxed);
        transaction_open_ = false;
      }
      break;
    case Verb::abort:
      if (transaction_open_) run.aborted.fetch_add(1, std::memory_order_relaxed);
      transaction_open_ = false;
      break;
    default:
      break;
  }
}

}  // namespace lockstep

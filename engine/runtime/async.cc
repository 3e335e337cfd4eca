// async.cc: sleeping, queueing, permits.
#include "engine/runtime/async.h"

namespace lockstep::runtime {

bool Sleep::queue() noexcept {
  if (is_span_) moment_ = moment_ == kNever ? kNever : loop().now() + moment_;
  loop().timers().set(*this, moment_);
  return true;
}

void Sleep::cancel(Fault why) noexcept {
  if (!is_set()) return;  // it is over already
  loop().timers().cancel(*this);
  end_with(why);
}

void Ready::cancel(Fault why) noexcept {
  if (!is_watched()) return;
  loop().unwatch(*this);
  end_with(why);
}

namespace detail {

void Line::append(Queued& wait) noexcept {
  wait.previous_ = last_;
  wait.next_ = nullptr;
  (last_ == nullptr ? first_ : last_->next_) = &wait;
  last_ = &wait;
  wait.in_line_ = true;
  ++size_;
}

void Line::remove(Queued& wait) noexcept {
  (wait.previous_ == nullptr ? first_ : wait.previous_->next_) = wait.next_;
  (wait.next_ == nullptr ? last_ : wait.next_->previous_) = wait.previous_;
  wait.in_line_ = false;
  --size_;
}

void Queued::cancel(Fault why) noexcept {
  MutexLock lock(mutex_);
  if (!in_line_) return;  // it was served: the task goes on, and its next wait ends
  line_.remove(*this);
  has_left();
  end_with(why);
}

}  // namespace detail

AsyncSemaphore::~AsyncSemaphore() {
  MutexLock lock(mutex_);
  LOCKSTEP_CHECK(line_.is_empty(), "a semaphore is destroyed while {} wait for it", line_.size());
}

bool AsyncSemaphore::Acquire::queue() noexcept {
  MutexLock lock(semaphore_.mutex_);
  if (semaphore_.line_.is_empty() && permits_ <= semaphore_.available_) {
    semaphore_.available_ -= permits_;
    return false;
  }
  semaphore_.line_.append(*this);
  return true;
}

bool AsyncSemaphore::try_acquire(int permits) noexcept {
  MutexLock lock(mutex_);
  if (!line_.is_empty() || permits > available_) return false;
  available_ -= permits;
  return true;
}

void AsyncSemaphore::release(int permits) noexcept {
  MutexLock lock(mutex_);
  available_ += permits;
  serve();
}

void AsyncSemaphore::serve() noexcept {
  while (!line_.is_empty()) {
    auto& first = static_cast<Acquire&>(*line_.first());
    if (first.permits_ > available_) return;
    available_ -= first.permits_;
    line_.remove(first);
    first.complete();
  }
}

int AsyncSemaphore::available() const noexcept {
  MutexLock lock(mutex_);
  return available_;
}

std::size_t AsyncSemaphore::waiting() const noexcept {
  MutexLock lock(mutex_);
  return line_.size();
}

}  // namespace lockstep::runtime

// range_watches.cc: the list of the ranges that are watched.
#include "kv/locking/range_watches.h"

#include "kv/base/spin.h"

namespace lockstep::kv {

void RangeWatches::add(RangeWatch& watch, const void* owner, KeyView from, KeyView to) {
  watch.owner_ = owner;
  watch.from_.assign(from);
  watch.to_.assign(to);
  watch.includes_to_ = false;
  watch.entered_.store(false, std::memory_order_relaxed);
  watch.previous_ = nullptr;
  const SpinningLock lock(mutex_);
  watch.next_ = first_;
  if (first_) first_->previous_ = &watch;
  first_ = &watch;
  watches_.fetch_add(1, std::memory_order_acq_rel);
}

void RangeWatches::narrow(RangeWatch& watch, KeyView last) {
  const SpinningLock lock(mutex_);
  watch.to_.assign(last);
  watch.includes_to_ = true;
}

void RangeWatches::remove(RangeWatch& watch) noexcept {
  const SpinningLock lock(mutex_);
  (watch.previous_ ? watch.previous_->next_ : first_) = watch.next_;
  if (watch.next_) watch.next_->previous_ = watch.previous_;
  watches_.fetch_sub(1, std::memory_order_relaxed);
}

void RangeWatches::tell(KeyView key, const void* owner) {
  const SpinningLock lock(mutex_);
  for (RangeWatch* watch = first_; watch; watch = watch->next_)
    if (watch->owner_ != owner && watch->contains(key)) watch->entered_.store(true, std::memory_order_release);
}

}  // namespace lockstep::kv

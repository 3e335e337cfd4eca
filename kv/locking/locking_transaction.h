// locking_transaction.h: the part of a transaction that waits for locks.
#pragma once

#include "kv/locking/locks.h"
#include "kv/transaction/protocol.h"

namespace lockstep::kv {

/// A transaction whose waits are those of one lock owner. Used as TransactionState says. `Locks`: the lock manager, or
/// the one kind of it that the protocol has.
template <class Locks>
class LockingTransaction : public TransactionState {
 public:
  /// `locks` outlives the transaction.
  explicit LockingTransaction(Locks& locks) : locks_(locks) {}

  const LockOwner& owner() const noexcept { return owner_; }

  bool is_waiting() const noexcept final { return owner_.is_waiting(); }
  std::optional<Error> take_verdict() final { return owner_.verdict.take(); }
  Nanos wait_deadline() const noexcept final { return owner_.deadline; }
  void cancel_wait(Fault why) noexcept final { locks_.cancel(owner_, why); }

 protected:
  Locks& locks_;
  LockOwner owner_;
};

}  // namespace lockstep::kv

// once.h: something that is done by the first one who comes, while the others wait for it: std::call_once.
//
//   struct Client { sync::Once connected{"connected"}; };
//
//   co_await client.connected.call(connect(c));     // connect(c) has been done when this ends
//
// A body that ends with a fault has not done it: the next one who comes tries. Who comes later looks at one variable
// and goes on. A body that calls its own Once waits for itself.
#pragma once

#include <string>
#include <utility>

#include "engine/sync/shared.h"
#include "engine/sync/sync.h"

namespace lockstep::sync {

/// Thread-safe; outlives the calls; neither copied nor moved.
class Once {
 public:
  explicit Once(const std::string& name) : done_(name + " done", false), first_(name) {}

  /// `body` is begun only if nobody has done it.
  Task<> call(Task<> body);
  bool done() const { return done_.value(); }

 private:
  Shared<bool> done_;
  Mutex first_;
};

}  // namespace lockstep::sync

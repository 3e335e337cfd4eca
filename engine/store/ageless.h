// ageless.h: a session to which it is of no consequence in which order transactions begin.
#pragma once

namespace lockstep {

/// Implemented by such a session beside Session: known to a search.
class Ageless {
 protected:
  Ageless() = default;
  virtual ~Ageless() = default;
};

}  // namespace lockstep

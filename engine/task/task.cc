// task.cc: where foreign exceptions end.
#include "engine/task/task.h"

namespace lockstep {

Fail fail(Fault fault, std::string message) { return {Error{fault, {}, std::move(message)}}; }

namespace detail {

void PromiseBase::unhandled_exception() noexcept {
  try {
    throw;
  } catch (const std::exception& thrown) {
    error = Error{Fault::internal, {}, thrown.what()};
  } catch (...) {
    error = Error{Fault::internal, {}, "an exception of unknown type"};
  }
}

}  // namespace detail
}  // namespace lockstep

// task.cc: where foreign exceptions end.
#include "engine/task/task.h"

#include <fmt/format.h>

namespace lockstep {

Fail fail(Fault fault, std::string message) { return {Error{fault, {}, std::move(message)}}; }

namespace detail {

void PromiseBase::unhandled_exception() noexcept {
  try {
    throw;
  } catch (const std::exception& thrown) {
    error = Error{Fault::internal, {}, fmt::format("the body was left by an exception: {}", thrown.what())};
  } catch (...) {
    error = Error{Fault::internal, {}, "the body was left by an exception that is no std::exception"};
  }
}

}  // namespace detail
}  // namespace lockstep

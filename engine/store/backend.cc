// backend.cc: the names of verbs, and what no store does.
#include "engine/store/backend.h"

#include <fmt/format.h>

#include <array>

namespace lockstep {

std::string_view name_of(Verb verb) noexcept {
  static constexpr std::array<std::string_view, 17> names = {
      "begin", "read", "read_for_update", "write",   "insert",    "write_if",    "add",     "add_if",
      "erase", "scan", "scan_for_update", "execute", "savepoint", "rollback_to", "release", "commit",
      "abort"};
  return names[static_cast<std::size_t>(verb)];
}

std::optional<Error> refusal(const Request& request, bool in_transaction) {
  const auto refused = [&request](std::string_view why) {
    return Error{Fault::invalid, {}, fmt::format("{}: {}", name_of(request.verb), why)};
  };
  switch (request.verb) {
    case Verb::begin:
      if (in_transaction) return refused("a transaction is open already; commit or abort it first");
      return std::nullopt;
    case Verb::abort:
    case Verb::execute:
      return std::nullopt;
    default:
      break;
  }
  if (!in_transaction) return refused("no transaction is open; begin one first");
  switch (request.verb) {
    case Verb::read:
    case Verb::read_for_update:
    case Verb::write:
    case Verb::insert:
    case Verb::write_if:
    case Verb::add:
    case Verb::add_if:
    case Verb::erase:
      if (request.key.empty()) return refused("the key is empty");
      return std::nullopt;
    default:
      return std::nullopt;
  }
}

}  // namespace lockstep

// backend.cc: the names of verbs, what no store does, and questions to the catalogue.
#include "engine/store/backend.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>

namespace lockstep {

std::string_view name_of(Verb verb) noexcept {
  static constexpr std::array<std::string_view, 18> names = {
      "begin",     "read",        "read_for_update", "write",  "insert",          "write_if",
      "add",       "add_if",      "erase",           "scan",   "scan_for_update", "execute",
      "savepoint", "rollback_to", "release",         "commit", "abort",           "reset"};
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
    case Verb::reset:
      if (in_transaction) return refused("a transaction is open; commit or abort it first");
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

const ProtocolTraits* BackendKind::protocol_named(std::string_view protocol) const {
  const auto found = std::find_if(protocols.begin(), protocols.end(),
                                  [protocol](const ProtocolTraits& each) { return each.name == protocol; });
  return found == protocols.end() ? nullptr : &*found;
}

std::vector<std::string> BackendKind::protocol_names() const {
  std::vector<std::string> names;
  for (const ProtocolTraits& each : protocols) names.push_back(each.name);
  return names;
}

bool BackendKind::is_server_named(const std::string& dsn) const {
  if (!traits.dsn) return false;
  const char* const variable = std::getenv(std::string(traits.dsn->variable).c_str());
  return !dsn.empty() || (variable != nullptr && *variable != '\0');
}

Result<void> always_available(const std::string&) { return {}; }

std::string nothing_to_announce(const std::string&) { return {}; }

const BackendKind* backend_named(std::string_view name) {
  const auto kinds = backends();
  const auto kind = std::find_if(kinds.begin(), kinds.end(), [name](const BackendKind& k) { return k.name == name; });
  return kind == kinds.end() ? nullptr : &*kind;
}

HoldsUntilEnd holds_until_end(std::string_view store, std::string_view protocol) {
  const BackendKind* const kind = backend_named(store);
  const ProtocolTraits* const traits = kind == nullptr ? nullptr : kind->protocol_named(protocol);
  return traits == nullptr ? HoldsUntilEnd::writes : traits->holds;
}

const BackendKind& default_backend() { return backends().front(); }

const BackendKind* modelling_backend() {
  const auto kinds = backends();
  const auto kind =
      std::find_if(kinds.begin(), kinds.end(), [](const BackendKind& k) { return k.traits.models_others; });
  return kind == kinds.end() ? nullptr : &*kind;
}

const EmulatedDatabase* emulated_named(std::string_view name) {
  for (const BackendKind& kind : backends()) {
    for (const ProtocolTraits& protocol : kind.protocols) {
      if (protocol.model && protocol.model->emulated.name == name) return &protocol.model->emulated;
    }
  }
  return nullptr;
}

}  // namespace lockstep

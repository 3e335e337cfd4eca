// dsns.cc: finds out for which store a DSN was typed.
#include "engine/store/dsns.h"

#include <algorithm>
#include <string_view>

#include "engine/store/backend.h"

namespace lockstep {
namespace {

/// The store that "STORE=DSN" names; nullptr for a plain DSN, which may hold "=" too ("host=db1 port=5432").
const BackendKind* named_in(const std::string& typed) {
  const std::size_t equals = typed.find('=');
  if (equals == std::string::npos) return nullptr;
  const BackendKind* const kind = backend_named(std::string_view(typed).substr(0, equals));
  return kind != nullptr && kind->traits.dsn ? kind : nullptr;
}

bool is_meant_for(const BackendKind& kind, const std::string& plain) {
  if (kind.traits.dsn->fits(plain)) return true;
  const auto kinds = backends();
  return std::none_of(kinds.begin(), kinds.end(), [&](const BackendKind& other) {
    return other.name != kind.name && other.traits.dsn && other.traits.dsn->fits(plain);
  });
}

}  // namespace

std::string Dsns::of(const BackendKind& kind) const {
  if (!kind.traits.dsn) return {};
  std::string plain, named;
  for (const std::string& typed : typed_) {
    const BackendKind* const meant = named_in(typed);
    if (meant == nullptr) {
      plain = typed;
    } else if (meant->name == kind.name) {
      named = typed.substr(meant->name.size() + 1);
    }
  }
  if (!named.empty()) return named;
  return plain.empty() || !is_meant_for(kind, plain) ? std::string() : plain;
}

std::string Dsns::shown_of(const BackendKind& kind) const {
  const std::string dsn = of(kind);
  return dsn.empty() ? dsn : kind.traits.dsn->without_secrets(dsn);
}

}  // namespace lockstep

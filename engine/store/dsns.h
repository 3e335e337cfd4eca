// dsns.h: the servers that somebody named, each for the store that it is meant for.
//
// Thread-safe: values.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace lockstep {

struct BackendKind;

/// What was typed as --dsn, once or several times: "STORE=DSN" for one store, or a plain DSN.
class Dsns {
 public:
  Dsns() = default;
  Dsns(std::string typed) : typed_{std::move(typed)} {}               // NOLINT(google-explicit-constructor)
  Dsns(const char* typed) : typed_{typed} {}                          // NOLINT(google-explicit-constructor)
  Dsns(std::vector<std::string> typed) : typed_(std::move(typed)) {}  // NOLINT(google-explicit-constructor)

  /// The DSN for a store of this kind, as its backend takes it; empty: none is meant for it. The last text that names
  /// the store wins, else the last plain one. A plain text is for the store when it is the only one with servers, when
  /// the text fits it (StoreOption::fits), or when it fits none: then each store says what is wrong with it.
  std::string of(const BackendKind& kind) const;
  /// That DSN for files and for lines that are shown, without passwords.
  std::string shown_of(const BackendKind& kind) const;

 private:
  std::vector<std::string> typed_;
};

}  // namespace lockstep

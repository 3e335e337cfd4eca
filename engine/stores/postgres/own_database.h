// own_database.h: a database of one run's own on a server: made from template0, so that nothing of the user's is in it,
// and dropped at the end. One that a killed run has left behind is dropped by the next.
//
// It is called lockstep_PID_RANDOM. While it lives, its maker's connection holds an advisory lock made from RANDOM in
// the database of the DSN.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/stores/postgres/monitor.h"

namespace lockstep::postgres {

/// Not thread-safe. Every connection to it must be closed before it is destroyed; those that are not are ended.
class OwnDatabase {
 public:
  /// `settings`: name and value of what holds for every session in it. One that the role may not set is left out, and
  /// named in refused(). Fault::permission when the role may make no database, with the statement that would let it.
  static Result<std::unique_ptr<OwnDatabase>> create(const Dsn& dsn, Nanos connect_max,
                                                     const std::vector<std::pair<std::string, std::string>>& settings);
  ~OwnDatabase();
  OwnDatabase(const OwnDatabase&) = delete;
  OwnDatabase& operator=(const OwnDatabase&) = delete;

  /// To connect to it.
  const Dsn& dsn() const noexcept { return dsn_; }
  const std::string& name() const noexcept { return name_; }
  const std::vector<std::string>& refused() const noexcept { return refused_; }

 private:
  OwnDatabase(std::unique_ptr<Monitor> keeper, std::string name) : keeper_(std::move(keeper)), name_(std::move(name)) {}

  std::unique_ptr<Monitor> keeper_;  ///< in the database of the DSN
  const std::string name_;
  bool is_made_ = false;
  Dsn dsn_;
  std::vector<std::string> refused_;
};

}  // namespace lockstep::postgres

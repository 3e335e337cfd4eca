// innodb_incidents.h: the deadlocks that InnoDB has written down, each as an incident.
//
// Two texts hold them in one form: SHOW ENGINE INNODB STATUS has the latest ("LATEST DETECTED DEADLOCK"), and with
// innodb_print_all_deadlocks the error log has each. InnoDB tells the statement that each transaction had in hand, the
// lock that it waited for with its row, the locks in its way, and the victim. It tells nothing of what came before, so
// one step a session is guessed: it has locked what the other one waits for.
//
// Thread-safe: values. Nothing waits.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/store/incident.h"

namespace lockstep::mariadb {

/// A transaction that waits, or that others wait for.
struct InnodbParty {
  std::string transaction;     ///< its number
  std::string thread;          ///< the number of its connection
  std::string account = {};    ///< "root at localhost"
  std::uint64_t query = 0;     ///< the number of its statement in the server: later ones are larger
  std::string in_hand = {};    ///< its statement; empty: it has none, or it is not known
  std::string waits_for = {};  ///< for people: "X lock, index PRIMARY of accounts, row 1"; empty: it does not wait
  std::string held_by = {};    ///< the transaction that is in its way
  bool shared = false;         ///< what is in its way is a shared lock
  std::string relation = {};   ///< "shop.accounts", the table of that lock
};

/// The incident of these parties. `victim`: index of a party; out of range: it is not known.
Incident innodb_incident(const std::vector<InnodbParty>& parties, Incident::Kind kind, std::size_t victim);

/// In the order of the text. Fault::invalid when it is neither of the two texts.
Result<std::vector<Incident>> innodb_incidents_in(std::string_view text);

/// The table and the condition ("where …", or empty) of an UPDATE, a DELETE, a locking SELECT or an INSERT of one
/// table; of an INSERT, the first column has its first value. False: it has another form.
bool rows_named_by(const std::string& sql, std::string& table, std::string& condition);

}  // namespace lockstep::mariadb

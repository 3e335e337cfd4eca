// history_html.h: the page of a history of clients that was held against isolation levels.
//
// The judge is engine/check, which a report does not see: what it found comes as texts.
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace lockstep::reports {

enum class HistoryAnswer { holds, broken, unknown };

/// A level, or what else a history was held against.
struct HistoryClaim {
  std::string name;  ///< "snapshot-isolation"
  HistoryAnswer answer = HistoryAnswer::unknown;
  std::string why = {};  ///< when it is unknown
};

/// A plain level, and the same with the order of each process and with that of real time.
struct HistoryLevel {
  std::string name;
  std::string forbids;
  HistoryClaim plain, session, real_time;
};

struct HistoryTransaction {
  std::string name;
  std::string line, process, outcome;   ///< empty: not known
  std::vector<std::string> operations;  ///< "[append x 1]"
};

/// `from` came before `to`.
struct HistoryEdge {
  std::string from, to;
  std::string label;  ///< "rw x"
};

struct HistoryAnomaly {
  std::string name;
  std::vector<std::string> proof;        ///< lines; of a cycle one for each edge
  std::vector<HistoryEdge> cycle;        ///< in its order; empty: it is none
  std::vector<std::string> taking_part;  ///< names of transactions
};

struct JudgedHistory {
  std::string file;
  std::string model;        ///< "list-append"
  std::string counts;       ///< "5 transactions: 3 committed, 2 failed"
  std::string command;      ///< judges it again
  bool recognised = false;  ///< the model was not named
  std::vector<HistoryClaim> asked;
  std::vector<HistoryLevel> levels;  ///< from weak to strong; none for models without
  std::string weakest_broken;        ///< empty: none is
  std::vector<std::string> strongest_holding;
  std::vector<HistoryAnomaly> anomalies;
  std::vector<HistoryTransaction> transactions;  ///< that take part in anomalies
  std::vector<std::string> rules;                ///< that ordered the versions of registers
  std::vector<std::string> notes;
};

/// `version` is the program's, `nonce` that of the page's script: letters and digits, made by chance.
std::string history_page(const JudgedHistory& history, const std::string& version, const std::string& nonce);

}  // namespace lockstep::reports

// judge.h: one history file, from its text to its verdict.
//
// The one door to everything below: it finds out the syntax and the model, reads, judges, and says what was found in
// words. What a verdict is made of is engine/check's, as for Lockstep's own stores.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/check/level.h"
#include "engine/check/registers.h"
#include "engine/histories/objects.h"

namespace lockstep::histories {

enum class HistoryModel : std::uint8_t {
  list_append,
  rw_register,
  bank,
  set,
  set_full,
  counter,
  long_fork,
  cas_register,
  kv,
  mutex,
};

std::string_view name_of(HistoryModel model) noexcept;
/// "register" is "cas-register".
std::optional<HistoryModel> model_named(std::string_view name) noexcept;
const std::vector<HistoryModel>& all_models();

struct JudgeRequest {
  std::optional<HistoryModel> model = {};   ///< else recognised
  std::optional<Syntax> syntax = {};        ///< else recognised
  std::vector<check::Claim> claims = {{}};  ///< of list-append and rw-register
  check::VersionRules versions = {};
  ObjectRules objects = {};
  std::size_t anomalies_most = 1;  ///< of each kind
};

/// What a history was held against, and whether it is so.
struct ClaimVerdict {
  std::string claim;  ///< the name of a level, "linearizable", or that of the model
  Judgement answer = Judgement::unknown;
  std::string why;  ///< when it is unknown
};

/// A transaction that an anomaly names.
struct InvolvedTransaction {
  std::size_t number = 0;  ///< as in Anomaly::transactions
  std::string name;
  std::string line, process, outcome;  ///< empty: not known; of outcome: it committed
  std::vector<std::string> operations;

  /// "T1  line 1  process 0  [append x 1]".
  std::string str() const;
};

struct Judged {
  HistoryModel model = HistoryModel::list_append;
  bool recognised = false;           ///< the model was not named by the caller
  std::vector<ClaimVerdict> asked;   ///< one for each claim
  std::vector<ClaimVerdict> levels;  ///< every level there is; empty for models without
  std::optional<check::Claim> weakest_broken;
  std::vector<check::Claim> strongest;  ///< that hold, and are implied by no other
  /// Of the weakest level that is broken, then of each broken claim that was asked for.
  std::vector<Anomaly> anomalies;
  std::vector<InvolvedTransaction> involved;  ///< in the order of the file
  std::vector<std::string> rules;             ///< that were used to infer the order of versions
  std::vector<std::string> notes;
  std::size_t operations = 0, committed = 0, failed = 0, unknown = 0;

  /// Broken when any claim is; else unknown when any is.
  Judgement answer() const noexcept;
};

/// Fault::invalid with "LINE: what is wrong", where the text is no history or not of that model.
Result<Judged> judge_text(std::string_view text, const JudgeRequest& request);

}  // namespace lockstep::histories

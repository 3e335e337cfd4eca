// judge.cc: recognises, reads, judges, and puts it into words.
#include "engine/histories/judge.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "engine/check/isolation.h"
#include "engine/histories/read_transactions.h"

namespace lockstep::histories {
namespace {

using check::Claim;
using check::Findings;
using check::Level;
using check::Ordering;
using check::Transactions;
using Kind = Forms::Kind;

constexpr std::array<std::pair<HistoryModel, std::string_view>, 10> kModels = {
    {{HistoryModel::list_append, "list-append"},
     {HistoryModel::rw_register, "rw-register"},
     {HistoryModel::bank, "bank"},
     {HistoryModel::set, "set"},
     {HistoryModel::set_full, "set-full"},
     {HistoryModel::counter, "counter"},
     {HistoryModel::long_fork, "long-fork"},
     {HistoryModel::cas_register, "cas-register"},
     {HistoryModel::kv, "kv"},
     {HistoryModel::mutex, "mutex"}}};

bool has_levels(HistoryModel model) { return model == HistoryModel::list_append || model == HistoryModel::rw_register; }

// ---- which model

/// What the operations of a file look like.
struct Looks {
  std::set<std::string, std::less<>> f;
  bool transactions = false, appends = false, writes = false, list_read = false, single_read = false;
  bool nameless = false;  ///< an operation without f
  bool micro = false;     ///< values are lists of lists
  bool pairs = true;      ///< every value of a read or a write is [k v]
  bool own_keys = false;  ///< operations have a key
  bool map_read = false, number_read = false;
  std::size_t reads = 0;  ///< that succeeded
  std::size_t clients = 0;
};

class Recogniser {
 public:
  explicit Recogniser(EntryReader& reader) : reader_(reader) {}

  /// Nothing when no model fits.
  std::optional<HistoryModel> model() {
    for (Entry entry; reader_.next(entry);) {
      if (!entry.is_client) continue;
      ++looks_.clients;
      look_at(entry);
      if (looks_.appends || (looks_.transactions && (looks_.writes || looks_.list_read || looks_.single_read))) break;
    }
    return decide();
  }
  const Looks& looks() const noexcept { return looks_; }

 private:
  void look_at(const Entry& entry) {
    const Forms& forms = reader_.forms();
    const bool has_value = entry.value != Entry::kNoValue;
    const bool list = has_value && forms.node(entry.value).kind == Kind::list;
    const bool micro = list && forms.node(entry.value).size > 0 && forms.node(entry.value + 1).kind == Kind::list &&
                       forms.node(entry.value + 1).size > 0 && forms.node(entry.value + 2).kind == Kind::word;
    if (entry.has_f)
      looks_.f.emplace(entry.f);
    else
      looks_.nameless = true;
    if (entry.key != Entry::kNoValue) looks_.own_keys = true;
    if (entry.f == "txn" || (!entry.has_f && micro)) {
      looks_.transactions = true;
      if (list) look_at_steps(entry);
      return;
    }
    looks_.micro |= micro;
    const bool pair = list && forms.node(entry.value).size == 2;
    const bool nil = !has_value || forms.node(entry.value).kind == Kind::nil;
    if (entry.f == "write" || (entry.f == "read" && !nil)) looks_.pairs &= pair;
    if (entry.f != "read" || entry.phase != Phase::ok) return;
    ++looks_.reads;
    looks_.map_read |= has_value && forms.node(entry.value).kind == Kind::map;
    looks_.number_read |= has_value && forms.node(entry.value).kind == Kind::integer;
  }

  void look_at_steps(const Entry& entry) {
    const Forms& forms = reader_.forms();
    for (std::uint32_t at = entry.value + 1; at < forms.node(entry.value).end; at = forms.node(at).end) {
      if (forms.node(at).kind != Kind::list || forms.node(at).size < 2) continue;
      const std::string_view f = forms.node(at + 1).text;
      looks_.appends |= f == "append";
      looks_.writes |= f == "w";
      if (f != "r" || forms.node(at).size < 3) continue;
      const Kind value = forms.node(forms.node(at + 2).end).kind;
      looks_.list_read |= value == Kind::list;
      looks_.single_read |= value != Kind::list && value != Kind::nil;
    }
  }

  bool has(std::string_view f) const { return looks_.f.count(f) > 0; }
  /// Every f is one of these.
  bool only(std::initializer_list<std::string_view> names) const {
    return !looks_.nameless && std::all_of(looks_.f.begin(), looks_.f.end(), [&](const std::string& f) {
      return std::find(names.begin(), names.end(), f) != names.end();
    });
  }

  std::optional<HistoryModel> decide() const {
    if (looks_.transactions)
      return looks_.writes || (looks_.single_read && !looks_.appends) ? HistoryModel::rw_register
                                                                      : HistoryModel::list_append;
    if (looks_.f.empty()) return std::nullopt;
    if (has("transfer") || (only({"read"}) && looks_.map_read)) return HistoryModel::bank;
    if (only({"acquire", "release"})) return HistoryModel::mutex;
    if (has("add")) {
      if (looks_.number_read) return HistoryModel::counter;
      return looks_.reads > 1 ? HistoryModel::set_full : HistoryModel::set;
    }
    if (only({"read", "write"}) && looks_.micro) return HistoryModel::long_fork;
    if (only({"get", "put", "append", "read", "write", "cas"})) {
      const bool keyed = looks_.own_keys || has("put") || has("get") || ((has("write") || has("read")) && looks_.pairs);
      return keyed ? HistoryModel::kv : HistoryModel::cas_register;
    }
    return std::nullopt;
  }

  EntryReader& reader_;
  Looks looks_;
};

// ---- transactions

InvolvedTransaction involved_of(const Transactions& transactions, std::size_t number) {
  const Transactions::Item& item = transactions.item(number);
  InvolvedTransaction one;
  one.number = number;
  one.name = transactions.name_of(number);
  if (item.line > 0) one.line = std::to_string(item.line);
  if (item.process != Transactions::kNoProcess) one.process = std::to_string(item.process);
  if (item.end != Transactions::End::committed)
    one.outcome = item.end == Transactions::End::aborted ? "failed" : "outcome unknown";
  for (const Transactions::Step& step : transactions.steps_of(number))
    one.operations.push_back(transactions.text_of(step));
  return one;
}

void describe(const Findings& findings, const JudgeRequest& request, Judged& judged) {
  const Transactions& transactions = findings.transactions();
  const auto verdict_of = [&findings](Claim claim) {
    return ClaimVerdict{name_of(claim), findings.answer(claim), findings.why_unknown(claim)};
  };
  for (const Claim claim : check::all_claims()) judged.levels.push_back(verdict_of(claim));
  for (const Claim claim : request.claims) judged.asked.push_back(verdict_of(claim));
  judged.weakest_broken = findings.weakest_broken();
  judged.strongest = findings.strongest_holding();
  judged.rules = findings.rules;
  std::vector<Claim> shown;
  if (judged.weakest_broken) shown.push_back(*judged.weakest_broken);
  for (const Claim claim : request.claims)
    if (findings.answer(claim) == Judgement::broken) shown.push_back(claim);
  std::set<std::pair<std::string, std::string>> seen;
  std::set<std::size_t> involved;
  for (const Claim claim : shown) {
    for (Anomaly& anomaly : findings.anomalies(claim, request.anomalies_most)) {
      if (!seen.emplace(anomaly.name, anomaly.why).second) continue;
      involved.insert(anomaly.transactions.begin(), anomaly.transactions.end());
      judged.anomalies.push_back(std::move(anomaly));
    }
  }
  for (const std::size_t number : involved) judged.involved.push_back(involved_of(transactions, number));
}

Error written_twice(const Findings& findings) {
  const Transactions& transactions = findings.transactions();
  const auto& steps = transactions.steps();
  const auto [first, second] = *findings.written_twice;
  return {Fault::invalid,
          {},
          fmt::format("{}: {} is written to {} a second time, first in line {}: who was read cannot be told",
                      transactions.item(steps[second].transaction).line, transactions.text_of(steps[second].what),
                      transactions.text_of_key(steps[second].key), transactions.item(steps[first].transaction).line)};
}

Result<Judged> judge_transactions(EntryReader& reader, const JudgeRequest& request, Judged judged) {
  const bool lists = judged.model == HistoryModel::list_append;
  Result<FileTransactions> file = read_transactions(reader, lists ? Micro::lists : Micro::registers);
  if (!file) return file.error();
  judged.committed = file->committed;
  judged.failed = file->failed;
  judged.unknown = file->unknown;
  judged.operations = file->transactions.size();
  if (file->passed_over > 0)
    judged.notes.push_back(fmt::format("{} operations of no client were passed over", file->passed_over));
  if (file->without_f) judged.notes.emplace_back("operations without f were taken for transactions");
  if (file->without_process)
    judged.notes.emplace_back("operations without a process were paired one after another, and are of no session");
  const Findings findings =
      lists ? check::judge_lists(file->transactions) : check::judge_registers(file->transactions, request.versions);
  if (findings.written_twice) return written_twice(findings);
  describe(findings, request, judged);
  return judged;
}

// ---- the others

std::string claim_of(HistoryModel model, const ObjectRules& rules) {
  const bool linearizable = model == HistoryModel::cas_register || model == HistoryModel::kv ||
                            model == HistoryModel::mutex || (model == HistoryModel::set_full && rules.linearizable);
  return linearizable ? "linearizable" : std::string(name_of(model));
}

Result<ObjectVerdict> judge_object(const Calls& calls, const JudgeRequest& request, HistoryModel model, bool keyed) {
  switch (model) {
    case HistoryModel::bank:
      return judge_bank(calls, request.objects);
    case HistoryModel::set:
      return judge_set(calls);
    case HistoryModel::set_full:
      return judge_set_full(calls, request.objects);
    case HistoryModel::counter:
      return judge_counter(calls);
    case HistoryModel::long_fork:
      return judge_long_fork(calls);
    case HistoryModel::mutex:
      return judge_mutex(calls, request.objects);
    default:
      return judge_register(calls, request.objects, keyed);
  }
}

Result<Judged> judge_calls(EntryReader& reader, const JudgeRequest& request, Judged judged) {
  const Result<Calls> calls = read_calls(reader);
  if (!calls) return calls.error();
  judged.operations = calls->calls.size();
  for (const ClientCall& call : calls->calls)
    ++(call.end == Phase::ok ? judged.committed : call.end == Phase::fail ? judged.failed : judged.unknown);
  if (calls->passed_over > 0)
    judged.notes.push_back(fmt::format("{} operations of no client were passed over", calls->passed_over));
  Result<ObjectVerdict> verdict = judge_object(*calls, request, judged.model, judged.model == HistoryModel::kv);
  if (!verdict) return verdict.error();
  judged.asked.push_back({claim_of(judged.model, request.objects), verdict->answer, verdict->why_unknown});
  for (std::string& note : verdict->notes) judged.notes.push_back(std::move(note));
  std::map<std::string, std::size_t> counts;
  for (Anomaly& anomaly : verdict->anomalies)
    if (counts[anomaly.name]++ < request.anomalies_most) judged.anomalies.push_back(std::move(anomaly));
  return judged;
}

std::string known_models() {
  std::string names;
  for (const auto& [model, name] : kModels) names += (names.empty() ? "" : ", ") + std::string(name);
  return names;
}

}  // namespace

std::string_view name_of(HistoryModel model) noexcept { return kModels[static_cast<std::size_t>(model)].second; }

std::optional<HistoryModel> model_named(std::string_view name) noexcept {
  if (name == "register") return HistoryModel::cas_register;
  for (const auto& [model, its_name] : kModels)
    if (its_name == name) return model;
  return std::nullopt;
}

const std::vector<HistoryModel>& all_models() {
  static const std::vector<HistoryModel> all = [] {
    std::vector<HistoryModel> list;
    for (const auto& [model, name] : kModels) list.push_back(model);
    return list;
  }();
  return all;
}

std::string InvolvedTransaction::str() const {
  std::string text = name;
  if (!line.empty()) text += "  line " + line;
  if (!process.empty()) text += "  process " + process;
  if (!outcome.empty()) text += "  " + outcome;
  text += ' ';
  for (const std::string& operation : operations) text += " " + operation;
  return text;
}

Judgement Judged::answer() const noexcept {
  Judgement all = Judgement::holds;
  for (const ClaimVerdict& one : asked) {
    if (one.answer == Judgement::broken) return Judgement::broken;
    if (one.answer == Judgement::unknown) all = Judgement::unknown;
  }
  return asked.empty() ? Judgement::unknown : all;
}

Result<Judged> judge_text(std::string_view text, const JudgeRequest& request) {
  const std::optional<std::string> log = request.syntax ? std::nullopt : edn_of_log(text);
  if (log) text = *log;
  const Syntax syntax = request.syntax.value_or(log ? Syntax::edn : syntax_of(text));
  Judged judged;
  judged.recognised = !request.model;
  if (request.model) {
    judged.model = *request.model;
  } else {
    EntryReader reader(text, syntax);
    Recogniser recogniser(reader);
    const std::optional<HistoryModel> model = recogniser.model();
    if (reader.failed()) return Error{Fault::invalid, {}, reader.error()};
    if (!model && recogniser.looks().clients == 0) {
      judged.asked.push_back({"any", Judgement::unknown, "there is no operation of a client"});
      return judged;
    }
    if (!model)
      return Error{Fault::invalid, {}, fmt::format("1: no model is recognised; name one: --model {}", known_models())};
    judged.model = *model;
  }
  EntryReader reader(text, syntax);
  return has_levels(judged.model) ? judge_transactions(reader, request, std::move(judged))
                                  : judge_calls(reader, request, std::move(judged));
}

}  // namespace lockstep::histories

// run_history.cc: events to attempts, values to the writes that made them, both to lines.
#include "engine/histories/run_history.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <vector>

#include "engine/histories/lines.h"
#include "engine/record/known_rows.h"
#include "engine/record/moments.h"

namespace lockstep::histories {
namespace {

using record::Event;
using record::EventKind;
using record::Run;

constexpr std::uint64_t kNever = ~std::uint64_t{0};

/// What a row holds; nothing: it is not there.
using Value = std::optional<std::string>;

struct RowOp {
  bool writes = false;
  std::string key;
  std::optional<Value> value = {};        ///< nothing: not known
  std::uint64_t asked = 0, answered = 0;  ///< events
  std::uint64_t undone_at = kNever;       ///< of a write: rolled back to a savepoint
  std::optional<std::int64_t> adds = {};  ///< of a write: to what the op before it, a read, saw
};

struct Attempt {
  enum class End : std::uint8_t { committed, aborted, unknown };
  std::size_t process = 0;
  std::uint64_t began = 0, ended = kNever;
  End end = End::unknown;
  std::vector<RowOp> ops;
  std::vector<std::pair<std::string, std::size_t>> savepoints;  ///< with the ops before them
};

/// An op, by its place.
struct Place {
  std::size_t attempt = 0, op = 0;
  bool operator==(const Place&) const = default;
};

/// What a read saw.
struct Seen {
  bool initial = false;
  Place write;
};

std::optional<std::int64_t> number_in(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  std::int64_t number = 0;
  const auto [rest, wrong] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (wrong != std::errc() || rest == text.data()) return std::nullopt;
  return number;
}

Value value_of_answer(const std::string& detail) { return detail == "nothing" ? Value() : Value(detail); }

bool is_select(std::string_view sql) {
  constexpr std::string_view kSelect = "select";
  return sql.size() > kSelect.size() && std::equal(kSelect.begin(), kSelect.end(), sql.begin(), [](char a, char b) {
           return a == static_cast<char>(b >= 'A' && b <= 'Z' ? b + 32 : b);
         });
}

// ---- from events to attempts

class Attempts {
 public:
  /// `limits_are_told`: a request without the fact "limit" had none.
  Attempts(const Run& run, const std::set<std::string>& keys, bool limits_are_told)
      : keys_(keys), limits_are_told_(limits_are_told), open_(run.actors.size()) {
    for (const Event& event : run.events) take(event);
  }

  std::vector<Attempt> all;
  std::size_t left_out = 0;
  std::string refused;  ///< why there is no history; empty: there is

 private:
  void take(const Event& event) {
    if (event.actor < 0 || event.step == 0) return;
    if (event.kind == EventKind::request) asked_[event.step] = &event;
    const auto asked = asked_.find(event.step);
    if (asked == asked_.end()) return;
    if (event.kind == EventKind::grant) answer(*asked->second, event);
    if (event.kind == EventKind::fault && asked->second->verb == "commit")
      end(event, event.fault == Fault::outcome_unknown ? Attempt::End::unknown : Attempt::End::aborted);
  }

  std::optional<std::size_t>& open(const Event& event) { return open_[static_cast<std::size_t>(event.actor)]; }

  void end(const Event& event, Attempt::End how) {
    if (!open(event)) return;
    Attempt& attempt = all[*open(event)];
    attempt.end = how;
    if (how != Attempt::End::unknown) attempt.ended = event.seq;
    open(event).reset();
  }

  void answer(const Event& asked, const Event& event) {
    const std::string& verb = asked.verb;
    if (verb == "execute") {
      if (!is_select(asked.object)) refused = "statements in SQL do not say which rows they have changed";
      ++left_out;
      return;
    }
    if (verb == "begin") {
      open(event) = all.size();
      all.push_back(
          {.process = static_cast<std::size_t>(event.actor), .began = asked.seq, .ops = {}, .savepoints = {}});
      return;
    }
    if (!open(event)) return;
    Attempt& attempt = all[*open(event)];
    if (verb == "commit") return end(event, Attempt::End::committed);
    if (verb == "abort") return end(event, Attempt::End::aborted);
    if (verb == "savepoint") attempt.savepoints.emplace_back(asked.object, attempt.ops.size());
    if (verb == "rollback_to") roll_back(attempt, asked.object, event.seq);
    row(attempt, asked, event);
  }

  static void roll_back(Attempt& attempt, const std::string& name, std::uint64_t at) {
    auto& points = attempt.savepoints;
    while (!points.empty() && points.back().first != name) points.pop_back();
    if (points.empty()) return;
    for (std::size_t i = points.back().second; i < attempt.ops.size(); ++i)
      attempt.ops[i].undone_at = std::min(attempt.ops[i].undone_at, at);
  }

  void row(Attempt& attempt, const Event& asked, const Event& event) {
    const std::string& verb = asked.verb;
    const bool touched = event.detail.starts_with("1 row");
    const auto read = [&](std::optional<Value> value) {
      attempt.ops.push_back(
          {.key = asked.object, .value = std::move(value), .asked = asked.seq, .answered = event.seq});
    };
    const auto write = [&](std::optional<Value> value, std::optional<std::int64_t> adds = {}) {
      attempt.ops.push_back({.writes = true,
                             .key = asked.object,
                             .value = std::move(value),
                             .asked = asked.seq,
                             .answered = event.seq,
                             .adds = adds});
    };
    if (verb == "read" || verb == "read_for_update") read(value_of_answer(event.detail));
    if (verb == "write" || verb == "insert") write(Value(asked.detail));
    if (verb == "erase" && touched) write(Value());
    if (verb == "write_if" && touched) {
      const std::size_t middle = asked.detail.find(" if ");  // several: which one is not known
      const bool clear = middle != std::string::npos && asked.detail.rfind(" if ") == middle;
      read(clear ? std::optional<Value>(asked.detail.substr(middle + 4)) : std::nullopt);
      write(clear ? std::optional<Value>(asked.detail.substr(0, middle)) : std::nullopt);
    }
    if (verb == "add") {
      const auto sum = number_in(event.detail), delta = number_in(asked.detail);
      if (event.detail == "nothing") return read(Value());
      read(sum && delta ? std::optional<Value>(std::to_string(*sum - *delta)) : std::nullopt);
      write(Value(event.detail), delta);
    }
    if (verb == "add_if" && touched) {
      read(std::nullopt);
      write(std::nullopt, number_in(asked.detail));
    }
    if (verb == "scan" || verb == "scan_for_update") scan(attempt, asked, event);
  }

  /// The rows that were found, and which were not there. A scan is in order, so one with a limit says nothing of what
  /// is behind its last row. A long answer is not told whole.
  void scan(Attempt& attempt, const Event& asked, const Event& event) {
    const std::size_t middle = asked.object.find(", ");
    const std::string& text = event.detail;
    if (middle == std::string::npos || asked.object.rfind(", ") != middle || text.ends_with("…")) {
      ++left_out;
      return;
    }
    const std::string lower = asked.object.substr(1, middle - 1);
    const std::string upper = asked.object.substr(middle + 2, asked.object.size() - middle - 3);
    std::map<std::string, std::string> found;
    for (std::size_t at = 0; at < text.size() && text != "0 rows";) {
      const std::size_t end = std::min(text.find("; ", at), text.size());
      const std::string one = text.substr(at, end - at);
      const std::size_t is = one.find('=');
      const bool clear =
          is != std::string::npos && one.find('=', is + 1) == std::string::npos && keys_.count(one.substr(0, is)) > 0;
      if (!clear) {
        ++left_out;
        return;
      }
      found.emplace(one.substr(0, is), one.substr(is + 1));
      at = end + 2;
    }
    const bool may_end_early = !found.empty() && (!limits_are_told_ || !record::fact_of(asked, "limit").empty());
    bool ended_early = false;
    for (const std::string& key : keys_) {
      if (key < lower || (upper != "end" && key >= upper)) continue;
      const auto row = found.find(key);
      if (row == found.end() && may_end_early && key > found.rbegin()->first) {
        ended_early = true;
        continue;
      }
      attempt.ops.push_back({.key = key,
                             .value = row == found.end() ? Value() : Value(row->second),
                             .asked = asked.seq,
                             .answered = event.seq});
    }
    if (ended_early) ++left_out;
  }

  const std::set<std::string>& keys_;
  const bool limits_are_told_;
  std::map<std::uint32_t, const Event*> asked_;  // by step
  std::vector<std::optional<std::size_t>> open_;
};

// ---- from values to writes

class Versions {
 public:
  Versions(std::vector<Attempt>& attempts, const std::map<std::string, std::string>& given)
      : attempts_(attempts), given_(given) {
    for (std::size_t a = 0; a < attempts_.size(); ++a)
      for (std::size_t o = 0; o < attempts_[a].ops.size(); ++o)
        if (attempts_[a].ops[o].writes) writes_[attempts_[a].ops[o].key].push_back({a, o});
    // What one read saw tells what an add has made, which other reads may have seen.
    for (bool changed = true; changed;) {
      changed = false;
      for (std::size_t a = 0; a < attempts_.size(); ++a)
        for (std::size_t o = 0; o < attempts_[a].ops.size(); ++o) changed |= learn({a, o});
    }
    name_writes();
  }

  /// Nothing: not certain.
  std::optional<Seen> seen_by(const Place& place) const {
    const RowOp& op = at(place);
    if (!op.value) return std::nullopt;
    if (const auto own = own_write(place); own && (!at(*own).value || at(*own).value == op.value))
      return Seen{false, *own};
    std::vector<Place> fitting, likely;
    for (const Place& write : writes_of(op.key)) {
      if (at(write).asked >= op.answered || (at(write).value && at(write).value != op.value)) continue;
      fitting.push_back(write);
      if (!was_gone(write, op)) likely.push_back(write);
    }
    const auto row = given_.find(op.key);
    const bool initial = *op.value == (row == given_.end() ? Value() : Value(row->second));
    if (initial) return likely.empty() ? std::optional(Seen{true, {}}) : std::nullopt;
    if (likely.empty()) likely = fitting;
    return likely.size() == 1 ? std::optional(Seen{false, likely.front()}) : std::nullopt;
  }

  const RowOp& at(const Place& place) const { return attempts_[place.attempt].ops[place.op]; }
  const std::string& name_of(const Place& write) const { return names_.at({write.attempt, write.op}); }

 private:
  const std::vector<Place>& writes_of(const std::string& key) const {
    static const std::vector<Place> kNone;
    const auto found = writes_.find(key);
    return found == writes_.end() ? kNone : found->second;
  }

  /// What the transaction itself had written last, and not undone, when it asked.
  std::optional<Place> own_write(const Place& place) const {
    for (std::size_t o = place.op; o-- > 0;) {
      const RowOp& op = attempts_[place.attempt].ops[o];
      if (op.writes && op.key == at(place).key && op.undone_at > at(place).asked) return Place{place.attempt, o};
    }
    return std::nullopt;
  }

  /// Undone, or overwritten by its own transaction, before the read asked. A read that saw it all the same is believed
  /// where nothing else explains it.
  bool was_gone(const Place& write, const RowOp& read) const {
    const Attempt& attempt = attempts_[write.attempt];
    if (attempt.end == Attempt::End::aborted && attempt.ended < read.asked) return true;
    if (at(write).undone_at < read.asked) return true;
    for (std::size_t o = write.op + 1; o < attempt.ops.size(); ++o) {
      const RowOp& next = attempt.ops[o];
      if (next.writes && next.key == at(write).key && next.undone_at == kNever && next.answered < read.asked)
        return true;
    }
    return false;
  }

  bool learn(const Place& place) {
    RowOp& op = attempts_[place.attempt].ops[place.op];
    if (op.writes) {
      if (op.value || !op.adds || place.op == 0) return false;
      const std::optional<Value>& before = attempts_[place.attempt].ops[place.op - 1].value;
      const auto number = before && *before ? number_in(**before) : std::nullopt;
      if (number) op.value = Value(std::to_string(*number + *op.adds));
      return number.has_value();
    }
    const auto seen = seen_by(place);
    if (!seen || seen->initial) return false;
    RowOp& write = attempts_[seen->write.attempt].ops[seen->write.op];
    if (write.value) return false;
    write.value = op.value;
    const auto sum = *op.value ? number_in(**op.value) : std::nullopt;
    if (sum && write.adds && seen->write.op > 0)
      attempts_[seen->write.attempt].ops[seen->write.op - 1].value = Value(std::to_string(*sum - *write.adds));
    return true;
  }

  void name_writes() {
    for (const auto& [key, places] : writes_) {
      std::map<std::string, int> count;
      const auto row = given_.find(key);
      if (row != given_.end()) ++count[row->second];
      for (const Place& place : places) {
        const std::optional<Value>& value = at(place).value;
        std::string name = !value ? "?" : *value ? **value : "gone";
        const int number = ++count[name];
        // One that is a name already gets another number.
        if (number > 1) name = fmt::format("{} #{}", name, number);
        while (!taken_.emplace(key, name).second) name += "'";
        names_[{place.attempt, place.op}] = std::move(name);
      }
    }
  }

  std::vector<Attempt>& attempts_;
  const std::map<std::string, std::string>& given_;
  std::map<std::string, std::vector<Place>> writes_;
  std::map<std::pair<std::size_t, std::size_t>, std::string> names_;
  std::set<std::pair<std::string, std::string>> taken_;
};

// ---- to lines

/// A begin or an end.
struct RunMoment {
  std::uint64_t at = 0;
  std::size_t attempt = 0;
  bool ends = false;
};

class RunLines {
 public:
  RunLines(const std::vector<Attempt>& attempts, const Versions& versions, std::size_t actors, Syntax syntax)
      : attempts_(attempts), versions_(versions), stride_(actors + 1), lines_(syntax) {}

  RunHistory history() {
    std::vector<RunMoment> moments;
    for (std::size_t i = 0; i < attempts_.size(); ++i) {
      moments.push_back({attempts_[i].began, i, false});
      if (attempts_[i].ended != kNever || attempts_[i].end == Attempt::End::committed)
        moments.push_back({attempts_[i].ended, i, true});
    }
    std::stable_sort(moments.begin(), moments.end(),
                     [](const RunMoment& a, const RunMoment& b) { return a.at < b.at; });
    std::vector<std::size_t> lives(stride_, 0);  // of each process: one that never heard the outcome begins a new one
    std::vector<int> process(attempts_.size(), 0);
    for (const RunMoment& moment : moments) {
      const Attempt& attempt = attempts_[moment.attempt];
      if (!moment.ends) {
        const std::size_t life =
            attempt.end == Attempt::End::unknown ? lives[attempt.process]++ : lives[attempt.process];
        process[moment.attempt] = static_cast<int>(attempt.process + life * stride_);
        lines_.line(process[moment.attempt], "invoke", value_of(moment.attempt, false));
        continue;
      }
      const bool committed = attempt.end == Attempt::End::committed;
      lines_.line(process[moment.attempt], committed ? "ok" : "fail", value_of(moment.attempt, committed));
      undone(moment.attempt, static_cast<int>(stride_ * (attempts_.size() + 1) + moment.attempt));
    }
    result_.text = lines_.take();
    return std::move(result_);
  }

 private:
  std::string value_of(std::size_t attempt, bool completed) {
    std::string value;
    for (std::size_t o = 0; o < attempts_[attempt].ops.size(); ++o) {
      const RowOp& op = attempts_[attempt].ops[o];
      const std::string key = lines_.quoted(op.key);
      if (op.writes) {
        if (op.undone_at == kNever) lines_.step(value, "w", key, lines_.quoted(versions_.name_of({attempt, o})));
      } else if (!completed) {
        lines_.step(value, "r", key, lines_.nil());
      } else if (const auto seen = versions_.seen_by({attempt, o})) {
        const bool own_undone =
            !seen->initial && seen->write.attempt == attempt && versions_.at(seen->write).undone_at != kNever;
        if (own_undone) continue;
        ++result_.reads;
        lines_.step(value, "r", key, seen->initial ? lines_.nil() : lines_.quoted(versions_.name_of(seen->write)));
      } else {
        ++result_.left_out;
      }
    }
    return value;
  }

  /// What was rolled back to a savepoint is a transaction that failed.
  void undone(std::size_t attempt, int process) {
    std::string value;
    for (std::size_t o = 0; o < attempts_[attempt].ops.size(); ++o) {
      const RowOp& op = attempts_[attempt].ops[o];
      if (op.writes && op.undone_at != kNever)
        lines_.step(value, "w", lines_.quoted(op.key), lines_.quoted(versions_.name_of({attempt, o})));
    }
    if (value.empty()) return;
    lines_.line(process, "invoke", value);
    lines_.line(process, "fail", value);
  }

  const std::vector<Attempt>& attempts_;
  const Versions& versions_;
  const std::size_t stride_;
  HistoryLines lines_;
  RunHistory result_;
};

/// Those that the run begins or ends with, or has named.
std::set<std::string> keys_of(const Run& run, const std::map<std::string, std::string>& given,
                              const record::KnownRows& known) {
  std::set<std::string> keys;
  for (const auto& [key, value] : given) keys.insert(key);
  if (known.ends)
    for (const auto& [key, value] : *known.ends) keys.insert(key);
  for (const Event& event : run.events)
    if (event.kind == EventKind::request && (event.verb == "insert" || event.verb == "write"))
      keys.insert(event.object);
  return keys;
}

/// Reads the rows at the end, of those keys that the run has touched.
void add_end(std::vector<Attempt>& attempts, const record::KnownRows& known, std::size_t process) {
  if (!known.ends) return;
  const std::map<std::string, std::string> rows(known.ends->begin(), known.ends->end());
  std::set<std::string> touched;
  for (const Attempt& attempt : attempts)
    for (const RowOp& op : attempt.ops) touched.insert(op.key);
  Attempt end{.process = process,
              .began = kNever - 2,
              .ended = kNever - 1,
              .end = Attempt::End::committed,
              .ops = {},
              .savepoints = {}};
  for (const std::string& key : touched) {
    const auto row = rows.find(key);
    end.ops.push_back({.key = key,
                       .value = row == rows.end() ? Value() : Value(row->second),
                       .asked = end.began,
                       .answered = end.ended});
  }
  if (!end.ops.empty()) attempts.push_back(std::move(end));
}

Error no_history(const std::string& why) { return {Fault::invalid, {}, "no history can be written: " + why}; }

}  // namespace

Result<RunHistory> history_of(const Run& run, Syntax syntax) {
  if (run.store.empty() || run.store == record::kNoStore) return no_history("the run uses no store");
  const auto moments_document = run.documents.find(record::kMomentsDocument);
  const auto rows_document = run.documents.find(record::kKnownRowsDocument);
  record::KnownRows known;
  if (rows_document != run.documents.end()) {
    Result<record::KnownRows> read = record::known_rows_of(rows_document->second);
    if (!read) return read.error();
    known = std::move(*read);
  }
  if (!known.untold.empty()) return no_history(known.untold);
  if (moments_document == run.documents.end()) return no_history("the recording does not say what the rows were");
  const Result<record::Moments> moments = record::moments_of(moments_document->second);
  if (!moments) return moments.error();
  const std::map<std::string, std::string> given(moments->given.begin(), moments->given.end());
  Attempts attempts(run, keys_of(run, given, known), !known.by_times);
  if (!attempts.refused.empty()) return no_history(attempts.refused);
  if (attempts.all.empty()) return no_history("the run has no transactions");
  add_end(attempts.all, known, run.actors.size());
  const Versions versions(attempts.all, given);
  RunHistory history = RunLines(attempts.all, versions, run.actors.size(), syntax).history();
  history.left_out += attempts.left_out;
  return history;
}

}  // namespace lockstep::histories

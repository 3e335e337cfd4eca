// isolation.cc: from a history to its dependency graph, with the anomalies that show on the way.
#include "engine/check/isolation.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>
#include <unordered_map>

#include "engine/check/cycles.h"

namespace lockstep::check {
namespace {

using Kind = Operation::Kind;
constexpr std::size_t kNobody = static_cast<std::size_t>(-1);  // the writer of the state before the first write

/// What one transaction made of a key: consecutive elements of its list.
struct Version {
  std::size_t writer = kNobody;
  std::size_t length = 0;  // of the list, with it
  bool absent = true;
};

struct Write {
  std::size_t writer = kNobody;
  std::string key;
  bool is_erase = false;
  bool undone = false;
};

class Judge {
 public:
  Judge(const History& history, Level level) : history_(history), level_(level), graph_(history.transactions.size()) {}

  std::vector<Anomaly> judge() {
    collect_writes();
    for (const auto& [key, list] : history_.final) order(key, list);
    for (const auto& [element, write] : writes_)
      if (is_committed(write.writer) && !write.undone && placed_.count(element) == 0)
        report("lost write", fmt::format("{} committed {} of {}, which is not in the end's list of {}",
                                         name(write.writer), element, write.key, write.key));
    for (std::size_t i = 0; i < history_.transactions.size(); ++i)
      if (is_committed(i)) read_back(i);
    for (std::size_t i = 0; i < history_.transactions.size(); ++i)
      if (is_committed(i)) graph_.add_times(i, transaction(i).began_at, transaction(i).ended_at);
    graph_.close_times();
    const auto rule = level_ == Level::read_committed ? Graph::Rule::no_rw
                      : level_ == Level::snapshot     ? Graph::Rule::no_two_rw_in_a_row
                                                      : Graph::Rule::any;
    for (const Graph::Cycle& cycle : graph_.cycles(rule)) report(name_of(cycle), proof_of(cycle));
    return std::move(anomalies_);
  }

 private:
  const Transaction& transaction(std::size_t i) const { return history_.transactions[i]; }
  std::string name(std::size_t i) const { return i == kNobody ? "nobody" : transaction(i).name; }

  /// A commit whose outcome is unknown happened if anything of it can be seen at the end.
  bool is_committed(std::size_t i) const {
    return transaction(i).end == Transaction::End::committed ||
           (transaction(i).end == Transaction::End::unknown && seen_.count(i) > 0);
  }

  void report(std::string what, std::string why) { anomalies_.push_back({std::move(what), std::move(why)}); }

  void collect_writes() {
    for (std::size_t i = 0; i < history_.transactions.size(); ++i)
      for (const Operation& op : transaction(i).operations)
        if (op.kind == Kind::append || op.kind == Kind::erase)
          writes_[op.element] = {i, op.key, op.kind == Kind::erase, op.undone};
    for (const auto& [key, list] : history_.final)
      for (const Element element : list)
        if (const auto write = writes_.find(element); write != writes_.end()) seen_.insert(write->second.writer);
  }

  /// What is wrong with an element that others see, apart from its place; empty when nothing is.
  std::string what_is_wrong_with(Element element, const std::string& key) const {
    const auto found = writes_.find(element);
    if (found == writes_.end() || found->second.key != key) return fmt::format("nobody ever wrote it to {}", key);
    if (!is_committed(found->second.writer))
      return fmt::format("{}, who wrote it, did not commit", name(found->second.writer));
    if (found->second.undone) return fmt::format("{} rolled it back to a savepoint", name(found->second.writer));
    return {};
  }

  void order(const std::string& key, const List& list) {
    std::vector<Version>& versions = versions_[key];
    versions.push_back({});
    for (std::size_t i = 0; i < list.size(); ++i) {
      const Element element = list[i];
      if (!placed_.insert(element).second) {
        report("duplicate write", fmt::format("{} is twice in the end's list of {}", element, key));
        continue;
      }
      if (const std::string wrong = what_is_wrong_with(element, key); !wrong.empty()) {
        report("G1a", fmt::format("{} is in the end's list of {}: {}", element, key, wrong));
        continue;
      }
      const Write& write = writes_[element];
      if (versions.back().writer != write.writer) {
        if (versions.back().writer != kNobody)
          graph_.add(versions.back().writer, write.writer, Graph::Edge::ww,
                     fmt::format("overwrote its write of {} ({})", key, element));
        versions.push_back({write.writer, 0, false});
      }
      versions.back().length = i + 1;
      versions.back().absent = write.is_erase;
    }
  }

  void read_back(std::size_t reader) {
    std::map<std::string, const Operation*> own;  // its latest write of each key
    std::set<std::string> unsure;                 // keys of which a write was undone
    for (const Operation& op : transaction(reader).operations) {
      const auto mine = own.find(op.key);
      if (op.kind == Kind::append || op.kind == Kind::erase) {
        if (op.undone)
          unsure.insert(op.key);
        else
          own[op.key] = &op;
      } else if (op.kind == Kind::read) {
        if (mine != own.end() && std::find(op.list.begin(), op.list.end(), mine->second->element) == op.list.end())
          report("internal",
                 fmt::format("{} read {} without its own write {}", name(reader), op.key, mine->second->element));
        saw_list(reader, op);
      } else if (mine == own.end() && unsure.count(op.key) == 0) {
        saw_absence(reader, op);
      } else if (mine != own.end() && mine->second->kind == Kind::append && unsure.count(op.key) == 0) {
        report("internal", fmt::format("{} did not find {} after its own write", name(reader), op.key));
      }
    }
  }

  void saw_list(std::size_t reader, const Operation& op) {
    std::size_t length = op.list.size();
    const auto is_own = [&](Element element) {
      const auto found = writes_.find(element);
      return found != writes_.end() && found->second.writer == reader;
    };
    while (length > 0 && is_own(op.list[length - 1])) --length;
    static const List nothing;
    const auto whole = history_.final.find(op.key);
    const List& order = whole == history_.final.end() ? nothing : whole->second;
    for (std::size_t i = 0; i < length; ++i) {
      if (i < order.size() && op.list[i] == order[i]) continue;
      const std::string wrong = what_is_wrong_with(op.list[i], op.key);
      report(wrong.empty() ? "incompatible order" : "G1a",
             fmt::format("{} read {} as the {}th write of {}: {}", name(reader), op.list[i], i + 1, op.key,
                         !wrong.empty()     ? wrong
                         : i < order.size() ? fmt::format("at the end {} is there", order[i])
                                            : "at the end it is not there"));
      return;
    }
    const std::vector<Version>& versions = versions_[op.key];
    for (std::size_t v = 0; v < versions.size(); ++v) {
      if (versions[v].length < length) continue;
      if (versions[v].length > length) {
        report("G1b", fmt::format("{} read {} of {}, which {} itself overwrote", name(reader), op.list[length - 1],
                                  op.key, name(versions[v].writer)));
        return;
      }
      depends(reader, op, v);
      return;
    }
  }

  void saw_absence(std::size_t reader, const Operation& op) {
    const auto found = versions_.find(op.key);
    if (found == versions_.end()) return;  // it was never there
    const std::vector<Version>& versions = found->second;
    std::optional<std::size_t> candidate;
    std::size_t candidates = 0;
    for (std::size_t v = 0; v < versions.size(); ++v) {
      if (!versions[v].absent) continue;
      const bool too_new = versions[v].writer != kNobody && versions[v].writer != reader &&
                           transaction(versions[v].writer).began_at > transaction(reader).ended_at;
      const bool too_old = v + 1 < versions.size() && versions[v + 1].writer != reader &&
                           transaction(versions[v + 1].writer).ended_at < transaction(reader).began_at;
      if (too_new || too_old) continue;
      candidate = v;
      ++candidates;
    }
    if (candidates == 0)
      report("stale absence", fmt::format("{} did not find {}, which was there all the time", name(reader), op.key));
    if (candidates == 1) depends(reader, op, *candidate);
  }

  /// `reader` saw version `v`: after its writer, before the writer of the next.
  void depends(std::size_t reader, const Operation& op, std::size_t v) {
    const std::vector<Version>& versions = versions_[op.key];
    const auto what = op.kind == Kind::absent ? "the absence" : "the list";
    if (versions[v].writer != kNobody && versions[v].writer != reader)
      graph_.add(versions[v].writer, reader, Graph::Edge::wr,
                 fmt::format("read {} of {} that it left ({} writes)", what, op.key, versions[v].length));
    if (v + 1 < versions.size() && versions[v + 1].writer != reader)
      graph_.add(reader, versions[v + 1].writer, Graph::Edge::rw,
                 fmt::format("changed {} of {} that it had read ({} writes)", what, op.key, versions[v].length));
  }

  static std::string name_of(const Graph::Cycle& cycle) {
    std::size_t rw = 0;
    std::size_t wr = 0;
    bool timed = false;
    for (const Graph::Step& step : cycle) {
      rw += step.edge == Graph::Edge::rw;
      wr += step.edge == Graph::Edge::wr;
      timed |= step.edge == Graph::Edge::time;
    }
    const std::string name = rw > 1 ? "G2" : rw == 1 ? "G-single" : wr > 0 ? "G1c" : "G0";
    return timed ? name + "-realtime" : name;
  }

  std::string proof_of(const Graph::Cycle& cycle) const {
    std::string text;
    for (const Graph::Step& step : cycle)
      text += fmt::format("{}{} before {}: {} {}", text.empty() ? "" : "\n", name(step.from), name(step.to),
                          name(step.to), step.edge == Graph::Edge::time ? "began after it had ended" : *step.why);
    return text;
  }

  const History& history_;
  const Level level_;
  Graph graph_;
  std::unordered_map<Element, Write> writes_;
  std::set<std::size_t> seen_;  // transactions that wrote something that is there at the end
  std::set<Element> placed_;    // what is there at the end
  std::map<std::string, std::vector<Version>> versions_;
  std::vector<Anomaly> anomalies_;
};

}  // namespace

std::vector<Anomaly> anomalies_of(const History& history, Level level) { return Judge(history, level).judge(); }

}  // namespace lockstep::check

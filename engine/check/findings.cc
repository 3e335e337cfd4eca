// findings.cc: from cycles and wrong steps to levels, and to words.
#include "engine/check/findings.h"

#include <fmt/format.h>

#include <algorithm>

namespace lockstep::check {
namespace {

using Step = Transactions::Step;
using Deed = Transactions::Deed;
using Edge = Graph::Edge;

constexpr std::size_t kWrongsKept = 1000;  // of each kind; all are counted
constexpr std::size_t kElementsShown = 12;

bool is_rw(Edge edge) { return edge == Edge::rw || edge == Edge::rw_then_ww; }

const char* short_name(Edge edge) {
  switch (edge) {
    case Edge::ww:
      return "ww";
    case Edge::wr:
      return "wr";
    case Edge::session:
      return "process";
    case Edge::time:
      return "time";
    default:
      return "rw";
  }
}

}  // namespace

void Findings::report(const Wrong& wrong) {
  const auto kind = static_cast<std::size_t>(wrong.kind);
  if (counts_[kind]++ < kWrongsKept) wrongs_[kind].push_back(wrong);
}

void Findings::settle(Claim claim, Judgement answer, std::string why) {
  settled_.push_back({claim, answer, std::move(why)});
}

bool Findings::breaks(FaultKind kind, Level level) noexcept {
  if (kind == FaultKind::duplicate_element) return true;
  if (kind == FaultKind::internal)
    return level != Level::read_uncommitted && level != Level::read_committed && level != Level::repeatable_read;
  return level != Level::read_uncommitted;
}

Graph::Rule Findings::rule_of(Level level) noexcept {
  switch (level) {
    case Level::read_uncommitted:
      return Graph::Rule::ww_only;
    case Level::read_committed:
    case Level::read_atomic:
      return Graph::Rule::no_rw;
    case Level::snapshot:
      return Graph::Rule::no_two_rw_in_a_row;
    default:
      return Graph::Rule::any;
  }
}

const Findings::SettledClaim* Findings::settled(Claim claim) const {
  const auto found =
      std::find_if(settled_.begin(), settled_.end(), [claim](const SettledClaim& one) { return one.claim == claim; });
  return found == settled_.end() ? nullptr : &*found;
}

bool Findings::has_cycle(Claim claim) const {
  constexpr int kRules = 4, kOrders = 3;
  const int rule = static_cast<int>(rule_of(claim.level)), order = static_cast<int>(claim.ordering);
  const auto known = [this](int r, int o) -> std::int8_t& {
    return cycles_[static_cast<std::size_t>(r * kOrders + o)];
  };
  // A cycle under a rule is one under every rule that forbids more, and with every order that has more edges. So the
  // strictest question comes first: a "no" answers all others, and a "yes" takes little time.
  for (int r = kRules - 1; known(rule, order) < 0 && r >= rule; --r) {
    for (int o = kOrders - 1; known(rule, order) < 0 && o >= order; --o) {
      if (known(r, o) >= 0) continue;
      const bool found = graph.has_cycle(static_cast<Graph::Rule>(r), static_cast<Ordering>(o));
      for (int other = 0; other < kRules; ++other)
        for (int its = 0; its < kOrders; ++its)
          if (found ? other >= r && its >= o : other <= r && its <= o) known(other, its) = found ? 1 : 0;
    }
  }
  return known(rule, order) == 1;
}

Judgement Findings::answer(Claim claim) const {
  bool any = false;
  for (std::size_t kind = 0; kind < kFaultKinds; ++kind) {
    if (counts_[kind] == 0) continue;
    any = true;
    if (breaks(static_cast<FaultKind>(kind), claim.level)) return Judgement::broken;
  }
  if (has_cycle(claim)) return Judgement::broken;
  if (const SettledClaim* known = settled(claim)) return known->answer;
  return any || graph.has_edges() || graph.has(claim.ordering) ? Judgement::holds : Judgement::unknown;
}

std::string Findings::why_unknown(Claim claim) const {
  if (answer(claim) != Judgement::unknown) return {};
  if (const SettledClaim* known = settled(claim)) return known->why;
  if (std::none_of(committed.begin(), committed.end(), [](char one) { return one != 0; }))
    return "no transaction committed";
  return "no transaction saw another";
}

std::optional<Claim> Findings::weakest_broken() const {
  for (const Claim claim : all_claims())
    if (answer(claim) == Judgement::broken) return claim;
  return std::nullopt;
}

std::vector<Claim> Findings::strongest_holding() const {
  std::vector<Claim> holding;
  for (const Claim claim : all_claims())
    if (answer(claim) == Judgement::holds) holding.push_back(claim);
  std::vector<Claim> strongest;
  for (const Claim one : holding) {
    if (std::none_of(holding.begin(), holding.end(),
                     [one](Claim other) { return !(other == one) && implies(other, one); }))
      strongest.push_back(one);
  }
  return strongest;
}

std::vector<Anomaly> Findings::anomalies(Claim claim, std::size_t most) const {
  std::vector<Anomaly> all;
  for (std::size_t kind = 0; kind < kFaultKinds; ++kind) {
    if (!breaks(static_cast<FaultKind>(kind), claim.level)) continue;
    for (std::size_t i = 0; i < wrongs_[kind].size() && i < most; ++i) all.push_back(described(wrongs_[kind][i]));
  }
  for (const Graph::Cycle& cycle : graph.cycles(rule_of(claim.level), claim.ordering, most).some)
    all.push_back(described(cycle));
  if (all.empty()) {
    const SettledClaim* known = settled(claim);
    if (known != nullptr && known->answer == Judgement::broken)
      all.push_back({.name = "no order of versions", .why = known->why});
  }
  return all;
}

std::string Findings::name_of(const Graph::Cycle& cycle) const {
  std::size_t rw = 0, wr = 0, overwriting = 0;
  bool session = false, time = false, adjacent = false;
  for (std::size_t i = 0; i < cycle.size(); ++i) {
    const Edge edge = cycle[i].edge;
    rw += is_rw(edge) ? 1 : 0;
    wr += edge == Edge::wr ? 1 : 0;
    overwriting += edge == Edge::rw_then_ww ? 1 : 0;
    adjacent |= is_rw(edge) && is_rw(cycle[(i + 1) % cycle.size()].edge);
    session |= edge == Edge::session;
    time |= edge == Edge::time;
  }
  std::string name = rw == 0 ? (wr > 0 ? "G1c" : "G0") : rw == 1 ? "G-single" : adjacent ? "G2-item" : "G-nonadjacent";
  const auto& steps = transactions_.steps();
  if (cycle.size() == 2 && rw > 0 && overwriting == rw &&
      (rw == 2 || cycle[0].edge == Edge::ww || cycle[1].edge == Edge::ww) &&
      steps[cycle[0].why].key == steps[cycle[1].why].key)
    name = "lost update";
  return time ? name + "-realtime" : session ? name + "-process" : name;
}

const Step* Findings::write_of(std::uint32_t transaction, std::uint32_t key, bool last) const {
  const Step* found = nullptr;
  for (const Step& step : transactions_.steps_of(transaction)) {
    if (step.key != key || !step.writes() || step.undone != 0) continue;
    found = &step;
    if (!last) break;
  }
  return found;
}

std::string Findings::list_text(const Step& read) const {
  if (read.kind() == Deed::look || read.writes()) return transactions_.text_of(read.what);
  if (read.kind() == Deed::absent) return "nil";
  const auto list = transactions_.list_of(read);
  std::string text;
  if (list.size() > kElementsShown) text = fmt::format("{} elements, the last:", list.size());
  for (std::size_t i = list.size() > kElementsShown ? list.size() - 3 : 0; i < list.size(); ++i)
    text += (text.empty() ? "" : " ") + transactions_.text_of(list[i]);
  return "[" + text + "]";
}

std::string Findings::text_of(const Graph::Hop& hop) const {
  const std::string from = transactions_.name_of(hop.from), to = transactions_.name_of(hop.to);
  if (hop.edge == Edge::time) return fmt::format("{} began after {} had ended", to, from);
  if (hop.edge == Edge::session)
    return fmt::format("{} came after {} in process {}", to, from, transactions_.item(hop.to).process);
  const Step& step = transactions_.steps()[hop.why];
  const std::string key = transactions_.text_of_key(step.key);
  if (hop.edge == Edge::wr) return fmt::format("{} read {} = {}, which {} had left", to, key, list_text(step), from);
  const Step* written = hop.edge == Edge::ww ? &step : write_of(hop.to, step.key, false);
  const std::string element = written != nullptr ? transactions_.text_of(written->what) : "?";
  const bool adds = written != nullptr && written->kind() == Deed::append;
  const std::string wrote = adds ? fmt::format("{} appended {} to {}", to, element, key)
                                 : fmt::format("{} overwrote {} with {}", to, key, element);
  if (hop.edge == Edge::ww) {
    const Step* before = write_of(hop.from, step.key, true);
    return before == nullptr ? wrote
                             : fmt::format("{} after {}'s {}", wrote, from, transactions_.text_of(before->what));
  }
  return fmt::format("{}, of which {} had read {}", wrote, from, list_text(step));
}

Anomaly Findings::described(const Graph::Cycle& cycle) const {
  Anomaly anomaly{.name = name_of(cycle), .why = {}};
  for (const Graph::Hop& hop : cycle) {
    const std::string from = transactions_.name_of(hop.from), to = transactions_.name_of(hop.to);
    anomaly.why += fmt::format("{}{} before {}: {}", anomaly.why.empty() ? "" : "\n", from, to, text_of(hop));
    std::string what = short_name(hop.edge);
    if (hop.edge != Edge::time && hop.edge != Edge::session)
      what += " " + transactions_.text_of_key(transactions_.steps()[hop.why].key);
    anomaly.cycle.push_back({from, to, std::move(what)});
    anomaly.transactions.push_back(hop.from);
  }
  return anomaly;
}

Anomaly Findings::described(const Wrong& wrong) const {
  const std::string key = transactions_.text_of_key(wrong.key);
  const std::string element = transactions_.text_of(wrong.element);
  const std::string who = wrong.transaction == kNone ? std::string() : transactions_.name_of(wrong.transaction);
  const Step* other = wrong.other == kNone ? nullptr : &transactions_.steps()[wrong.other];
  const std::string writer = other == nullptr ? std::string() : transactions_.name_of(other->transaction);
  const Step* step = wrong.step == kNone ? nullptr : &transactions_.steps()[wrong.step];
  const std::string saw = who.empty() || step == nullptr ? fmt::format("{} is in the end's list of {}", element, key)
                                                         : fmt::format("{} read {} = {}", who, key, list_text(*step));
  Anomaly anomaly{.name = "G1a", .why = {}};
  if (wrong.transaction != kNone) anomaly.transactions.push_back(wrong.transaction);
  if (other != nullptr && other->transaction != wrong.transaction) anomaly.transactions.push_back(other->transaction);
  switch (wrong.kind) {
    case FaultKind::duplicate_element:
      anomaly.name = "duplicate elements";
      anomaly.why = fmt::format("{}, {} twice", saw, element);
      break;
    case FaultKind::aborted_read:
      anomaly.why = fmt::format("{}: {}, who wrote {}, did not commit", saw, writer, element);
      break;
    case FaultKind::undone_read:
      anomaly.why = fmt::format("{}: {} rolled {} back to a savepoint", saw, writer, element);
      break;
    case FaultKind::garbage_read:
      anomaly.why = fmt::format("{}: nobody ever wrote {} to {}", saw, element, key);
      break;
    case FaultKind::intermediate_read:
      anomaly.name = "G1b";
      anomaly.why = fmt::format("{}, where {} is not the last that {} wrote", saw, element, writer);
      break;
    case FaultKind::incompatible_order:
      anomaly.name = "incompatible order";
      anomaly.why = fmt::format("{}, and {} = {} elsewhere: neither begins with the other", saw, key,
                                other != nullptr ? list_text(*other) : "another list");
      if (other != nullptr && other->writes()) anomaly.why = fmt::format("{}, which does not fit the end's list", saw);
      break;
    case FaultKind::own_order:
      anomaly.name = "incompatible order";
      anomaly.why = fmt::format("{} wrote {} to {} before {}, which others saw without it or before it", who, element,
                                key, other != nullptr ? transactions_.text_of(other->what) : "another");
      break;
    case FaultKind::future_read:
      anomaly.name = "G1c";
      anomaly.why = fmt::format("{}, though it wrote {} only later", saw, element);
      break;
    case FaultKind::lost_write:
      anomaly.name = "lost write";
      anomaly.why = fmt::format("{} committed {} of {}, which is not in the end's list of {}", who, element, key, key);
      break;
    case FaultKind::stale_absence:
      anomaly.name = "stale absence";
      anomaly.why = fmt::format("{} did not find {}, which was there all the time", who, key);
      break;
    case FaultKind::internal:
      anomaly.name = "internal";
      anomaly.why = fmt::format("{}, which does not follow from what it had read or written of {} before", saw, key);
      break;
  }
  return anomaly;
}

}  // namespace lockstep::check

// registers.cc: the order of versions, the graph that follows from it, and the search where it is not known.
#include "engine/check/registers.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <queue>
#include <unordered_map>

#include "engine/check/by_key.h"
#include "engine/check/version_search.h"

namespace lockstep::check {
namespace {

using Step = Transactions::Step;
using Deed = Transactions::Deed;
using End = Transactions::End;
using Edge = Graph::Edge;

constexpr std::uint32_t kInitial = 0;  // the version before any write

/// One key: its versions, the first the initial one, and what is known of their order.
struct Register {
  struct Before {
    std::uint32_t earlier = 0, later = 0;  // versions
  };
  std::uint32_t key = 0;
  std::vector<std::uint32_t> writes;                // the step that made each version; kNone: the initial one
  std::vector<std::vector<std::uint32_t>> readers;  // of each version, the steps: one of each transaction
  std::vector<Before> order;
  bool ordered = false;  // every two versions
};

/// One transaction's part in one key.
struct Visit {
  std::uint32_t transaction = 0;
  std::uint32_t first = kNone, last = kNone;  // versions that it met
};

class RegisterJudge {
 public:
  RegisterJudge(const Transactions& transactions, const VersionRules& rules)
      : transactions_(transactions),
        steps_(transactions.steps()),
        rules_(rules),
        by_key_(transactions),
        findings_(transactions) {}

  Findings judge() {
    for (std::size_t i = 0; i < transactions_.size(); ++i)
      findings_.committed[i] = transactions_.item(i).end == End::committed ? 1 : 0;
    for (std::uint32_t key = 0; key < transactions_.keys(); ++key) find_seen(key);
    if (findings_.written_twice) return std::move(findings_);
    for (std::uint32_t key = 0; key < transactions_.keys(); ++key) judge_key(key);
    for (const Register& one : registers_) add_edges(one);
    add_orders(findings_);
    findings_.graph.close();
    name_rules();
    if (std::any_of(registers_.begin(), registers_.end(), [](const Register& one) { return !one.ordered; })) settle();
    return std::move(findings_);
  }

 private:
  bool is_committed(std::uint32_t transaction) const { return findings_.committed[transaction] != 0; }
  std::uint32_t transaction_of(std::uint32_t step) const { return steps_[step].transaction; }

  void find_seen(std::uint32_t key) {
    table_.fill(findings_, by_key_.of(key));
    for (const std::uint32_t at : by_key_.of(key)) {
      const Step& step = steps_[at];
      if (step.kind() != Deed::look || step.what == Transactions::kNil) continue;
      if (transactions_.item(step.transaction).end != End::committed) continue;
      const std::uint32_t writer = table_.find(step.what);
      if (writer != kNone && transactions_.item(transaction_of(writer)).end == End::unknown)
        findings_.committed[transaction_of(writer)] = 1;
    }
  }

  // ---- one key

  void judge_key(std::uint32_t key) {
    table_.fill(findings_, by_key_.of(key));
    Register& one = registers_.emplace_back();
    one.key = key;
    one.writes.push_back(kNone);
    const auto steps = by_key_.of(key);
    version_of_.clear();
    for (std::size_t i = 0; i < steps.size(); ++i) {
      const bool is_last = i + 1 == steps.size() || transaction_of(steps[i + 1]) != transaction_of(steps[i]);
      if (is_last && is_committed(transaction_of(steps[i]))) note_version(one, steps, i);
    }
    one.readers.resize(one.writes.size());
    visits_.clear();
    for (std::size_t i = 0; i < steps.size();) {
      std::size_t end = i;
      while (end < steps.size() && transaction_of(steps[end]) == transaction_of(steps[i])) ++end;
      if (is_committed(transaction_of(steps[i]))) judge_steps(one, steps.subspan(i, end - i));
      i = end;
    }
    if (rules_.sequential_keys) order_by_session(one);
    if (rules_.linearizable_keys) order_by_time(one);
    if (rules_.initial_state)
      for (std::uint32_t v = 1; v < one.writes.size(); ++v) one.order.push_back({kInitial, v});
    one.ordered = is_ordered(one);
  }

  /// The last write of the transaction whose last step of the key is `steps[last]`.
  void note_version(Register& one, std::span<const std::uint32_t> steps, std::size_t last) {
    const std::uint32_t transaction = transaction_of(steps[last]);
    for (std::size_t i = last + 1; i-- > 0 && transaction_of(steps[i]) == transaction;) {
      if (!steps_[steps[i]].writes()) continue;
      version_of_[steps[i]] = static_cast<std::uint32_t>(one.writes.size());
      one.writes.push_back(steps[i]);
      return;
    }
  }

  void judge_steps(Register& one, std::span<const std::uint32_t> steps) {
    Visit visit{.transaction = transaction_of(steps.front())};
    std::uint32_t own = kNone;    // its latest write
    const Step* known = nullptr;  // what it must read again
    for (const std::uint32_t at : steps) {
      const Step& step = steps_[at];
      if (step.writes()) {
        own = at;
        known = &step;
        continue;
      }
      if (known != nullptr && known->what != step.what) report(FaultKind::internal, at, own, step.what);
      if (known == nullptr || known->kind() == Deed::look) known = &step;
      if (const std::uint32_t version = version_read(at); version != kNone) {
        auto& readers = one.readers[version];
        if (readers.empty() || transaction_of(readers.back()) != step.transaction) readers.push_back(at);
        if (visit.first == kNone) visit.first = version;
        if (own == kNone) visit.last = version;
      }
    }
    if (own != kNone) {
      const std::uint32_t written = version_of_[own];
      if (rules_.writes_follow_reads && visit.last != kNone && visit.last != written)
        one.order.push_back({visit.last, written});
      if (visit.first == kNone) visit.first = written;
      visit.last = written;
    }
    if (visit.first != kNone) visits_.push_back(visit);
  }

  /// The version that a step read of another transaction; kNone when there is none, or it is no version.
  std::uint32_t version_read(std::uint32_t at) {
    const Step& step = steps_[at];
    if (step.what == Transactions::kNil) return kInitial;
    const std::uint32_t writer = table_.find(step.what);
    if (writer == kNone) {
      report(FaultKind::garbage_read, at, kNone, step.what);
    } else if (transaction_of(writer) == step.transaction) {
      if (writer > at) report(FaultKind::future_read, at, writer, step.what);
    } else if (!is_committed(transaction_of(writer))) {
      report(FaultKind::aborted_read, at, writer, step.what);
    } else if (const auto version = version_of_.find(writer); version != version_of_.end()) {
      return version->second;
    } else {
      report(FaultKind::intermediate_read, at, writer, step.what);
    }
    return kNone;
  }

  void report(FaultKind kind, std::uint32_t at, std::uint32_t other, Element element) {
    findings_.report({.kind = kind,
                      .transaction = transaction_of(at),
                      .step = at,
                      .other = other,
                      .element = element,
                      .key = steps_[at].key});
  }

  void order_by_session(Register& one) {
    std::unordered_map<std::uint32_t, std::uint32_t> last;  // the version that each process met last
    for (const Visit& visit : visits_) {
      const std::uint32_t process = transactions_.item(visit.transaction).process;
      if (process == Transactions::kNoProcess) continue;
      const auto before = last.find(process);
      if (before != last.end()) add_order(one, before->second, visit.first);
      last[process] = visit.last;
    }
  }

  /// Only from those that ended last before another began: the others follow.
  void order_by_time(Register& one) {
    std::vector<const Visit*> by_end;
    for (const Visit& visit : visits_)
      if (transactions_.item(visit.transaction).end == End::committed) by_end.push_back(&visit);
    std::sort(by_end.begin(), by_end.end(), [this](const Visit* a, const Visit* b) {
      return transactions_.item(a->transaction).ended < transactions_.item(b->transaction).ended;
    });
    for (const Visit& visit : visits_) {
      const std::int64_t began = transactions_.item(visit.transaction).began;
      auto at = std::lower_bound(by_end.begin(), by_end.end(), began, [this](const Visit* v, std::int64_t time) {
        return transactions_.item(v->transaction).ended < time;
      });
      std::int64_t latest_began = INT64_MIN;
      while (at != by_end.begin()) {
        --at;
        const Transactions::Item& item = transactions_.item((*at)->transaction);
        if (item.ended < latest_began) break;
        latest_began = std::max(latest_began, item.began);
        add_order(one, (*at)->last, visit.first);
      }
    }
  }

  static void add_order(Register& one, std::uint32_t earlier, std::uint32_t later) {
    if (earlier != later && later != kInitial) one.order.push_back({earlier, later});
  }

  /// The versions in an order that keeps what is known, the least by `by` first; empty when there is none.
  template <class By>
  static std::vector<std::uint32_t> an_order(const Register& one, const By& by, bool* unique) {
    const std::size_t count = one.writes.size();
    std::vector<std::uint32_t> before(count, 0), sorted;
    std::vector<std::vector<std::uint32_t>> after(count);
    for (const auto& [earlier, later] : one.order) {
      after[earlier].push_back(later);
      ++before[later];
    }
    using Place = std::pair<std::int64_t, std::uint32_t>;
    std::priority_queue<Place, std::vector<Place>, std::greater<>> free;
    for (std::uint32_t v = 0; v < count; ++v)
      if (before[v] == 0) free.emplace(v == kInitial ? INT64_MIN : by(v), v);
    while (!free.empty()) {
      if (unique != nullptr && free.size() > 1) *unique = false;
      const std::uint32_t v = free.top().second;
      free.pop();
      sorted.push_back(v);
      for (const std::uint32_t next : after[v])
        if (--before[next] == 0) free.emplace(by(next), next);
    }
    if (sorted.size() < count) sorted.clear();
    return sorted;
  }

  /// A circle among versions shows as a cycle in the graph: nothing more is to be known.
  static bool is_ordered(const Register& one) {
    bool unique = true;
    const auto sorted = an_order(one, [](std::uint32_t v) { return std::int64_t{v}; }, &unique);
    return sorted.empty() || unique;
  }

  // ---- the graph

  void add_edges(const Register& one) {
    add_reads(findings_.graph, one);
    std::vector<std::vector<std::uint32_t>> later(one.writes.size());  // steps that wrote the versions after it
    for (const auto& [earlier, version] : one.order) later[earlier].push_back(one.writes[version]);
    for (std::uint32_t v = 0; v < one.writes.size(); ++v) {
      auto& writers = later[v];
      std::sort(writers.begin(), writers.end());
      writers.erase(std::unique(writers.begin(), writers.end()), writers.end());
      for (const std::uint32_t writer : writers)
        if (v != kInitial) findings_.graph.add(transaction_of(one.writes[v]), transaction_of(writer), Edge::ww, writer);
      add_all_before(findings_.graph, transactions_, one.readers[v], writers);
    }
  }

  void add_reads(Graph& graph, const Register& one) const {
    for (std::uint32_t v = 1; v < one.writes.size(); ++v)
      for (const std::uint32_t reader : one.readers[v])
        graph.add(transaction_of(one.writes[v]), transaction_of(reader), Edge::wr, reader);
  }

  void name_rules() {
    const auto used = [this](bool by, const char* name) {
      if (by) findings_.rules.emplace_back(name);
    };
    used(rules_.initial_state, "initial-state");
    used(rules_.writes_follow_reads, "writes-follow-reads");
    used(rules_.sequential_keys, "sequential-keys");
    used(rules_.linearizable_keys, "linearizable-keys");
  }

  // ---- where the order is not known

  void settle() {
    std::vector<Claim> open;
    for (const Claim claim : all_claims()) {
      const bool needs_order = claim.level >= Level::repeatable_read;
      if (needs_order && findings_.answer(claim) == Judgement::holds) open.push_back(claim);
    }
    std::vector<std::int64_t> ends(transactions_.size()), begins(transactions_.size()), places;
    for (std::size_t i = 0; i < transactions_.size(); ++i) {
      ends[i] = transactions_.item(i).ended;
      begins[i] = transactions_.item(i).began;
    }
    places.assign(transactions_.size(), 0);
    const auto sorted = findings_.graph.order(ends);
    for (std::size_t i = 0; i < sorted.size(); ++i) places[sorted[i]] = static_cast<std::int64_t>(i);
    for (const auto& by : {places, ends, begins}) {
      if (open.empty()) return;
      const Graph graph = graph_with(by);
      std::erase_if(open, [&](Claim claim) {
        const auto rule = claim.level == Level::snapshot ? Graph::Rule::no_two_rw_in_a_row : Graph::Rule::any;
        return !graph.has_cycle(rule, claim.ordering);
      });
    }
    for (const Claim claim : open) search(claim);
  }

  /// The graph that follows when versions stand in the order of their writers' values in `by`.
  Graph graph_with(const std::vector<std::int64_t>& by) {
    Findings trial(transactions_);
    trial.committed = findings_.committed;
    for (const Register& one : registers_) {
      add_reads(trial.graph, one);
      const auto sorted = an_order(one, [&](std::uint32_t v) { return by[transaction_of(one.writes[v])]; }, nullptr);
      for (std::size_t i = 0; i + 1 < sorted.size(); ++i) {
        const std::uint32_t writer = one.writes[sorted[i + 1]];
        if (sorted[i] != kInitial)
          trial.graph.add(transaction_of(one.writes[sorted[i]]), transaction_of(writer), Edge::ww, writer);
        for (const std::uint32_t reader : one.readers[sorted[i]])
          if (transaction_of(reader) != transaction_of(writer))
            trial.graph.add(transaction_of(reader), transaction_of(writer), Edge::rw, reader);
      }
    }
    add_orders(trial);
    trial.graph.close();
    return std::move(trial.graph);
  }

  std::string open_key() const {
    for (const Register& one : registers_)
      if (!one.ordered) return transactions_.text_of_key(one.key);
    return {};
  }

  /// Every part that shares no key with another is searched by itself; with an order of time there is one part.
  void search(Claim claim) {
    const std::string unknown = fmt::format("versions of {} cannot be ordered; try --linearizable-keys", open_key());
    std::vector<std::uint32_t> part(transactions_.size());
    std::iota(part.begin(), part.end(), 0U);
    const auto root = [&part](std::uint32_t t) {
      while (part[t] != t) t = part[t] = part[part[t]];
      return t;
    };
    for (std::uint32_t key = 0; key < transactions_.keys(); ++key) join(key, part, root);
    std::uint32_t any = kNone;
    for (std::uint32_t t = 0; t < transactions_.size() && claim.ordering != Ordering::none; ++t) {
      if (!is_committed(t)) continue;
      if (any == kNone) any = t;
      part[root(t)] = root(any);
    }
    std::unordered_map<std::uint32_t, std::vector<std::uint32_t>> members;
    for (std::uint32_t t = 0; t < transactions_.size(); ++t)
      if (is_committed(t)) members[root(t)].push_back(t);
    Judgement answer = Judgement::holds;
    for (const auto& [first, all] : members) {
      const Judgement one =
          all.size() > VersionSearch::kTransactionsMost ? Judgement::unknown : search_part(claim, all);
      if (one == Judgement::broken) return findings_.settle(claim, one, proof_of(all));
      if (one == Judgement::unknown) answer = one;
    }
    findings_.settle(claim, answer, unknown);
  }

  template <class Root>
  void join(std::uint32_t key, std::vector<std::uint32_t>& part, const Root& root) const {
    std::uint32_t first = kNone;
    for (const std::uint32_t at : by_key_.of(key)) {
      if (!is_committed(transaction_of(at))) continue;
      if (first == kNone) first = transaction_of(at);
      part[root(transaction_of(at))] = root(first);
    }
  }

  std::string proof_of(const std::vector<std::uint32_t>& members) const {
    std::string names;
    for (const std::uint32_t t : members) names += (names.empty() ? "" : ", ") + transactions_.name_of(t);
    return fmt::format("every order of the versions of {} was tried: none fits what {} saw", open_key(), names);
  }

  Judgement search_part(Claim claim, const std::vector<std::uint32_t>& members) {
    std::unordered_map<std::uint32_t, std::uint32_t> bits;
    for (const std::uint32_t t : members) bits.emplace(t, static_cast<std::uint32_t>(bits.size()));
    VersionSearch search(claim.level == Level::snapshot);
    const auto add = [&](std::uint32_t from, std::uint32_t to, Edge edge) {
      const auto a = bits.find(from), b = bits.find(to);
      if (a != bits.end() && b != bits.end() && a->second != b->second) search.add(a->second, b->second, edge);
    };
    for (const Register& one : registers_) {
      std::vector<VersionSearch::Set> readers(one.writes.size(), 0);
      VersionSearch::Set writers = 0;
      bool inside = true;
      for (std::uint32_t v = 0; v < one.writes.size(); ++v) {
        if (v != kInitial) {
          const auto writer = bits.find(transaction_of(one.writes[v]));
          if (writer == bits.end())
            inside = false;
          else
            writers |= VersionSearch::Set{1} << writer->second;
        }
        for (const std::uint32_t reader : one.readers[v]) {
          if (v != kInitial) add(transaction_of(one.writes[v]), transaction_of(reader), Edge::wr);
          if (const auto place = bits.find(transaction_of(reader)); place != bits.end())
            readers[v] |= VersionSearch::Set{1} << place->second;
        }
      }
      if (!inside) continue;
      for (const std::uint32_t reader : one.readers[kInitial])
        for (std::uint32_t v = 1; v < one.writes.size() && rules_.initial_state; ++v)
          add(transaction_of(reader), transaction_of(one.writes[v]),
              writes_key_of(transactions_, reader) ? Edge::rw_then_ww : Edge::rw);
      for (const auto& [earlier, later] : one.order)
        if (earlier != kInitial) add(transaction_of(one.writes[earlier]), transaction_of(one.writes[later]), Edge::ww);
      for (std::uint32_t a = 1; a < one.writes.size(); ++a)
        for (std::uint32_t b = a + 1; b < one.writes.size(); ++b)
          search.add({.a = bits.at(transaction_of(one.writes[a])),
                      .b = bits.at(transaction_of(one.writes[b])),
                      .readers_of_a = readers[a],
                      .readers_of_b = readers[b],
                      .writers = writers});
    }
    search.add_orders(transactions_, members, claim.ordering);
    return search.answer();
  }

  const Transactions& transactions_;
  const std::vector<Step>& steps_;
  const VersionRules rules_;
  const StepsByKey by_key_;
  Findings findings_;
  WriteTable table_;
  std::unordered_map<std::uint32_t, std::uint32_t> version_of_;  // of the steps that made the key's versions
  std::vector<Visit> visits_;
  std::vector<Register> registers_;
};

}  // namespace

Findings judge_registers(const Transactions& transactions, const VersionRules& rules) {
  return RegisterJudge(transactions, rules).judge();
}

}  // namespace lockstep::check

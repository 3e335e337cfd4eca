// isolation.cc: from lists that were read to the dependency graph, with what is wrong on the way.
#include "engine/check/isolation.h"

#include <algorithm>

#include "engine/check/by_key.h"
#include "engine/check/version_search.h"

namespace lockstep::check {
namespace {

using Step = Transactions::Step;
using Deed = Transactions::Deed;
using End = Transactions::End;
using Edge = Graph::Edge;

constexpr std::size_t kSearchedMost = 64 * VersionSearch::kTransactionsMost;  // committed or not

/// What one transaction made of a key: consecutive elements of its list.
struct Version {
  std::uint32_t writer = kNone;  // kNone: the state before the first write
  std::uint32_t length = 0;      // of the list, with it
  std::uint32_t step = kNone;    // the first of its writes
  bool absent = true;
};

class ListJudge {
 public:
  explicit ListJudge(const Transactions& transactions)
      : transactions_(transactions),
        steps_(transactions.steps()),
        by_key_(transactions),
        findings_(transactions),
        owners_from_(transactions.keys() + 1, 0) {}

  Findings judge() {
    for (std::size_t i = 0; i < transactions_.size(); ++i)
      findings_.committed[i] = transactions_.item(i).end == End::committed ? 1 : 0;
    for (std::uint32_t key = 0; key < transactions_.keys(); ++key) find_owners(key);
    if (findings_.written_twice) return std::move(findings_);
    for (std::uint32_t key = 0; key < transactions_.keys(); ++key) judge_key(key);
    add_orders(findings_);
    findings_.graph.close();
    for (const Ordering ordering : {Ordering::none, Ordering::session, Ordering::real_time}) settle(ordering);
    return std::move(findings_);
  }

 private:
  bool is_committed(std::uint32_t transaction) const { return findings_.committed[transaction] != 0; }
  std::uint32_t transaction_of(std::uint32_t step) const { return steps_[step].transaction; }

  static bool reads(const Step& step) { return step.kind() == Deed::read; }

  /// The list that the others are compared with: the one at the end, else the longest that a committed one read.
  std::span<const Element> truth(std::uint32_t key) const {
    std::span<const Element> longest = transactions_.spine(key);
    if (transactions_.ended_with(key) || transactions_.odd_lists() == 0) return longest;
    for (const std::uint32_t at : by_key_.of(key)) {
      if (!reads(steps_[at]) || transactions_.item(transaction_of(at)).end != End::committed) continue;
      const auto list = transactions_.list_of(steps_[at]);
      if (list.size() > longest.size()) longest = list;
    }
    return longest;
  }

  /// Who wrote each element of the key's list; a commit of unknown outcome happened if anything of it was seen.
  void find_owners(std::uint32_t key) {
    table_.fill(findings_, by_key_.of(key));
    const auto list = truth(key);
    owners_from_[key] = owners_.size();
    for (const Element element : list) owners_.push_back(table_.find(element));
    const auto seen = [this](std::uint32_t step) {
      if (step != kNone && transactions_.item(transaction_of(step)).end == End::unknown)
        findings_.committed[transaction_of(step)] = 1;
    };
    for (std::size_t i = owners_from_[key]; i < owners_.size(); ++i) seen(owners_[i]);
    owners_from_[key + 1] = owners_.size();
    if (transactions_.ended_with(key) || transactions_.odd_lists() == 0) return;
    for (const std::uint32_t at : by_key_.of(key)) {
      if (!is_odd(steps_[at]) || transactions_.item(transaction_of(at)).end != End::committed) continue;
      for (const Element element : transactions_.list_of(steps_[at])) seen(table_.find(element));
    }
  }

  static bool is_odd(const Step& step) { return reads(step) && (step.what & Transactions::kOdd) != 0; }

  // ---- one key

  void judge_key(std::uint32_t key) {
    key_ = key;
    const auto steps = by_key_.of(key);
    if (steps.empty() && owners_from_[key] == owners_from_[key + 1]) return;
    list_ = truth(key);
    owners_of_key_ = std::span(owners_).subspan(owners_from_[key], list_.size());
    spine_agrees_ = agreeing(transactions_.spine(key));
    table_is_filled_ = false;
    order_versions();
    wholes_.clear();
    for (std::size_t i = 0; i < steps.size();) {
      std::size_t end = i;
      while (end < steps.size() && transaction_of(steps[end]) == transaction_of(steps[i])) ++end;
      if (is_committed(transaction_of(steps[i]))) judge_steps(steps.subspan(i, end - i));
      i = end;
    }
    place_unread(steps);
  }

  /// How many elements `list` begins with as the truth does.
  std::size_t agreeing(std::span<const Element> list) const {
    if (list.data() == list_.data()) return list.size();
    const std::size_t common = std::min(list.size(), list_.size());
    return static_cast<std::size_t>(
        std::mismatch(list.begin(), list.begin() + static_cast<std::ptrdiff_t>(common), list_.begin()).first -
        list.begin());
  }

  std::optional<FaultKind> what_is_wrong_with(std::uint32_t owner) const {
    if (owner == kNone) return FaultKind::garbage_read;
    if (!is_committed(transaction_of(owner))) return FaultKind::aborted_read;
    if (steps_[owner].undone != 0) return FaultKind::undone_read;
    return std::nullopt;
  }

  void order_versions() {
    versions_.clear();
    versions_.push_back({});
    version_at_.resize(list_.size());
    bad_.clear();
    strays_.clear();
    const bool fixed = transactions_.ended_with(key_);
    for (std::uint32_t i = 0; i < list_.size(); ++i) {
      const std::uint32_t owner = owners_of_key_[i];
      version_at_[i] = static_cast<std::uint32_t>(versions_.size() - 1);
      const bool placed = owner != kNone && !place(owner, i);
      if (placed) {
        bad_.push_back(i);
        report_in_list(FaultKind::duplicate_element, i, fixed);
        continue;
      }
      if (const auto wrong = what_is_wrong_with(owner)) {
        bad_.push_back(i);
        if (owner == kNone) strays_.emplace_back(list_[i], i);
        if (fixed) report_in_list(*wrong, i, fixed);
        continue;
      }
      const std::uint32_t writer = transaction_of(owner);
      if (versions_.back().writer != writer) {
        if (versions_.back().writer != kNone) findings_.graph.add(versions_.back().writer, writer, Edge::ww, owner);
        versions_.push_back({writer, 0, owner, false});
      }
      versions_.back().length = i + 1;
      versions_.back().absent = steps_[owner].kind() == Deed::erase;
      version_at_[i] = static_cast<std::uint32_t>(versions_.size() - 1);
    }
    // What nobody wrote can stand there twice all the same.
    std::sort(strays_.begin(), strays_.end());
    for (std::size_t i = 1; i < strays_.size(); ++i)
      if (strays_[i].first == strays_[i - 1].first)
        report_in_list(FaultKind::duplicate_element, strays_[i].second, fixed);
  }

  /// False when the step has a place already.
  bool place(std::uint32_t step, std::uint32_t at) {
    if (places_.size() < steps_.size()) places_.resize(steps_.size(), kNone);
    if (places_[step] != kNone) return false;
    places_[step] = at;
    return true;
  }
  std::uint32_t place_of(std::uint32_t step) const { return step < places_.size() ? places_[step] : kNone; }

  void report_in_list(FaultKind kind, std::uint32_t at, bool fixed) {
    std::uint32_t reader = kNone;  // the first that read so far
    for (const std::uint32_t step : by_key_.of(key_)) {
      if (fixed) break;
      if (reads(steps_[step]) && is_committed(transaction_of(step)) &&
          transactions_.list_of(steps_[step]).size() > at && agreeing(transactions_.list_of(steps_[step])) > at) {
        reader = step;
        break;
      }
    }
    findings_.report({.kind = kind,
                      .transaction = reader == kNone ? kNone : transaction_of(reader),
                      .step = reader == kNone ? owners_of_key_[at] : reader,
                      .other = owners_of_key_[at],
                      .element = list_[at],
                      .key = key_});
  }

  // ---- one transaction's steps of one key

  void judge_steps(std::span<const std::uint32_t> steps) {
    const std::uint32_t transaction = transaction_of(steps.front());
    own_.clear();
    bool unsure = false;  // a write of it was undone, it is not known when
    const Step* before = nullptr;
    bool writes = false;
    for (const std::uint32_t at : steps) writes |= steps_[at].writes() && steps_[at].undone == 0;
    std::uint32_t last_write = kNone;
    for (const std::uint32_t at : steps) {
      const Step& step = steps_[at];
      if (step.writes()) {
        if (step.undone != 0) {
          unsure = true;
          continue;
        }
        own_.push_back(at);
        check_own_order(last_write, at);
        last_write = at;
      } else if (step.kind() == Deed::read) {
        if (!unsure) check_internal(at, before);
        read_list(at, transaction, writes, unsure);
        before = &step;
        own_.clear();
      } else if (last_write == kNone) {
        if (!unsure) read_absence(at, transaction, writes);
      } else if (steps_[last_write].kind() == Deed::append && !unsure) {
        findings_.report({.kind = FaultKind::internal, .transaction = transaction, .step = at, .key = key_});
      }
    }
    if (transactions_.ended_with(key_))
      for (const std::uint32_t at : steps)
        if (steps_[at].writes() && steps_[at].undone == 0 && place_of(at) == kNone)
          findings_.report({.kind = FaultKind::lost_write,
                            .transaction = transaction,
                            .step = at,
                            .element = steps_[at].what,
                            .key = key_});
  }

  /// What it wrote first stands first, unless both were never read.
  void check_own_order(std::uint32_t before, std::uint32_t after) {
    if (before == kNone || place_of(after) == kNone || transactions_.ended_with(key_)) return;
    if (place_of(before) != kNone && place_of(before) < place_of(after)) return;
    findings_.report({.kind = FaultKind::own_order,
                      .transaction = transaction_of(before),
                      .step = before,
                      .other = after,
                      .element = steps_[before].what,
                      .key = key_});
  }

  /// The list is the one that it read before with all that it wrote since, or ends with what it wrote.
  void check_internal(std::uint32_t at, const Step* before) {
    if (before == nullptr && own_.empty()) return;
    const auto list = transactions_.list_of(steps_[at]);
    bool fits = list.size() >= own_.size();
    for (std::size_t i = 0; fits && i < own_.size(); ++i)
      fits = list[list.size() - own_.size() + i] == steps_[own_[i]].what;
    if (fits && before != nullptr) {
      const auto known = transactions_.list_of(*before);
      fits = list.size() == known.size() + own_.size() && std::equal(known.begin(), known.end(), list.begin());
    }
    if (fits) return;
    findings_.report({.kind = FaultKind::internal,
                      .transaction = transaction_of(at),
                      .step = at,
                      .other = own_.empty() ? kNone : own_.back(),
                      .key = key_});
  }

  std::uint32_t owner_of(Element element) {
    if (!table_is_filled_) table_.fill(findings_, by_key_.of(key_));
    table_is_filled_ = true;
    return table_.find(element);
  }

  void read_list(std::uint32_t at, std::uint32_t reader, bool writes, bool unsure) {
    const auto list = transactions_.list_of(steps_[at]);
    std::size_t length = list.size();
    const bool odd = is_odd(steps_[at]);
    // What it undid later was at the end of what it saw.
    while (odd && unsure && length > 0) {
      const std::uint32_t owner = owner_of(list[length - 1]);
      if (owner == kNone || transaction_of(owner) != reader || steps_[owner].undone == 0) break;
      --length;
    }
    const std::size_t agrees = odd ? agreeing(list) : std::min(spine_agrees_, length);
    if (agrees < length) return read_something_else(at, list.first(length), agrees);
    while (length > 0 && owners_of_key_[length - 1] != kNone && transaction_of(owners_of_key_[length - 1]) == reader) {
      if (owners_of_key_[length - 1] > at)
        findings_.report({.kind = FaultKind::future_read,
                          .transaction = reader,
                          .step = at,
                          .element = list_[length - 1],
                          .key = key_});
      --length;
    }
    if (!bad_.empty() && bad_.front() < length && !report_bad(at, reader, length)) return;
    if (length > 0) {
      const std::uint32_t owner = owners_of_key_[length - 1];
      const Version& version = versions_[version_at_[length - 1]];
      if (version.writer != kNone && version.writer != reader)
        findings_.graph.add(version.writer, reader, Edge::wr, at);
      if (owner != kNone && is_followed(owner)) {
        findings_.report({.kind = FaultKind::intermediate_read,
                          .transaction = reader,
                          .step = at,
                          .other = owner,
                          .element = list_[length - 1],
                          .key = key_});
        return;
      }
    }
    precede_next(at, reader, length, writes);
  }

  /// Adds the edge to the transaction that overwrote the version of that length.
  void precede_next(std::uint32_t at, std::uint32_t reader, std::size_t length, bool writes) {
    const std::size_t next = length == 0 ? 1 : version_at_[length - 1] + 1;
    if (next < versions_.size()) {
      if (versions_[next].writer != reader)
        findings_.graph.add(reader, versions_[next].writer, writes ? Edge::rw_then_ww : Edge::rw, at);
    } else if (length == list_.size() && (wholes_.empty() || transaction_of(wholes_.back()) != reader)) {
      wholes_.push_back(at);
    }
  }

  /// What was read and should not be there; false: the last of it, so that no edge can be drawn.
  bool report_bad(std::uint32_t at, std::uint32_t reader, std::size_t length) {
    for (const std::uint32_t place : bad_) {
      if (place >= length) break;
      const auto wrong = what_is_wrong_with(owners_of_key_[place]);
      if (!wrong) continue;  // a duplicate, of the list itself
      findings_.report({.kind = *wrong,
                        .transaction = reader,
                        .step = at,
                        .other = owners_of_key_[place],
                        .element = list_[place],
                        .key = key_});
    }
    return std::find(bad_.begin(), bad_.end(), length - 1) == bad_.end();
  }

  /// Its writer wrote the key again later.
  bool is_followed(std::uint32_t owner) const {
    const std::uint32_t writer = transaction_of(owner);
    for (std::uint32_t next = owner + 1; next < steps_.size() && transaction_of(next) == writer; ++next)
      if (steps_[next].key == key_ && steps_[next].writes() && steps_[next].undone == 0) return true;
    return false;
  }

  void read_something_else(std::uint32_t at, std::span<const Element> list, std::size_t agrees) {
    const std::uint32_t reader = transaction_of(at);
    bool explained = false;
    for (std::size_t i = 0; i < list.size(); ++i) {
      const std::uint32_t owner = owner_of(list[i]);
      const auto wrong = what_is_wrong_with(owner);
      if (!wrong || (owner != kNone && transaction_of(owner) == reader)) continue;
      explained |= i >= agrees;
      findings_.report(
          {.kind = *wrong, .transaction = reader, .step = at, .other = owner, .element = list[i], .key = key_});
    }
    sorted_.assign(list.begin(), list.end());
    std::sort(sorted_.begin(), sorted_.end());
    if (const auto twice = std::adjacent_find(sorted_.begin(), sorted_.end()); twice != sorted_.end()) {
      explained = true;
      findings_.report(
          {.kind = FaultKind::duplicate_element, .transaction = reader, .step = at, .element = *twice, .key = key_});
    }
    if (explained) return;
    findings_.report({.kind = FaultKind::incompatible_order,
                      .transaction = reader,
                      .step = at,
                      .other = reader_of_truth(),
                      .element = list[agrees],
                      .key = key_});
  }

  /// A step that read the whole list that the others are compared with.
  std::uint32_t reader_of_truth() const {
    for (const std::uint32_t step : by_key_.of(key_))
      if (reads(steps_[step]) && is_committed(transaction_of(step)) &&
          transactions_.list_of(steps_[step]).size() == list_.size() &&
          agreeing(transactions_.list_of(steps_[step])) == list_.size())
        return step;
    return owners_of_key_.empty() ? kNone : owners_of_key_.front();
  }

  void read_absence(std::uint32_t at, std::uint32_t reader, bool writes) {
    const Transactions::Item& its = transactions_.item(reader);
    std::size_t candidate = 0, candidates = 0;
    for (std::size_t v = 0; v < versions_.size(); ++v) {
      if (!versions_[v].absent) continue;
      const bool too_new = versions_[v].writer != kNone && versions_[v].writer != reader &&
                           transactions_.item(versions_[v].writer).began > its.ended;
      const bool too_old = v + 1 < versions_.size() && versions_[v + 1].writer != reader &&
                           transactions_.item(versions_[v + 1].writer).ended < its.began;
      if (too_new || too_old) continue;
      candidate = v;
      ++candidates;
    }
    if (candidates == 0)
      findings_.report({.kind = FaultKind::stale_absence, .transaction = reader, .step = at, .key = key_});
    if (candidates != 1) return;
    const Version& version = versions_[candidate];
    if (version.writer != kNone && version.writer != reader) findings_.graph.add(version.writer, reader, Edge::wr, at);
    precede_next(at, reader, version.length, writes);
  }

  // ---- writes that nobody read

  /// They come after the whole list, in no order among them.
  void place_unread(std::span<const std::uint32_t> steps) {
    if (transactions_.ended_with(key_)) return;
    unread_.clear();
    for (const std::uint32_t at : steps) {
      if (!steps_[at].writes() || steps_[at].undone != 0 || place_of(at) != kNone || !is_committed(transaction_of(at)))
        continue;
      if (unread_.empty() || transaction_of(unread_.back()) != transaction_of(at)) unread_.push_back(at);
    }
    if (unread_.empty()) return;
    const std::uint32_t last = versions_.back().writer;
    for (const std::uint32_t at : unread_)
      if (last != kNone && last != transaction_of(at)) findings_.graph.add(last, transaction_of(at), Edge::ww, at);
    add_all_before(findings_.graph, transactions_, wholes_, unread_);
    std::sort(unread_.begin(), unread_.end(), [this](std::uint32_t a, std::uint32_t b) {
      return transactions_.item(transaction_of(a)).ended < transactions_.item(transaction_of(b)).ended;
    });
    for (std::size_t i = 0; i + 1 < unread_.size(); ++i)
      findings_.graph.add(transaction_of(unread_[i]), transaction_of(unread_[i + 1]), Edge::guess, unread_[i + 1]);
    // More transactions than can be searched need no pairs.
    if (unread_.size() <= VersionSearch::kTransactionsMost && transactions_.size() <= kSearchedMost)
      for (std::size_t i = 0; i < unread_.size(); ++i)
        for (std::size_t k = i + 1; k < unread_.size(); ++k)
          open_pairs_.emplace_back(transaction_of(unread_[i]), transaction_of(unread_[k]));
  }

  /// Snapshots ask for an order of the writes that nobody read, too; all other levels have one where they have no
  /// cycle.
  void settle(Ordering ordering) {
    constexpr auto kRule = Graph::Rule::no_two_rw_in_a_row;
    if (!findings_.graph.has_guesses()) return;
    const Claim claim{Level::snapshot, ordering};
    if (findings_.graph.has_cycle(kRule, ordering) || !findings_.graph.has_cycle_with_guesses(kRule, ordering)) return;
    std::vector<std::uint32_t> members, bits(transactions_.size(), kNone);
    for (std::uint32_t i = 0; i < transactions_.size(); ++i) {
      if (!is_committed(i)) continue;
      bits[i] = static_cast<std::uint32_t>(members.size());
      members.push_back(i);
    }
    if (members.size() > VersionSearch::kTransactionsMost || transactions_.size() > kSearchedMost)
      return findings_.settle(claim, Judgement::unknown, "writes that nobody read cannot be ordered");
    VersionSearch search(true);
    for (const Graph::Hop& hop : findings_.graph.hops()) search.add(bits[hop.from], bits[hop.to], hop.edge);
    for (const auto& [a, b] : open_pairs_) search.add({.a = bits[a], .b = bits[b]});
    search.add_orders(transactions_, members, ordering);
    findings_.settle(claim, search.answer(), "no order of the writes that nobody read fits what the transactions saw");
  }

  const Transactions& transactions_;
  const std::vector<Step>& steps_;
  const StepsByKey by_key_;
  Findings findings_;
  std::vector<std::size_t> owners_from_;  // of each key, in owners_
  std::vector<std::uint32_t> owners_;     // the step that wrote each element of each key's list
  std::vector<std::uint32_t> places_;     // of each step that writes, in its key's list
  std::vector<std::pair<std::uint32_t, std::uint32_t>> open_pairs_;  // writers of what nobody read, whose order is open
  // Of the key that is judged.
  std::uint32_t key_ = 0;
  std::span<const Element> list_;
  std::span<const std::uint32_t> owners_of_key_;
  std::size_t spine_agrees_ = 0;
  bool table_is_filled_ = false;
  WriteTable table_;
  std::vector<std::uint32_t> version_at_, bad_, own_, wholes_, unread_;
  std::vector<std::pair<Element, std::uint32_t>> strays_;  // of the list, which nobody wrote, and their places
  std::vector<Version> versions_;                          // the first: before any write
  std::vector<Element> sorted_;
};

}  // namespace

Findings judge_lists(const Transactions& transactions) { return ListJudge(transactions).judge(); }

std::vector<Anomaly> anomalies_of(const History& history, Level level) {
  constexpr std::size_t kMost = 1000;
  const Transactions transactions = numbered(history);
  return judge_lists(transactions).anomalies({level, Ordering::real_time}, kMost);
}

}  // namespace lockstep::check

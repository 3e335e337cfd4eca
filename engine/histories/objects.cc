// objects.cc: bank, sets, counter and long fork, each by its definition.
#include "engine/histories/objects.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

namespace lockstep::histories {
namespace {

constexpr std::size_t kAnomaliesMost = 1000;

Error no_operation(const ClientCall& call, const char* model) {
  return error_in(call, fmt::format("f {} is no operation of a {}", call.f.empty() ? "(none)" : call.f, model));
}

std::string where(const ClientCall& call) {
  const std::string lines =
      call.line == call.end_line ? std::to_string(call.line) : fmt::format("{}-{}", call.line, call.end_line);
  return call.process < 0 ? "line " + lines : fmt::format("process {}, line {}", call.process, lines);
}

void add(ObjectVerdict& verdict, std::string name, std::string why) {
  verdict.answer = Judgement::broken;
  if (verdict.anomalies.size() < kAnomaliesMost) verdict.anomalies.push_back({std::move(name), std::move(why)});
}

std::string joined(const std::vector<std::string>& words) {
  constexpr std::size_t kShown = 20;
  std::string text;
  for (std::size_t i = 0; i < words.size() && i < kShown; ++i) text += (text.empty() ? "" : ", ") + words[i];
  return words.size() > kShown ? fmt::format("{} and {} more", text, words.size() - kShown) : text;
}

// ---- bank

class Bank {
 public:
  Bank(const Calls& calls, const ObjectRules& rules) : calls_(calls.calls), rules_(rules), total_(rules.total) {}

  Result<ObjectVerdict> judge() {
    for (const ClientCall& call : calls_) {
      if (call.f != "read" && call.f != "transfer") return no_operation(call, "bank");
      if (call.end != Phase::ok) continue;
      const Datum& value = call.f == "read" ? call.answered : call.asked;
      if (call.f == "read" && !value.is_map()) return error_in(call, "a bank's read gives a map of balances");
      note_accounts(call, value);
    }
    ObjectVerdict verdict;
    for (const ClientCall& call : calls_) {
      if (call.f != "read" || call.end != Phase::ok) continue;
      if (verdict.answer == Judgement::unknown) verdict.answer = Judgement::holds;
      judge_read(call, verdict);
    }
    if (verdict.answer == Judgement::unknown) verdict.why_unknown = "no read succeeded";
    return verdict;
  }

 private:
  void note_accounts(const ClientCall& call, const Datum& value) {
    if (call.f == "read") {
      for (std::size_t i = 0; i + 1 < value.items.size(); i += 2) accounts_.insert(value.items[i].str());
    } else {
      for (const char* end : {"from", "to"})
        if (const Datum* account = value.at(end)) accounts_.insert(account->str());
    }
  }

  void judge_read(const ClientCall& call, ObjectVerdict& verdict) {
    std::int64_t sum = 0;
    std::set<std::string> found;
    bool whole = true;
    for (std::size_t i = 0; i + 1 < call.answered.items.size(); i += 2) {
      const Datum &account = call.answered.items[i], &balance = call.answered.items[i + 1];
      found.insert(account.str());
      if (!balance.is_number()) {
        add(verdict, "nil balance", fmt::format("{} read {} of account {}", where(call), balance.str(), account.str()));
        whole = false;
        continue;
      }
      sum += balance.number;
      if (balance.number < 0 && !rules_.allow_negative)
        add(verdict, "negative balance",
            fmt::format("{} read {} of account {}", where(call), balance.number, account.str()));
    }
    for (const std::string& account : accounts_) {
      if (found.count(account) > 0) continue;
      whole = false;
      add(verdict, "missing account", fmt::format("{} read no account {}", where(call), account));
    }
    if (!whole) return;
    if (!total_) total_ = sum;
    if (sum != *total_)
      add(verdict, "wrong total",
          fmt::format("{} read {} in all, where {} {}", where(call), sum, *total_,
                      rules_.total ? "is right" : "was read first"));
  }

  const std::vector<ClientCall>& calls_;
  const ObjectRules& rules_;
  std::optional<std::int64_t> total_;
  std::set<std::string> accounts_;
};

// ---- sets

/// The adds by element, or an error.
Result<std::map<std::string, const ClientCall*>> adds_of(const Calls& calls, const char* model) {
  std::map<std::string, const ClientCall*> adds;
  for (const ClientCall& call : calls.calls) {
    if (call.f == "read") {
      if (call.end == Phase::ok && !call.answered.is_list() && !call.answered.is_nil())
        return error_in(call, fmt::format("a {}'s read gives a list", model));
      continue;
    }
    if (call.f != "add") return no_operation(call, model);
    const auto [place, is_first] = adds.emplace(call.asked.str(), &call);
    if (!is_first)
      return error_in(call, fmt::format("{} is added twice, first in line {}", call.asked.str(), place->second->line));
  }
  return adds;
}

/// What a read has of elements that nobody can have added.
std::vector<std::string> unexpected_in(const ClientCall& read, const std::map<std::string, const ClientCall*>& adds) {
  std::vector<std::string> unexpected;
  for (const Datum& element : read.answered.items) {
    const auto added = adds.find(element.str());
    if (added == adds.end() || added->second->end == Phase::fail || added->second->began > read.ended)
      unexpected.push_back(element.str());
  }
  return unexpected;
}

// ---- set-full

struct Life {
  std::int64_t known = INT64_MAX;          ///< when it was acknowledged or read for the first time
  std::int64_t present = -1, absent = -1;  ///< when the last such read began, after it was known
  const ClientCall* last_absent = nullptr;
};

}  // namespace

Result<ObjectVerdict> judge_bank(const Calls& calls, const ObjectRules& rules) { return Bank(calls, rules).judge(); }

Result<ObjectVerdict> judge_set(const Calls& calls) {
  const auto adds = adds_of(calls, "set");
  if (!adds) return adds.error();
  const ClientCall* last = nullptr;
  for (const ClientCall& call : calls.calls)
    if (call.f == "read" && call.end == Phase::ok) last = &call;
  ObjectVerdict verdict;
  if (last == nullptr) {
    verdict.why_unknown = "no read succeeded";
    return verdict;
  }
  verdict.answer = Judgement::holds;
  std::set<std::string> read;
  for (const Datum& element : last->answered.items) read.insert(element.str());
  std::vector<std::string> lost, recovered;
  for (const auto& [element, add] : *adds) {
    if (add->end == Phase::ok && add->ended < last->began && read.count(element) == 0) lost.push_back(element);
    if (add->end == Phase::info && read.count(element) > 0) recovered.push_back(element);
  }
  if (!lost.empty())
    add(verdict, "lost", fmt::format("acknowledged, and not in the last read ({}): {}", where(*last), joined(lost)));
  if (const auto unexpected = unexpected_in(*last, *adds); !unexpected.empty())
    add(verdict, "unexpected",
        fmt::format("in the last read ({}), and never added: {}", where(*last), joined(unexpected)));
  if (!recovered.empty()) verdict.notes.push_back("recovered, of unknown outcome: " + joined(recovered));
  return verdict;
}

Result<ObjectVerdict> judge_set_full(const Calls& calls, const ObjectRules& rules) {
  const auto adds = adds_of(calls, "set");
  if (!adds) return adds.error();
  std::vector<const ClientCall*> reads;
  for (const ClientCall& call : calls.calls)
    if (call.f == "read" && call.end == Phase::ok) reads.push_back(&call);
  ObjectVerdict verdict;
  if (reads.empty()) {
    verdict.why_unknown = "no read succeeded";
    return verdict;
  }
  verdict.answer = Judgement::holds;
  std::map<std::string, Life> lives;
  for (const auto& [element, add] : *adds)
    if (add->end == Phase::ok) lives[element].known = add->ended;
  for (const ClientCall* read : reads) {
    std::map<std::string, std::size_t> times;
    for (const Datum& element : read->answered.items) {
      if (++times[element.str()] == 2)
        add(verdict, "duplicate", fmt::format("{} read {} twice", where(*read), element.str()));
      Life& life = lives[element.str()];
      life.known = std::min(life.known, read->ended);
    }
    if (const auto unexpected = unexpected_in(*read, *adds); !unexpected.empty())
      add(verdict, "unexpected", fmt::format("{} read what was never added: {}", where(*read), joined(unexpected)));
  }
  for (const ClientCall* read : reads) {
    std::set<std::string> found;
    for (const Datum& element : read->answered.items) found.insert(element.str());
    for (auto& [element, life] : lives) {
      if (found.count(element) > 0) {
        life.present = std::max(life.present, read->began);
      } else if (read->began > life.known) {
        life.absent = std::max(life.absent, read->began);
        life.last_absent = read;
      }
    }
  }
  std::size_t stale_elements = 0;
  for (const auto& [element, life] : lives) {
    if (life.last_absent == nullptr) continue;
    if (life.absent > life.present) {
      add(verdict, "lost",
          fmt::format("{} was acknowledged or read, but {} and no later read found it", element,
                      where(*life.last_absent)));
      continue;
    }
    ++stale_elements;
    if (rules.linearizable)
      add(verdict, "stale",
          fmt::format("{} was acknowledged or read before {} began, which did not find it", element,
                      where(*life.last_absent)));
  }
  if (stale_elements > 0 && !rules.linearizable)
    verdict.notes.push_back(
        fmt::format("{} elements were missed by a read that began after they were known; that is "
                    "wrong only with --level linearizable",
                    stale_elements));
  if (lives.empty() && verdict.answer == Judgement::holds) {
    verdict.answer = Judgement::unknown;
    verdict.why_unknown = "no element was acknowledged or read";
  }
  return verdict;
}

Result<ObjectVerdict> judge_counter(const Calls& calls) {
  struct Change {
    std::int64_t at = 0, low = 0, high = 0;
  };
  std::vector<Change> changes;
  std::vector<const ClientCall*> reads;
  for (const ClientCall& call : calls.calls) {
    if (call.f == "read") {
      if (call.end != Phase::ok) continue;
      if (!call.answered.is_number()) return error_in(call, "a counter's read gives a number");
      reads.push_back(&call);
    } else if (call.f == "add") {
      if (!call.asked.is_number()) return error_in(call, "what is added to a counter is a number");
      if (call.end == Phase::fail) continue;
      const std::int64_t n = call.asked.number;
      changes.push_back({call.began, std::min<std::int64_t>(n, 0), std::max<std::int64_t>(n, 0)});
      if (call.end == Phase::ok)
        changes.push_back({call.ended, std::max<std::int64_t>(n, 0), std::min<std::int64_t>(n, 0)});
    } else {
      return no_operation(call, "counter");
    }
  }
  std::sort(changes.begin(), changes.end(), [](const Change& a, const Change& b) { return a.at < b.at; });
  std::vector<std::int64_t> at, low{0}, high{0};
  for (const Change& change : changes) {
    at.push_back(change.at);
    low.push_back(low.back() + change.low);
    high.push_back(high.back() + change.high);
  }
  ObjectVerdict verdict;
  verdict.answer = reads.empty() ? Judgement::unknown : Judgement::holds;
  if (reads.empty()) verdict.why_unknown = "no read succeeded";
  for (const ClientCall* read : reads) {
    const auto before = static_cast<std::size_t>(std::lower_bound(at.begin(), at.end(), read->began) - at.begin());
    const auto until = static_cast<std::size_t>(std::lower_bound(at.begin(), at.end(), read->ended) - at.begin());
    if (read->answered.number < low[before] || read->answered.number > high[until])
      add(verdict, "out of bounds",
          fmt::format("{} read {}, which can only be from {} to {}", where(*read), read->answered.number, low[before],
                      high[until]));
  }
  return verdict;
}

Result<ObjectVerdict> judge_long_fork(const Calls& calls) {
  struct Saw {
    const ClientCall* call = nullptr;
    std::vector<char> seen;  // of each key of the group
    std::size_t count = 0;
  };
  std::map<std::vector<std::string>, std::vector<Saw>> groups;
  std::map<std::string, std::string> values;
  for (const ClientCall& call : calls.calls) {
    if (call.f != "read" && call.f != "write" && call.f != "txn") return no_operation(call, "long fork");
    if (call.f == "write" || call.end != Phase::ok) continue;
    if (!call.answered.is_list()) return error_in(call, "a long fork's read gives [[r k v] ...]");
    std::map<std::string, bool> saw;
    for (const Datum& one : call.answered.items) {
      if (!one.is_list() || one.items.size() != 3) return error_in(call, "a long fork's read gives [[r k v] ...]");
      if (one.items[0].text != "r") continue;
      const std::string key = one.items[1].str();
      saw[key] = !one.items[2].is_nil();
      if (one.items[2].is_nil()) continue;
      const auto [place, is_first] = values.emplace(key, one.items[2].str());
      if (!is_first && place->second != one.items[2].str())
        return error_in(call, fmt::format("key {} has two values, {} and {}: in a long fork each is written once", key,
                                          place->second, one.items[2].str()));
    }
    if (saw.empty()) continue;
    Saw one{.call = &call, .seen = {}, .count = 0};
    std::vector<std::string> keys;
    for (const auto& [key, seen] : saw) {
      keys.push_back(key);
      one.seen.push_back(seen ? 1 : 0);
      one.count += seen ? 1 : 0;
    }
    groups[keys].push_back(std::move(one));
  }
  ObjectVerdict verdict;
  for (auto& [keys, reads] : groups) {
    if (reads.size() > 1 && verdict.answer == Judgement::unknown) verdict.answer = Judgement::holds;
    std::stable_sort(reads.begin(), reads.end(), [](const Saw& a, const Saw& b) { return a.count < b.count; });
    // By how much they saw, each must have seen what the one before did.
    for (std::size_t i = 0; i + 1 < reads.size(); ++i) {
      for (std::size_t k = 0; k < keys.size(); ++k) {
        if (reads[i].seen[k] <= reads[i + 1].seen[k]) continue;
        std::size_t other = 0;
        while (other < keys.size() && reads[i].seen[other] >= reads[i + 1].seen[other]) ++other;
        if (other == keys.size()) break;
        add(verdict, "long fork",
            fmt::format("{} saw {} and not {}; {} saw {} and not {}", where(*reads[i].call), keys[k], keys[other],
                        where(*reads[i + 1].call), keys[other], keys[k]));
        break;
      }
    }
  }
  if (verdict.answer == Judgement::unknown) verdict.why_unknown = "no two reads are of the same keys";
  return verdict;
}

}  // namespace lockstep::histories

// findings.h: what was found in a history, level by level, with the proof.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/check/cycles.h"
#include "engine/check/transactions.h"

namespace lockstep::check {

/// One step of a cycle, for a picture: `from` came before `to`.
struct Dependency {
  std::string from, to;
  std::string what;  ///< short, such as "rw x"
};

struct Anomaly {
  std::string name;                            ///< Adya's, such as "G-single", or "lost write"
  std::string why;                             ///< the proof, for people: a line a step
  std::vector<Dependency> cycle = {};          ///< when it is one
  std::vector<std::size_t> transactions = {};  ///< that take part, by their numbers
};

enum class Judgement : std::uint8_t { holds, broken, unknown };

/// What is wrong with one read or write, apart from cycles.
enum class FaultKind : std::uint8_t {
  duplicate_element,   ///< one write twice in a list
  aborted_read,        ///< G1a: its writer did not commit
  undone_read,         ///< G1a: its writer rolled it back to a savepoint
  garbage_read,        ///< G1a: nobody wrote it
  intermediate_read,   ///< G1b
  incompatible_order,  ///< two reads of one key of which neither begins with the other
  own_order,           ///< one transaction's writes of a key stand out of order, or without one of them
  future_read,         ///< it read what it wrote only later
  lost_write,          ///< committed, and not there at the end
  stale_absence,       ///< not found, though it was there all the time
  internal,            ///< does not agree with what the transaction itself had read or written
};
inline constexpr std::size_t kFaultKinds = 11;

/// Made by a judge (isolation.h, registers.h). The transactions that it is about outlive it. Not thread-safe.
class Findings {
 public:
  static constexpr std::uint32_t kNone = Graph::kNone;

  explicit Findings(const Transactions& transactions)
      : transactions_(transactions), graph(transactions.size()), committed(transactions.size(), 0) {}

  // ---- for judges

  struct Wrong {
    FaultKind kind = FaultKind::internal;
    std::uint32_t transaction = kNone;  ///< whose step it is; kNone: it stands in the end's list
    std::uint32_t step = kNone;         ///< of the transaction; of the writer when there is no transaction
    std::uint32_t other = kNone;        ///< a step of the writer
    Element element = 0;
    std::uint32_t key = 0;
  };
  void report(const Wrong& wrong);
  /// `claim`'s cycles cannot be excluded, because the order of some versions is not known; or they are certain.
  void settle(Claim claim, Judgement answer, std::string why);

  // ---- for everybody

  Judgement answer(Claim claim) const;
  /// What `claim` forbids and the history shows, at most `most` of each kind. Of cycles a short one of each knot.
  std::vector<Anomaly> anomalies(Claim claim, std::size_t most) const;
  /// Why it is not known; empty when it is.
  std::string why_unknown(Claim claim) const;
  /// Of the plain levels first, the weakest that is broken: no weaker one of all is.
  std::optional<Claim> weakest_broken() const;
  /// The claims that hold and are implied by no other one that holds.
  std::vector<Claim> strongest_holding() const;
  const Transactions& transactions() const noexcept { return transactions_; }

 private:
  struct SettledClaim {
    Claim claim;
    Judgement answer;
    std::string why;
  };

  static bool breaks(FaultKind kind, Level level) noexcept;
  static Graph::Rule rule_of(Level level) noexcept;
  const SettledClaim* settled(Claim claim) const;
  bool has_cycle(Claim claim) const;
  std::string name_of(const Graph::Cycle& cycle) const;
  Anomaly described(const Graph::Cycle& cycle) const;
  Anomaly described(const Wrong& wrong) const;
  std::string text_of(const Graph::Hop& hop) const;
  const Transactions::Step* write_of(std::uint32_t transaction, std::uint32_t key, bool last) const;
  std::string list_text(const Transactions::Step& read) const;

  const Transactions& transactions_;
  std::array<std::vector<Wrong>, kFaultKinds> wrongs_;  // the first of each kind
  std::array<std::size_t, kFaultKinds> counts_{};
  std::vector<SettledClaim> settled_;
  mutable std::array<std::int8_t, 12> cycles_ = {-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1};

 public:
  Graph graph;                  ///< closed by the judge
  std::vector<char> committed;  ///< which transactions count
  /// Two steps that write one element to one key: the history cannot be judged.
  std::optional<std::pair<std::uint32_t, std::uint32_t>> written_twice;
  std::vector<std::string> rules;  ///< that were used to infer the order of versions
};

}  // namespace lockstep::check

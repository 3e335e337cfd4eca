// history_probe.cc: the session that carries probes, and the history that they make.
#include "engine/load/history_probe.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <unordered_map>

#include "engine/scenario/choices.h"

namespace lockstep::load {
namespace {

using End = check::Transaction::End;

constexpr std::string_view kPrefix = "~witness/";

std::int64_t version_of(const std::optional<std::string>& value) {
  std::int64_t version = -1;
  if (value) std::from_chars(value->data(), value->data() + value->size(), version);
  return version;
}

class HistoryProbe final : public Session {
 public:
  HistoryProbe(std::unique_ptr<Session> inner, const ProbeConfig& probe_config, std::size_t session,
               ProbeRecords& probe_records)
      : inner_(std::move(inner)),
        probe_config_(probe_config),
        random_(~probe_config.seed, session),
        records_(probe_records) {}

  bool attempt(Pending& pending, Waiter& waiter) override {
    const Verb verb = pending.request.verb;
    if (verb == Verb::begin && stage_ == Stage::idle && !asked_ && !inner_->in_transaction() && wanted())
      prepare(pending);
    if (stage_ == Stage::idle && verb == Verb::commit && on_record_)
      ask({.verb = Verb::add, .key = keys_[2], .delta = 1}, Stage::adds);
    while (stage_ != Stage::idle && stage_ != Stage::commits) {
      if (!inner_->attempt(own_, waiter)) {
        pending.waiting = own_.waiting;
        return false;
      }
      if (!step(pending)) return true;
    }
    if (verb == Verb::begin && on_record_ && begun_) return begun_ = false, true;
    const bool finished = inner_->attempt(pending, waiter);
    asked_ = !finished;
    if (finished && on_record_ && !inner_->in_transaction()) close(verb, pending.error);
    return finished;
  }

  // A session knows by itself which of its requests waits.
  void cancel(Pending& pending, Fault why) override { inner_->cancel(pending, why); }
  std::vector<Blocker> blockers(const Pending& pending) override { return inner_->blockers(pending); }
  bool in_transaction() const noexcept override { return inner_->in_transaction(); }
  bool blocks() const noexcept override { return inner_->blocks(); }

 private:
  /// The probe's own request that is answered next.
  enum class Stage : std::uint8_t { idle, begins, reads_first, reads_second, adds, commits };

  bool wanted() const {
    return probe_config_.recording.load(std::memory_order_relaxed) && records_.size() < probe_config_.most;
  }

  void ask(const Request& request, Stage stage) {
    own_ = Pending{};
    own_.request = request;
    stage_ = stage;
  }

  /// Draws the rows and asks for the begin, with their names among its claims.
  void prepare(const Pending& pending) {
    std::array<std::uint32_t, 3> rows{};
    for (std::uint32_t& row : rows) row = static_cast<std::uint32_t>(random_() % probe_config_.rows);
    if (random_() % 4 == 0) rows[2] = rows[0];  // some probes overwrite a row that they have read
    for (std::size_t i = 0; i < rows.size(); ++i) keys_[i] = key_of(kPrefix, rows[i]);
    const auto claims = pending.request.claims;
    claims_.assign(claims.begin(), claims.end());
    // A store that needs claims refuses a begin without any, as it would without a probe.
    if (!claims_.empty()) claims_.insert(claims_.end(), keys_.begin(), keys_.end());
    now_ = ProbeRecord{};
    now_.reads[0].row = rows[0];
    now_.reads[1].row = rows[1];
    now_.write.row = rows[2];
    now_.began_at = probe_config_.clock->now().count();
    ask({.verb = Verb::begin, .claims = claims_}, Stage::begins);
  }

  /// One of the probe's own requests was answered. False: with a fault, which is then the answer to the body's request.
  bool step(Pending& pending) {
    const Stage answered = stage_;
    stage_ = Stage::idle;
    if (answered == Stage::begins) on_record_ = !own_.error;
    if (own_.error) {
      pending.error = std::move(own_.error);
      if (on_record_ && !inner_->in_transaction()) close(Verb::abort, pending.error);
      return false;
    }
    switch (answered) {
      case Stage::begins:
        ask({.verb = Verb::read, .key = keys_[0]}, Stage::reads_first);
        break;
      case Stage::reads_first:
        now_.reads[0].version = version_of(own_.reply.value);
        ask({.verb = Verb::read, .key = keys_[1]}, Stage::reads_second);
        break;
      case Stage::reads_second:
        now_.reads[1].version = version_of(own_.reply.value);
        begun_ = true;
        break;
      default:
        now_.write.version = version_of(own_.reply.value);
        stage_ = Stage::commits;
    }
    return true;
  }

  void close(Verb verb, const std::optional<Error>& error) {
    now_.ended_at = probe_config_.clock->now().count();
    now_.end = verb != Verb::commit                     ? End::aborted
               : !error                                 ? End::committed
               : error->fault == Fault::outcome_unknown ? End::unknown
                                                        : End::aborted;
    records_.push_back(now_);
    on_record_ = false;
    stage_ = Stage::idle;
  }

  const std::unique_ptr<Session> inner_;
  const ProbeConfig& probe_config_;
  Random random_;
  ProbeRecords& records_;
  Stage stage_ = Stage::idle;
  bool on_record_ = false;  ///< the transaction that is open
  bool asked_ = false;      ///< the body's own request was handed on and is not answered yet
  bool begun_ = false;      ///< all that belongs to the begin was answered
  ProbeRecord now_;
  Pending own_;
  std::array<std::string, 3> keys_;
  std::vector<std::string> claims_;
};

/// Names the writes: version `v` of a row is one element, named after its first writer in the list of records.
class Elements {
 public:
  check::Element of(std::uint32_t row, std::int64_t version) const {
    return row * kVersionsMost + static_cast<std::uint64_t>(version);
  }
  /// The element of a write. A version that is not there in the end (an abort), or twice, has an element of its own.
  check::Element written(const ProbeRecord& by) {
    const check::Element element = of(by.write.row, by.write.version);
    const bool counts = by.end != End::aborted && taken_.emplace(element, true).second;
    return counts ? element : kExtra + ++extra_;
  }
  check::List list(std::uint32_t row, std::int64_t version) const {
    check::List all;
    for (std::int64_t v = 1; v <= version; ++v) all.push_back(of(row, v));
    return all;
  }

 private:
  static constexpr std::uint64_t kVersionsMost = 1'000'000;  // far more than records
  static constexpr check::Element kExtra = std::uint64_t{1} << 63U;
  std::unordered_map<check::Element, bool> taken_;
  std::uint64_t extra_ = 0;
};

check::Transaction transaction_of(const ProbeRecord& one, std::string name, Elements& elements) {
  using Kind = check::Operation::Kind;
  check::Transaction transaction{
      .name = std::move(name), .end = one.end, .began_at = one.began_at, .ended_at = one.ended_at, .operations = {}};
  for (const ProbeRecord::Seen& read : one.reads) {
    if (read.version < 0) continue;
    transaction.operations.push_back(
        {Kind::read, key_of(kPrefix, read.row), elements.list(read.row, read.version), 0, false});
  }
  if (one.write.version >= 0)
    transaction.operations.push_back({Kind::append, key_of(kPrefix, one.write.row), {}, elements.written(one), false});
  return transaction;
}

}  // namespace

State probe_rows(std::uint32_t rows) { return numbered(kPrefix, rows, "0"); }

std::vector<std::int64_t> take_probe_rows(State& state) {
  std::vector<std::int64_t> versions;
  const auto is_probe = [](const auto& row) { return row.first.starts_with(kPrefix); };
  for (const auto& row : state) {
    if (is_probe(row)) versions.push_back(version_of(row.second));
  }
  std::erase_if(state, is_probe);
  return versions;
}

std::unique_ptr<Session> make_history_probe(std::unique_ptr<Session> inner, const ProbeConfig& probe_config,
                                            std::size_t session, ProbeRecords& probe_records) {
  return std::make_unique<HistoryProbe>(std::move(inner), probe_config, session, probe_records);
}

check::History history_of(const std::vector<const ProbeRecords*>& sessions, const std::vector<std::int64_t>& final) {
  check::History history;
  Elements elements;
  for (std::size_t i = 0; i < sessions.size(); ++i) {
    for (std::size_t n = 0; n < sessions[i]->size(); ++n)
      history.transactions.push_back(transaction_of((*sessions[i])[n], fmt::format("S{}.{}", i + 1, n + 1), elements));
  }
  for (std::size_t row = 0; row < final.size(); ++row) {
    const auto number = static_cast<std::uint32_t>(row);
    history.final[key_of(kPrefix, row)] = elements.list(number, final[row]);
  }
  return history;
}

int session_of(std::string_view transaction) noexcept {
  int number = 1;
  std::from_chars(transaction.data() + 1, transaction.data() + transaction.size(), number);  // "S3.17"
  return number - 1;
}

std::string_view name_of(check::Level level) noexcept {
  switch (level) {
    case check::Level::read_uncommitted:
      return "read-uncommitted";
    case check::Level::read_committed:
      return "read-committed";
    case check::Level::snapshot:
      return "snapshot";
    default:
      return "serializable";
  }
}

std::optional<check::Level> level_named(std::string_view name) noexcept {
  for (const check::Level each : {check::Level::read_committed, check::Level::snapshot, check::Level::serializable}) {
    if (name_of(each) == name) return each;
  }
  return std::nullopt;
}

}  // namespace lockstep::load

// history_probe.h: what transactions under load saw of each other, written down so that engine/check can judge it.
//
// A scenario's rows hold sums and names, which do not tell whose write was read. So a transaction on record carries a
// probe, over rows that were added for this. At its begin it reads two of these rows, and before its commit it adds one
// to a third, all in the same transaction. Such a row only ever grows by one, so its value is its version. A
// transaction that read 7 saw the write that made it 7, and came before the one that made it 8. Only transactions on
// record touch these rows, so the history is whole, and what it shows has happened. It cannot show anomalies between
// transactions whose probes did not meet, or of other operations (phantoms).
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "engine/check/isolation.h"
#include "engine/scenario/scenario.h"
#include "engine/store/backend.h"

namespace lockstep::load {

/// One transaction on record, whatever became of it.
struct ProbeRecord {
  struct Seen {
    std::uint32_t row = 0;
    std::int64_t version = -1;  ///< -1: not read, or not written
  };
  std::int64_t began_at = 0, ended_at = 0;  ///< ns of one clock; before its begin, after the answer to its end
  check::Transaction::End end = check::Transaction::End::unknown;
  Seen reads[2];
  Seen write;
};

/// What all probes of a round look at. Written before they start, but for `recording`.
struct ProbeConfig {
  std::uint32_t rows = 0;  ///< 0: no probes
  std::size_t most = 0;    ///< transactions on record, of each session
  std::uint64_t seed = 1;
  const Clock* clock = nullptr;
  std::atomic<bool> recording{false};
};

/// What one session has put on record. The session's own until it has ended.
using ProbeRecords = std::vector<ProbeRecord>;

/// The rows that probes read and write, as they are at the start; their keys come after those of any scenario.
State probe_rows(std::uint32_t rows);
/// Takes the rows of probes out of the final state; gives their versions, by number.
std::vector<std::int64_t> take_probe_rows(State& state);

/// A session that answers as `inner` does and, while `probe_config` says to record, carries a probe in each
/// transaction. Both references outlive it.
std::unique_ptr<Session> make_history_probe(std::unique_ptr<Session> inner, const ProbeConfig& probe_config,
                                            std::size_t session, ProbeRecords& probe_records);

/// The history of all sessions together. `final`: the versions at the end.
check::History history_of(const std::vector<const ProbeRecords*>& sessions, const std::vector<std::int64_t>& final);

/// The session, from 0, whose transaction has this name in such a history.
int session_of(std::string_view transaction) noexcept;

/// "read-committed", "snapshot", "serializable".
std::string_view name_of(check::Level level) noexcept;
std::optional<check::Level> level_named(std::string_view name) noexcept;

}  // namespace lockstep::load

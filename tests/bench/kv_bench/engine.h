// engine.h: what kv_bench asks of an engine, and the engines of this build.
//
// The loads (ycsb.h, tpcc.h) are templates over an engine's session, so that a virtual call is paid once a round and
// not once an operation: with the fastest engines it would be seen.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <latch>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "kv/base/histogram.h"
#include "kv/base/result.h"
#include "tests/bench/kv_bench/settings.h"

namespace lockstep::bench {

/// Why an operation or a commit did not succeed; nullopt = it did.
using Failure = std::optional<Fault>;

/// What a session is told of a transaction before it begins.
struct Intent {
  std::span<const std::string_view> claims = {};  ///< every key that it will touch
  bool claims_all = false;                        ///< it cannot tell
  bool read_only = false;
  bool retry = false;  ///< the same transaction, once more
};

enum class Phase : int { warmup, measure, stop };

/// How a round tells its clients what to do.
struct Control {
  explicit Control(unsigned clients) : ready(clients) {}
  std::latch ready;  ///< each client arrives and waits when it has drawn its load
  std::atomic<Phase> phase{Phase::warmup};
};

/// What one client has counted. Its own until its thread has been joined.
struct Tally {
  std::uint64_t committed = 0;
  std::uint64_t rows = 0;       ///< that scans have given
  std::uint64_t rollbacks = 0;  ///< asked for by the load (TPC-C)
  std::array<std::uint64_t, static_cast<std::size_t>(Fault::internal) + 1> aborts{};
  Histogram latency;
  std::string broken;  ///< not empty: the client had to stop, and why
};

/// One engine, filled with the load's rows. `fill` first, then `run` from several threads at a time.
class Engine {
 public:
  virtual ~Engine() = default;
  virtual void fill() = 0;
  /// The client number `client` works until the phase says stop.
  virtual void run(unsigned client, Control& control, Tally& tally) = 0;
  /// What the load's invariants say of the rows; empty when they hold. Nobody runs.
  virtual std::string broken_invariant() = 0;
};

/// An engine of this build or of another.
struct EngineEntry {
  std::string_view name;
  std::string_view what;
  std::string_view package;  ///< the Debian package that brings it
  /// nullptr: not compiled in. Otherwise the engine, empty; or why there is none (Fault::invalid, unsupported, io).
  Result<std::unique_ptr<Engine>> (*open)(const Contestant& contestant, const Settings& settings) = nullptr;
};

std::span<const EngineEntry> engines() noexcept;

/// Also for an engine that is not compiled in: Fault::unsupported, with what to install.
Result<std::unique_ptr<Engine>> open_engine(const Contestant& contestant, const Settings& settings);

}  // namespace lockstep::bench

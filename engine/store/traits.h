// traits.h: what a store and its protocols are, as plain data. The engine and the command line ask this in place of a
// name. No member has a default, so a store or a protocol that leaves one out does not compile (CMakePresets.json:
// -Wextra and -Werror). tests/house/traits_test.sh leaves out each in turn.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/check/level.h"
#include "kv/base/clock.h"
#include "kv/base/conflict_scope.h"
#include "kv/base/holds.h"

namespace lockstep {

/// Where the waits of a store's sessions end.
enum class Waits : std::uint8_t {
  in_process,  ///< here: time is virtual under a schedule, and a run repeats exactly
  external,    ///< in a server: time is real, and what is seen of a wait or a cycle is seen in passing
};

/// What a search knows of the steps on a store.
enum class Footprints : std::uint8_t {
  known,    ///< what each step touches, and the state is cheap to make anew: the search prunes, divides and draws
  unknown,  ///< nothing: the search goes through a model (ProtocolTraits::model), or takes the interleavings one by one
};

/// What breaks a cycle of the store's own waits, and when.
enum class DeadlockBreaking : std::uint8_t {
  none,           ///< nothing looks for cycles: none can form, or the time-out of a member ends it
  at_once,        ///< the store, as the cycle closes; none ever stands
  after_timeout,  ///< the store, once a wait has lasted for BackendOptions::deadlock_timeout
};

/// How a store behaves that stands for another one, where its own protocol leaves that open.
struct EmulatedDatabase {
  std::string_view name;       ///< with this a protocol is asked for: "snapshot as NAME"
  bool closer_is_victim;       ///< a deadlock costs the transaction whose wait closes the cycle
  bool operations_see_latest;  ///< each operation sees what was committed when it began
  bool begin_takes_store;      ///< a transaction waits for the whole store when it begins
  bool failed_commit_aborts;   ///< a commit that fails ends the transaction
};

/// The model of a protocol in a search: a protocol of the store with StoreTraits::models_others.
struct StoreModel {
  std::string_view protocol;
  EmulatedDatabase emulated;
};

struct ProtocolTraits {
  std::string name;
  std::string summary;     ///< one line for people
  check::Level isolation;  ///< that is promised
  DeadlockBreaking deadlocks;
  ConflictScope scope;       ///< for a search: which transactions a step can meet
  bool begin_order_matters;  ///< for a search: which of two transactions began first decides what becomes of them
  bool reads_snapshot;       ///< plain reads see one moment and wait for nobody
  HoldsUntilEnd holds;       ///< what plain reads and writes lock until the end
  std::optional<StoreModel> model;  ///< nullopt: nothing stands for it
  bool on_trial;  ///< scenarios that say nothing of it run on it all the same, and are not judged there
};

/// An option of the command line that belongs to a store.
struct StoreOption {
  std::string_view value;          ///< what is typed after it, for help: "DSN"
  std::string_view help;           ///< one line
  std::string_view variable;       ///< of the environment, where it is not typed
  std::string_view variable_help;  ///< one line
  /// `text` can be one for this store, as far as its form tells.
  bool (*fits)(const std::string& text);
  /// `text` for files and for lines that are shown: without passwords; empty when it cannot be read.
  std::string (*without_secrets)(const std::string& text);
};

struct StoreTraits {
  std::string_view title;  ///< in a sentence: "PostgreSQL", "the store"
  Waits waits;
  Footprints footprints;
  bool sql;                        ///< Verb::execute, the statements of a scenario, Backend::query()
  bool models_others;              ///< its protocols can be asked for as those of other stores (EmulatedDatabase::name)
  bool has_blocking_sessions;      ///< other ones than else, where BackendOptions::blocking allows them
  Nanos lock_timeout;              ///< the longest wait for a lock where a run says nothing; kNever: the protocol's own
  std::optional<StoreOption> dsn;  ///< --dsn names its server; nullopt: it has none
  std::vector<std::string_view> own_options;  ///< of Scenario::tune() alone: BackendOptions::own
};

}  // namespace lockstep

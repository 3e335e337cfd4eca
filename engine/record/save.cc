// save.cc: writes a recording. The file is built in a folder of its own beside the others (".saving-…") and flushed.
// One rename gives it its name, so that nobody ever sees half of it.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>
#include <xxhash.h>

#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <random>

#include "engine/record/files.h"
#include "engine/record/owned_folder.h"
#include "engine/record/run.h"
#include "engine/record/schema.h"
#include "engine/record/sqlite.h"

namespace lockstep::record {
namespace {

using sqlite::Database;
using sqlite::Statement;

constexpr int kAttempts = 100;

std::int64_t number(std::uint64_t value) { return static_cast<std::int64_t>(value); }

std::optional<std::int64_t> actor_or_null(int actor) {
  return actor == kNobody ? std::nullopt : std::optional<std::int64_t>(actor);
}

std::string new_id(const Run& run) {
  std::random_device device;
  const std::string seedling =
      fmt::format("{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}{}", run.scenario, run.store, run.protocol, run.pattern,
                  run.executor, run.schedule, run.seed, run.started_at,
                  std::chrono::system_clock::now().time_since_epoch().count(), ::getpid(), device(), device());
  return fmt::format("{:016x}", XXH3_64bits(seedling.data(), seedling.size())).substr(0, kIdDigits);
}

/// What a reader would refuse must not be written.
Result<void> check(const Run& run) {
  const int actors = static_cast<int>(run.actors.size());
  const auto unknown = [actors](int actor) { return actor != kNobody && (actor < 0 || actor >= actors); };
  std::uint64_t seq = 0;
  for (const Event& event : run.events) {
    if (event.seq != ++seq) {
      return Error{Fault::invalid, {}, fmt::format("cannot save the run: event {} has the number {}", seq, event.seq)};
    }
    bool bad = unknown(event.actor);
    for (int other : event.others) bad = bad || unknown(other);
    if (bad) return Error{Fault::invalid, {}, fmt::format("cannot save the run: event {} names no actor of it", seq)};
  }
  return {};
}

void write_run(Database& database, const Run& run) {
  const auto expected = run.expected ? std::optional(name_of(*run.expected)) : std::nullopt;
  // SQLite keeps a NaN as NULL.
  const double wall_ms = std::isnan(run.wall_ms) ? 0.0 : run.wall_ms;
  Statement(database, "INSERT INTO run VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)")
      .insert(run.id, run.scenario, run.title, run.store, run.store_version, run.protocol, run.pattern, run.executor,
              run.schedule, std::to_string(run.seed), std::int64_t{run.virtual_time}, name_of(run.verdict), expected,
              std::int64_t{run.as_expected()}, name_of(run.ending), run.summary, run.why, run.fix, run.fix_command,
              number(run.outcomes.committed), number(run.outcomes.aborted), number(run.outcomes.retries), wall_ms,
              run.started_at, run.command, number(run.events.size()));
}

void write_lists(Database& database, const Run& run) {
  Statement actor(database, "INSERT INTO actor VALUES (?,?)");
  for (std::size_t i = 0; i < run.actors.size(); ++i) actor.insert(number(i), run.actors[i]);
  Statement fault(database, "INSERT INTO outcome_fault VALUES (?,?)");
  for (const auto& [name, count] : run.outcomes.faults) fault.insert(name, number(count));
  Statement cycle(database, "INSERT INTO cycle VALUES (?,?,?)");
  for (std::size_t i = 0; i < run.cycles.size(); ++i) {
    for (std::size_t j = 0; j < run.cycles[i].size(); ++j) cycle.insert(number(i), number(j), run.cycles[i][j]);
  }
  Statement victim(database, "INSERT INTO victim VALUES (?,?)");
  for (std::size_t i = 0; i < run.victims.size(); ++i) victim.insert(number(i), run.victims[i]);
  Statement invariant(database, "INSERT INTO invariant VALUES (?,?,?,?)");
  for (std::size_t i = 0; i < run.invariants.size(); ++i) {
    const Invariant& one = run.invariants[i];
    invariant.insert(number(i), one.text, std::int64_t{one.held}, one.detail);
  }
  Statement environment(database, "INSERT INTO environment VALUES (?,?)");
  for (const auto& [name, value] : run.environment) environment.insert(name, value);
  Statement document(database, "INSERT INTO document VALUES (?,?)");
  for (const auto& [name, content] : run.documents) document.insert(name, content);
}

void write_events(Database& database, const std::vector<Event>& events) {
  Statement row(database, "INSERT INTO event VALUES (?,?,?,?,?,?,?,?,?,?)");
  Statement other(database, "INSERT INTO event_other VALUES (?,?,?)");
  Statement fact(database, "INSERT INTO event_fact VALUES (?,?,?,?)");
  for (const Event& event : events) {
    const auto step = event.step == 0 ? std::nullopt : std::optional<std::int64_t>(event.step);
    const auto fault = event.fault ? std::optional(name_of(*event.fault)) : std::nullopt;
    row.insert(number(event.seq), event.at_ns, actor_or_null(event.actor), step, name_of(event.kind), event.verb,
               event.object, event.detail, fault, event.code);
    for (std::size_t i = 0; i < event.others.size(); ++i) {
      other.insert(number(event.seq), number(i), actor_or_null(event.others[i]));
    }
    for (std::size_t i = 0; i < event.facts.size(); ++i) {
      fact.insert(number(event.seq), number(i), event.facts[i].first, event.facts[i].second);
    }
  }
}

Result<void> write_file(const Run& run, const std::string& path) {
  Database database(path, Database::Mode::create);
  // No journal and no flushing while it grows: the file has no name yet, and flush() follows.
  database.run("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA locking_mode=EXCLUSIVE; BEGIN;");
  database.run(
      fmt::format("PRAGMA application_id={}; PRAGMA user_version={};", kApplicationId, kSchemaVersion).c_str());
  database.run(kSchema);
  write_run(database, run);
  write_lists(database, run);
  write_events(database, run.events);
  database.run(kSchemaIndexes);
  database.run("COMMIT");
  if (database.failed()) return database.error("cannot write the recording");
  return {};
}

/// Waits until the disk has the file or folder.
Result<void> flush(const std::string& path, int flags) {
  const int fd = ::open(path.c_str(), flags | O_CLOEXEC);
  if (fd < 0) return file_error("cannot open", path, errno);
  const int error = ::fsync(fd) == 0 ? 0 : errno;
  ::close(fd);
  // EINVAL, EROFS: the file system has nothing to flush.
  if (error != 0 && error != EINVAL && error != EROFS) return file_error("cannot flush", path, error);
  return {};
}

/// Gives the finished folder its name: FOLDER/ID.
Result<void> give_name(Run& run, const std::string& folder, OwnedFolder& made) {
  const std::string target = fmt::format("{}/{}", folder, run.id);
  if (std::rename(made.path().c_str(), target.c_str()) == 0) {
    made.disown();
    return {};
  }
  if (errno != EEXIST && errno != ENOTEMPTY) return file_error("cannot make the recording", target, errno);
  // The run was saved before (or its folder holds a file of the user's): the new file takes the old one's place.
  if (std::rename(file_in(made.path()).c_str(), file_in(target).c_str()) != 0) {
    return file_error("cannot replace the recording in", target, errno);
  }
  return {};
}

Error in_folder(const Error& error, const std::string& folder) {
  const char* next = error.fault == Fault::disk_full    ? "make room, or choose another folder"
                     : error.fault == Fault::permission ? "choose a folder that you may write to"
                                                        : "choose another folder";
  return {error.fault, error.code,
          fmt::format("the run is not saved in {}: {}; {} (--out, LOCKSTEP_RUNS)", folder, error.message, next)};
}

Result<void> save_as(Run& run, const std::string& folder) {
  if (auto made = make_folders(folder); !made) return made;
  OwnedFolder::remove_stale(folder, kSavingPrefix);
  Result<OwnedFolder> made = OwnedFolder::make(folder, kSavingPrefix, 0777);
  if (!made) return made.error();
  const std::string file = file_in(made->path());
  if (auto written = write_file(run, file); !written) return written;
  if (auto flushed = flush(file, O_RDONLY); !flushed) return flushed;
  if (auto flushed = flush(made->path(), O_RDONLY | O_DIRECTORY); !flushed) return flushed;
  if (auto named = give_name(run, folder, *made); !named) return named;
  // The folder itself is not flushed: after a power cut the newest run may be missing, but never half there.
  return {};
}

}  // namespace

Result<std::string> save(Run& run, const std::string& folder) {
  if (auto checked = check(run); !checked) return checked.error();
  const bool fresh = run.id.empty();
  if (!fresh && !is_id(run.id)) {
    return Error{
        Fault::invalid, {}, fmt::format("cannot save the run: \"{}\" is not {} hexadecimal digits", run.id, kIdDigits)};
  }
  for (int attempt = 0; fresh && attempt < kAttempts; ++attempt) {
    run.id = new_id(run);
    if (::access(fmt::format("{}/{}", folder, run.id).c_str(), F_OK) != 0) break;
  }
  if (auto saved = save_as(run, folder); !saved) {
    if (fresh) run.id.clear();
    return in_folder(saved.error(), folder);
  }
  return file_in(fmt::format("{}/{}", folder, run.id));
}

}  // namespace lockstep::record

// json.h: everything that --json prints, versioned by "schema". One line each, in a fixed order of fields.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "cli/args/cells.h"
#include "cli/text/compare_text.h"
#include "engine/explore/explore.h"
#include "engine/record/comparison.h"
#include "engine/record/run.h"
#include "engine/run/replay.h"
#include "engine/scenario/scenario.h"
#include "engine/store/backend.h"

namespace lockstep::cli {

/// The version of what is printed.
inline constexpr int kJsonSchema = 1;

/// `path`: of the recording; empty when it was not saved: "id" and "recording" are then null.
/// `history`: the JSON of one judged history (histories_json()), which becomes "history"; empty: none was written.
std::string run_json(const record::Run& run, const std::string& path, const std::string& history = {});
/// `ids`: of the saved shortest runs, in the order of the findings; empty: not saved.
std::string explore_json(const std::string& scenario, const Exploration& explored, const std::vector<std::string>& ids,
                         bool as_expected);
/// The document kGrainDocument.
std::string grain_json(const std::vector<std::string>& grain);
/// `run`: the recording; `path`: where it lies, empty when it was not saved.
std::string compare_json(const record::Comparison& comparison, const record::Run& run, const std::string& path,
                         const std::optional<BaselineChanges>& since);
/// `id`: of the recording.
std::string replay_json(const Replay& replayed, const std::string& id);
std::string list_json(const std::vector<const Scenario*>& scenarios);
std::string show_json(const Scenario& scenario);
std::string stores_json(std::span<const BackendKind> kinds);
/// `hidden`: how many runs were left out as cells of matrices.
std::string runs_json(const std::string& folder, const std::vector<record::SavedRun>& runs, std::size_t hidden,
                      const std::vector<std::string>& unreadable);
/// `id`: of the saved matrix; empty: not saved.
std::string matrix_json(const std::string& id, const std::vector<Cell>& cells, std::uint64_t seed,
                        const std::vector<std::pair<std::string, std::string>>& left_out, double wall_ms);
struct ReportFile {
  std::string format, path;
  std::uint64_t bytes = 0;
};
/// What `lockstep report` has written of the runs `ids`.
std::string report_json(const std::vector<std::string>& ids, const std::vector<ReportFile>& files);
std::string prune_json(const std::string& folder, const std::vector<std::string>& pruned, std::size_t kept,
                       bool dry_run, const std::vector<std::string>& left, const std::vector<std::string>& unreadable);
/// `paths`: of the recordings.
std::string export_json(const std::string& file, const std::vector<std::string>& paths);
std::string import_json(const std::string& folder, const std::vector<std::string>& imported,
                        const std::vector<std::string>& there_already, const std::vector<std::string>& refused);
/// `left_out`: the stores that were not checked, with the reason.
std::string check_json(const std::vector<Cell>& cells, std::uint64_t seed,
                       const std::vector<std::pair<std::string, std::string>>& left_out, double wall_ms);

}  // namespace lockstep::cli

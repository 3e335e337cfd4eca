// kinds.cc: see kinds.h.
#include "engine/record/kinds.h"

#include "engine/record/exploration.h"
#include "engine/record/matrix.h"
#include "engine/record/open.h"
#include "engine/record/state_graph.h"

namespace lockstep::record {
namespace {

constexpr std::string_view kMatrixScenario = "matrix";      // what `lockstep matrix` saves its matrix as
constexpr std::string_view kComparedProtocol = "compared";  // what `lockstep compare` saves its comparison as

bool has_document(const std::string& path, std::initializer_list<std::string_view> names) {
  Result<sqlite::Database> database = open_recording(path);
  if (!database) return false;
  sqlite::Statement row(*database, "SELECT name FROM document");
  while (row.next()) {
    for (const std::string_view name : names) {
      if (row.text(0) == name) return true;
    }
  }
  return false;
}

std::string document_of(const std::string& path, std::string_view name) {
  Result<sqlite::Database> database = open_recording(path);
  if (!database) return {};
  sqlite::Statement row(*database, "SELECT name, content FROM document");
  while (row.next()) {
    if (row.text(0) == name) return row.text(1);
  }
  return {};
}

}  // namespace

bool is_comparison(const SavedRun& run) { return run.protocol == kComparedProtocol; }
bool is_matrix(const SavedRun& run) { return run.scenario == kMatrixScenario; }

RunKind kind_of(const SavedRun& run) {
  if (is_matrix(run)) return RunKind::matrix;
  if (is_comparison(run)) return RunKind::comparison;
  return has_document(run.path, {kStateGraphDocument, kExplorationDocument}) ? RunKind::exploration : RunKind::run;
}

std::set<std::string> cells_of_matrices(const std::vector<SavedRun>& runs) {
  std::set<std::string> cells;
  for (const SavedRun& run : runs) {
    if (!is_matrix(run)) continue;
    const Result<std::vector<MatrixCell>> matrix = matrix_of(document_of(run.path, kMatrixDocument));
    if (!matrix) continue;
    for (const MatrixCell& cell : *matrix) {
      if (!cell.run.empty()) cells.insert(cell.run);
    }
  }
  return cells;
}

}  // namespace lockstep::record

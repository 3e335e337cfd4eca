// matrix.h: many scenarios at many coordinates, each cell with what happened and how: what `lockstep matrix` saves.
//
// Kept in a recording as the document "matrix" (schema.h), as JSON of this form:
//
//   {"format": "lockstep-matrix", "version": 1,
//    "cells": [{"scenario": "isolation/write-skew", "title": "…", "pattern": "plain", "store": "postgres",
//               "protocol": "serializable", "executor": "threads",
//               "expected": "abort",       verdicts of run.h; null: nothing was expected
//               "verdict": "abort",        null: it could not run; then "how" says why
//               "how": "40001",            in a word: ✗, waits, snapshot, a code of the store, a fault
//               "summary": "…",            of the run
//               "run": "7f3a…"}, …]}       id of the cell's own recording; "": not saved
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/record/run.h"

namespace lockstep::record {

inline constexpr int kMatrixVersion = 1;
/// The name of the document in a recording.
inline constexpr const char* kMatrixDocument = "matrix";

struct MatrixCell {
  std::string scenario, title, pattern, store, protocol, executor;
  std::optional<Verdict> expected = {};  ///< nullopt: it was run, and not judged
  std::optional<Verdict> verdict = {};
  std::string how, summary, run;

  bool as_expected() const noexcept { return verdict && (!expected || verdict == expected); }
};

/// The JSON above.
std::string to_json(const std::vector<MatrixCell>& cells);
/// Reads it. Fault::invalid for what is no matrix, or of another version.
Result<std::vector<MatrixCell>> matrix_of(const std::string& json);

/// How a run came to its verdict, in a word for a cell of a matrix. The first of these that holds:
/// "✗" for an anomaly; the first fault that the store gave, by its code where it has one (40001, 40P01, BUSY);
/// "waits" when an actor waited; "zero rows" when a conditional write touched none;
/// "snapshot" where the protocol `reads_snapshot`; else the verdict.
std::string how_of(const Run& run, bool reads_snapshot);

}  // namespace lockstep::record

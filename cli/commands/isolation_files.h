// isolation_files.h: specs of PostgreSQL with the text of their own tool: `run FILE --format isolation`, and a folder
// of them held against its expected/*.out.
#pragma once

#include <string>

#include "cli/commands/program.h"

namespace lockstep::cli {

/// The value of --format for them.
inline constexpr const char* kIsolationFormat = "isolation";

/// Runs the spec at NAME; writes what isolationtester would write, and nothing else. With --expected the text is held
/// against that file in place of being written: what differs is shown, and the exit code is 1.
int run_isolation_file(Program& program);

/// True for a folder with specs and, beside them or beside their folder, expected/.
bool is_isolation_suite(const std::string& path);

/// Runs each spec of the folder on a database of its own and compares the text with its expected file, or with one of
/// its variants (NAME_0.out …). Exit code 1 when one differs.
int check_isolation_suite(Program& program, const std::string& path);

}  // namespace lockstep::cli

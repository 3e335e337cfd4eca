// script_files.h: text files where a command takes the name of a scenario.
//
// A file that has been read stays until the program ends, so that pointers to its scenario are good. Not thread-safe:
// the command line is read by one thread.
#pragma once

#include <string>
#include <vector>

#include "engine/record/run.h"
#include "engine/script/script.h"

namespace lockstep::cli {

/// True when `name` is no name of the catalogue, and ends in .spec or is a file.
bool is_script_file(const std::string& name);
/// The files *.spec of the folder, in the order of their names; empty when it is no folder, or a theme has that name.
std::vector<std::string> script_files_in(const std::string& folder);

/// The file, read at the first call. nullptr: the complaint is in `error`.
const script::Script* script_at(const std::string& path, std::string& error);
/// The file that the scenario is of; nullptr: it is written in C++.
const script::Script* script_of(const Scenario& scenario);

/// The scenario of a recorded run: of the file that the recording holds, else the one of that name. nullptr: the
/// complaint is in `error`. `note`: set when the file on disk is another one by now.
const Scenario* recorded_scenario(const record::Run& run, std::string& error, std::string& note);

/// Puts the text and the lines of a file into a run of its scenario; does nothing for one written in C++.
void note_script(const Scenario& scenario, record::Run& run);

}  // namespace lockstep::cli

// names.h: the names of the catalogue, for commands, complaints and completion.
#pragma once

#include <string>
#include <vector>

#include "engine/scenario/scenario.h"

namespace lockstep::cli {

std::vector<std::string> scenario_names();
std::vector<std::string> theme_names();
std::vector<std::string> workload_names();
bool is_theme(const std::string& name);
std::vector<std::string> store_names();
/// The names of the stores for sentences: those that wait in this process first.
std::vector<std::string> store_names_in_prose();
/// "kv, sqlite or postgres".
std::string listed_in_prose(const std::vector<std::string>& names);
std::vector<std::string> verdict_names();

/// The scenarios with a theme or name among `wanted`, in the catalogue's order, then those of the files among it; all
/// of the catalogue when it is empty. An unknown name is put into `error` as one line.
std::vector<const Scenario*> scenarios_named(const std::vector<std::string>& wanted, std::string& error);

/// The scenario of the catalogue or of the file (script_files.h), or nullptr and the complaint in `error`.
const Scenario* scenario_named(const std::string& name, std::string& error);

/// The store's name; of in-process locks alone "in-process".
std::string store_title(const std::string& store);

}  // namespace lockstep::cli

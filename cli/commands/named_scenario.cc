// named_scenario.cc: see named_scenario.h.
#include "cli/commands/named_scenario.h"

#include "cli/args/names.h"
#include "cli/text/scenario_list.h"

namespace lockstep::cli {

const Scenario* scenario_or_complaint(Program& program, const std::string& name, int& code) {
  std::string error;
  if (is_theme(name)) {
    code = usage_error(name + " is a theme; name one of its scenarios");
    if (!program.json && !program.quiet)
      program.out.write(scenario_list(scenarios_named({name}, error), program.terminal));
    return nullptr;
  }
  const Scenario* const scenario = scenario_named(name, error);
  if (scenario == nullptr) code = usage_error(error);
  return scenario;
}

}  // namespace lockstep::cli

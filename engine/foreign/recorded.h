// recorded.h: the board of a run that is over, as steps and as events for the record.
#pragma once

#include <vector>

#include "engine/foreign/program_subject.h"
#include "engine/record/run.h"
#include "engine/run/schedule_file.h"

namespace lockstep::foreign {

/// The steps that were taken, with the names of people.
std::vector<ScheduleStep> steps_of(ProgramSubject& subject);
/// The run, judged, with its events. Without an id, a command and the document "program".
record::Run run_of(ProgramSubject& subject, const ProgramCall& call);

}  // namespace lockstep::foreign

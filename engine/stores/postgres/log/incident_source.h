// incident_source.h: the incidents of a PostgreSQL server: in its log, and now.
#pragma once

#include "engine/store/incident.h"

namespace lockstep::postgres {

extern const IncidentSource kIncidentSource;

}  // namespace lockstep::postgres

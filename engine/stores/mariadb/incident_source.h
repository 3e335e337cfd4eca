// incident_source.h: where MariaDB tells of deadlocks and waits.
#pragma once

#include "engine/store/incident.h"

namespace lockstep::mariadb {

/// The error log and SHOW ENGINE INNODB STATUS as text, and a server that can be asked. Thread-safe.
extern const IncidentSource kIncidentSource;

}  // namespace lockstep::mariadb

// sync.h: what a scenario's bodies lock and wait with: mutexes, condition variables, semaphores, joins, what is done
// once, pools of workers, and the banker's resource manager. A door: scenarios include it, and need not know the files
// behind it.
#pragma once

#include "engine/sync/banker.h"
#include "engine/sync/join.h"
#include "engine/sync/once.h"
#include "engine/sync/pool.h"
#include "engine/sync/std_names.h"
#include "engine/sync/sync.h"

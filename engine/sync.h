// sync.h: what a scenario's bodies lock and wait with: mutexes, condition variables, semaphores, and the banker's
// resource manager. A door: scenarios include it, and need not know the files behind it.
#pragma once

#include "engine/sync/banker.h"
#include "engine/sync/sync.h"

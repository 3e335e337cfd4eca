// executors.h: the executors of a run.
#pragma once

#include <memory>

#include "engine/actor/executor.h"

namespace lockstep {

class Conductor;
class ThreadPool;

/// One OS thread for each actor (boost::thread, named after it). `conductor` is nullptr for the free schedule. With a
/// `pool` (under a schedule only, for runs that are repeated) the threads are those of the pool. A waiting thread then
/// sleeps until it is woken. In the real lock it could leave only at the end of a time slice.
std::unique_ptr<Executor> make_threads_executor(RunState& run, Conductor* conductor, ThreadPool* pool = nullptr);
/// Coroutines: on one event loop (runtime/loop.h) for each of `workers` threads when free, on the conductor's thread
/// when controlled.
std::unique_ptr<Executor> make_coroutines_executor(RunState& run, Conductor* conductor, int workers);

}  // namespace lockstep

// wait_graph.h: the wait-for graph of one run as a file: for graphviz, or as JSON.
//
//   {"format": "lockstep-wait-graph", "version": 1, "id", "scenario", "store", "protocol", "pattern", "verdict",
//    "actors": ["T1", "T2"], "cycle": ["T1", "T2"], "more_cycles": 0,
//    "waits": [{"from": "T1", "wants": "B", "wants_at": "scenarios/threads/two_lock.cc:34",
//               "to": "T2", "held_at": "scenarios/threads/two_lock.cc:33", "in_cycle": true}, …]}
//
// The graph shows the waits that stood when the first cycle closed. Without a cycle, when the run got stuck or was
// stopped. Each of `cycle` waits for the next one, the last for the first. "to" is null where no actor holds what is
// wanted. "wants" is empty where a server does not say what it is. Lines are null in recordings of older versions,
// which did not keep them.
#pragma once

#include <string>

#include "cli/args/output_file.h"
#include "cli/args/tree.h"
#include "engine/record/run.h"

namespace lockstep::cli {

/// The option --graph, for commands that end with a run.
OptionSpec wait_graph_option();

std::string wait_graph_json(const record::Run& run);
std::string wait_graph_dot(const record::Run& run);

/// Writes the graph to `path`: for graphviz when its name ends in .dot, else JSON. Fault::io when that cannot be.
Result<void> write_wait_graph(const record::Run& run, OutputFile& file);

}  // namespace lockstep::cli

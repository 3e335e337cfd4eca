// run_html.h: the sections of a page on one run, in their order: verdict, lesson, player, lanes, cycle, aborts by
// cause, environment and command, raw data.
#pragma once

#include <string>
#include <vector>

#include "reports/matrix_html.h"
#include "reports/open_recording.h"

namespace lockstep::reports {

/// A file that lies beside the page: what it is and how it is reached from there.
struct Link {
  std::string words, target;
};

/// The verdict in a box, alone.
std::string verdict_box(const record::Run& run);

/// `id`: prefix of all ids of this run on its page. `level`: of its headlines (2 when the page is about this run
/// alone).
std::string run_html(const OpenRecording& recording, const std::string& id, int level, const std::vector<Link>& links,
                     const Pages& pages);

/// Coordinates as names and values.
std::string coordinates(const record::Run& run);

}  // namespace lockstep::reports

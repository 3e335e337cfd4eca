// isolation.h: whether a history is what an isolation level promises, and if not, the proof.
//
// Levels and anomalies after Adya, "Weak consistency: a generalized theory and optimistic implementations for
// distributed transactions", 1999. A history is drawn as a graph:
//
//   T1 -ww-> T2   T2 overwrote what T1 wrote
//   T1 -wr-> T2   T2 read what T1 wrote
//   T1 -rw-> T2   T2 overwrote what T1 read
//   T1 ----> T2   T1 had ended before T2 began
//
// The last makes the levels strict: a store that answers with old rows is wrong even where some order explains it.
//
//   read_committed   no cycle of ww (G0) or ww and wr (G1c); nothing read that was aborted (G1a) or not final (G1b)
//   snapshot         the same, and no cycle without two rw edges in a row (Fekete et al., "Making snapshot isolation
//                    serializable", 2005; Cerone and Gotsman, "Analysing snapshot isolation", 2018)
//   serializable     no cycle at all (G-single: one rw, G2: several)
//
// Sound: what is reported has happened. Complete but for absent keys. Where the times do not tell which absence (before
// the first write, after which erase) was seen, no edge is drawn.
#pragma once

#include <string>
#include <vector>

#include "engine/check/history.h"
#include "engine/check/level.h"

namespace lockstep::check {

struct Anomaly {
  std::string name;  ///< Adya's, such as "G-single", or "lost write"
  std::string why;   ///< the proof, for people: a line a step
};

/// What `history` shows that `level` forbids; empty when it shows nothing. Of cycles the shortest of each knot is
/// given. Takes time in proportion to the length of all lists that were read.
std::vector<Anomaly> anomalies_of(const History& history, Level level);

}  // namespace lockstep::check

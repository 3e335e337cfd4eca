// isolation.h: whether a history of lists is what an isolation level promises, and if not, the proof.
//
// Levels and anomalies after Adya, "Weak consistency: a generalized theory and optimistic implementations for
// distributed transactions", 1999. A history is drawn as a graph:
//
//   T1 -ww-> T2   T2 overwrote what T1 wrote
//   T1 -wr-> T2   T2 read what T1 wrote
//   T1 -rw-> T2   T2 overwrote what T1 read
//   T1 ----> T2   T1 had ended before T2 began, or came before it in its process: only where a claim asks for it
//
//   read-uncommitted    no cycle of ww (G0), no element twice in a list
//   read-committed      and no cycle of ww and wr (G1c); nothing read that was aborted or never written (G1a) or not
//                       final (G1b); all reads of a key fit together
//   read-atomic         and every transaction agrees with itself (internal)
//   repeatable-read     read-committed, and no cycle at all
//   snapshot-isolation  read-atomic, and no cycle without two rw edges in a row (Fekete et al., "Making snapshot
//                       isolation serializable", 2005; Cerone and Gotsman, "Analysing snapshot isolation", 2018)
//   serializable        read-atomic, and no cycle at all
//
// The order of a key's writes is that of the longest list that was read, or of the list at the end. Committed writes
// that nobody read come after it, in no order among them. A transaction that reads a version and overwrites the key is,
// under snapshots, before all others that overwrite that version; so two of them are a lost update.
//
// Sound: what is reported has happened. Complete but for absent keys. Where the times do not tell which absence (before
// the first write, after which erase) was seen, no edge is drawn.
#pragma once

#include <string>
#include <vector>

#include "engine/check/findings.h"
#include "engine/check/history.h"

namespace lockstep::check {

/// What `transactions` show; those outlive it. Takes time in proportion to their steps and lists.
Findings judge_lists(const Transactions& transactions);

/// What `history` shows that `level` forbids, with the order of real time; empty when it shows nothing. Of cycles the
/// shortest of each knot is given.
std::vector<Anomaly> anomalies_of(const History& history, Level level);

}  // namespace lockstep::check

// round_pack.h: what one rank of a job has measured in a round, as bytes for rank 0, which adds up (engine/ranks).
#pragma once

#include "engine/load/round.h"
#include "engine/ranks/pack.h"

namespace lockstep::load {

/// What is counted and measured, and why the round does not count. What the store is, and what was found in its final
/// state and its history, is rank 0's to say.
void pack(const RoundResult& result, Packer& into);
RoundResult unpack_round(Unpacker& from);
void pack(const Counts& counts, Packer& into);
Counts unpack_counts(Unpacker& from);

/// Adds what another rank has counted in the same round. Histograms add without loss. The time is not added.
void add(RoundResult& into, const RoundResult& other);

}  // namespace lockstep::load

// tally_pack.h: what a rank of a job has found, as bytes for the rank that adds up (engine/ranks).
#pragma once

#include <string>
#include <vector>

#include "engine/base/footprint.h"
#include "engine/explore/tally.h"
#include "engine/ranks/pack.h"

namespace lockstep {

/// Everything but Tally::representatives, which only a search for a model keeps.
void pack(const Tally& tally, Packer& into);
Tally unpack_tally(Unpacker& from);

/// What one has learnt of a subject's steps, in words that mean the same in every process. The numbers of things do
/// not: each process counts them in the order in which it meets them.
struct Learnt {
  std::vector<std::string> queues;  ///< locks whose queue matters (Footprint::queue_matters)

  void add(const Learnt& other);
};
Learnt learnt_by(Footprint& footprint, const ObjectNumbers& numbers);
/// The footprint knows it from now on, and does not take it for news.
void teach(const Learnt& learnt, Footprint& footprint);
void pack(const Learnt& learnt, Packer& into);
Learnt unpack_learnt(Unpacker& from);

}  // namespace lockstep

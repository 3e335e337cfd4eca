// checks.h: what is looked at once a file has been read whole: that its names stand for something.
#pragma once

#include <optional>

#include "engine/spec/spec_file.h"

namespace lockstep::spec {

/// The first fault, in the order in which isolationtester looks: step names, then each permutation. Then what is added
/// to PostgreSQL's specs.
std::optional<Complaint> fault_in(const SpecFile& file);

}  // namespace lockstep::spec

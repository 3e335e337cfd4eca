// versions.cc: which version a snapshot sees, and which ones nobody can see any more.
#include "kv/versions/versions.h"

#include <utility>

namespace lockstep::kv {

VersionedRecord::~VersionedRecord() { free_versions(newest.older); }

VersionedRecord::Sight VersionedRecord::at(Stamp snapshot) const noexcept {
  Sight sight;
  if (newest.is_none()) return sight;
  for (const Version* version = &newest; version; version = version->older) {
    const CommitCell::Look look = version->look();
    const bool may_be_seen = look.stamp <= snapshot;  // also while its stamp is being drawn
    if (look.state == CommitCell::State::committed && may_be_seen) {
      sight.version = version;
      return sight;
    }
    if (look.state != CommitCell::State::active && may_be_seen) sight.settled = false;
    sight.next = version;
  }
  return sight;
}

bool VersionedRecord::push(Version& spare, const CommitCell& writer, bool exists, std::string_view value) {
  const bool overwrites = !newest.is_none();
  if (overwrites) {
    spare.take(newest);
    newest.older = &spare;
  }
  newest.begin(writer, exists);
  newest.set(value, nullptr);
  return overwrites;
}

Version* VersionedRecord::pop() noexcept {
  Version* const before = newest.older;
  Version none;
  newest.take(before ? *before : none);
  return before;
}

Version* VersionedRecord::collect(Stamp horizon) noexcept {
  // The newest version at or before the horizon is what the oldest snapshot sees; everything older is seen by nobody.
  Version* seen = &newest;
  while (seen && (seen->writer() || seen->stamp() > horizon)) seen = seen->older;
  return seen ? std::exchange(seen->older, nullptr) : nullptr;
}

void free_versions(Version* chain) noexcept {
  while (chain) {
    Version* const older = chain->older;
    delete chain;
    chain = older;
  }
}

}  // namespace lockstep::kv

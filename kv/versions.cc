// versions.cc: which version a snapshot sees, and which ones nobody can see any more.
#include "kv/versions.h"

#include <utility>

namespace lockstep::kv {

VersionedRecord::~VersionedRecord() { free_versions(newest); }

VersionedRecord::Sight VersionedRecord::at(Stamp snapshot) const noexcept {
  Sight sight;
  for (const Version* version = newest; version; version = version->older) {
    CommitCell::Look look{CommitCell::State::committed, version->stamp};
    if (version->writer) look = version->writer->look();
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

void VersionedRecord::push(Version& version) noexcept {
  version.older = newest;
  newest = &version;
  ++versions;
}

Version& VersionedRecord::pop() noexcept {
  Version& version = *newest;
  newest = version.older;
  version.older = nullptr;
  --versions;
  return version;
}

Version* VersionedRecord::collect(Stamp horizon) noexcept {
  // The newest version at or before the horizon is what the oldest snapshot sees; everything older is seen by nobody.
  Version* seen = newest;
  while (seen && (seen->writer || seen->stamp > horizon)) seen = seen->older;
  if (!seen) return nullptr;
  Version* const unseen = std::exchange(seen->older, nullptr);
  for (const Version* version = unseen; version; version = version->older) --versions;
  return unseen;
}

void free_versions(Version* chain) noexcept {
  while (chain) {
    Version* const older = chain->older;
    delete chain;
    chain = older;
  }
}

}  // namespace lockstep::kv

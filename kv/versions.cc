// versions.cc: which version a snapshot sees, and which ones nobody can see any more.
#include "kv/versions.h"

#include <algorithm>
#include <thread>

namespace lockstep::kv {

bool CommitCell::visible_at(Stamp snapshot) const noexcept {
  Stamp stamp = value_.load();
  while (stamp == kCommitting) {
    std::this_thread::yield();
    stamp = value_.load();
  }
  return stamp != kActive && stamp <= snapshot;
}

VersionedRecord::~VersionedRecord() { free_versions(newest); }

const Version* VersionedRecord::at(Stamp snapshot) const noexcept {
  for (const Version* version = newest; version; version = version->older) {
    const bool visible = version->writer ? version->writer->visible_at(snapshot) : version->stamp <= snapshot;
    if (visible) return version;
  }
  return nullptr;
}

void VersionedRecord::push(Version& version) noexcept {
  version.older = newest;
  newest = &version;
  ++versions;
}

Version* VersionedRecord::collect(Stamp horizon) noexcept {
  // The newest version at or before the horizon is what the oldest snapshot sees; everything older is seen by nobody.
  Version* seen = newest;
  while (seen && (seen->writer || seen->stamp > horizon)) seen = seen->older;
  if (!seen) return nullptr;
  Version* const unseen = std::exchange(seen->older, nullptr);
  for (const Version* version = unseen; version; version = version->older) --versions;
  collect_at = std::max<std::size_t>(8, 2 * versions);
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

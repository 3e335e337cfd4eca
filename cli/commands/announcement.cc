// announcement.cc: see announcement.h.
#include "cli/commands/announcement.h"

#include "cli/text/output.h"
#include "engine/store/backend.h"

namespace lockstep::cli {

void announce_store(const RunRequest& request) {
  const BackendKind* const kind = backend_named(request.store);
  if (kind == nullptr) return;
  if (const std::string text = kind->announcement(request.dsn.of(*kind)); !text.empty()) complain(text);
}

}  // namespace lockstep::cli

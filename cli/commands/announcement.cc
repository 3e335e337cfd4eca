// announcement.cc: see announcement.h.
#include "cli/commands/announcement.h"

#include "cli/text/output.h"
#include "engine/store/backend.h"

namespace lockstep::cli {

void announce_store(const RunRequest& request) {
  const BackendKind* const kind = backend_named(request.store);
  if (kind == nullptr) return;
  const std::string dsn = request.dsn.of(*kind);
  if (!kind->available(dsn)) return;  // the run says why
  if (const std::string text = kind->announcement(dsn); !text.empty()) complain(text);
}

}  // namespace lockstep::cli

// model.cc: see model.h.
#include "engine/explore/model/model.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "engine/stores/sqlite/session.h"

namespace lockstep {
namespace {

struct Entry {
  std::string_view store, protocol;
  std::string_view kv;  ///< what stands for it (stores/kv/stand_in.h)
};

constexpr std::array kModels = {
    Entry{"postgres", "read-committed", "snapshot as postgres/read-committed"},
    Entry{"postgres", "repeatable-read", "snapshot as postgres"},
    Entry{"postgres", "serializable", "ssi as postgres"},
    Entry{"sqlite", "immediate", "serial as sqlite/immediate"},
    Entry{"sqlite", "immediate-wal", "serial as sqlite/immediate"},
    Entry{"sqlite", "exclusive", "serial as sqlite/immediate"},
    Entry{"sqlite", "exclusive-wal", "serial as sqlite/immediate"},
};

bool has_time_limit(const Pattern& pattern, const RunRequest& request) {
  return request.lock_timeout || std::any_of(pattern.tuning.begin(), pattern.tuning.end(), [](const auto& option) {
           return option.first == "lock-timeout-ms" || option.first == "statement-timeout-ms";
         });
}

}  // namespace

ModelChoice model_of(const Scenario& scenario, const RunRequest& resolved) {
  const auto none = [](std::string why) { return ModelChoice{{}, std::move(why)}; };
  const auto entry = std::find_if(kModels.begin(), kModels.end(), [&resolved](const Entry& each) {
    return each.store == resolved.store && each.protocol == resolved.protocol;
  });
  if (entry == kModels.end())
    return none(fmt::format("no protocol of kv stands for {}'s {}", resolved.store, resolved.protocol));
  const Pattern& pattern = *scenario.pattern_named(resolved.pattern);
  const std::vector<std::string> stores = pattern.stores();
  if (!pattern.ddl.empty() || std::find(stores.begin(), stores.end(), "kv") == stores.end())
    return none(fmt::format("the pattern {} speaks SQL, which kv does not", pattern.name));
  if (resolved.store == "postgres" && has_time_limit(pattern, resolved))
    return none("waits end by the server's clock, which no schedule decides");

  Model model{.request = resolved, .name = fmt::format("kv {}", entry->kv)};
  model.request.store = "kv";
  model.request.protocol = entry->kv;
  model.request.dsn.clear();
  model.request.deadlock_timeout.reset();
  if (resolved.store == "sqlite" && !has_time_limit(pattern, resolved))
    model.request.lock_timeout = sqlite::kDefaultBusyTimeout;
  return {std::move(model), {}};
}

}  // namespace lockstep

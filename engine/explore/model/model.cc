// model.cc: see model.h.
#include "engine/explore/model/model.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/store/backend.h"

namespace lockstep {
namespace {

bool has_time_limit(const Pattern& pattern, const RunRequest& request) {
  return request.lock_timeout || std::any_of(pattern.tuning.begin(), pattern.tuning.end(), [](const auto& option) {
           return option.first == "lock-timeout-ms" || option.first == "statement-timeout-ms";
         });
}

}  // namespace

ModelChoice model_of(const Scenario& scenario, const RunRequest& resolved) {
  const auto none = [](std::string why) { return ModelChoice{{}, std::move(why)}; };
  const BackendKind& kind = *backend_named(resolved.store);
  const std::optional<StoreModel>& stands_in = kind.protocol_named(resolved.protocol)->model;
  const BackendKind* const modelling = modelling_backend();
  if (!stands_in || modelling == nullptr) {
    return none(fmt::format("no protocol of {} stands for {}'s {}",
                            modelling == nullptr ? "any store" : modelling->name, resolved.store, resolved.protocol));
  }
  const Pattern& pattern = *scenario.pattern_named(resolved.pattern);
  const std::vector<std::string> stores = pattern.stores();
  if (pattern.has_ddl() || std::find(stores.begin(), stores.end(), modelling->name) == stores.end())
    return none(fmt::format("the pattern {} speaks SQL, which {} does not", pattern.name, modelling->name));
  if (kind.traits.waits == Waits::external && has_time_limit(pattern, resolved))
    return none("waits end by the server's clock, which no schedule decides");

  const std::string protocol = fmt::format("{} as {}", stands_in->protocol, stands_in->emulated.name);
  Model model{.request = resolved, .name = fmt::format("{} {}", modelling->name, protocol)};
  model.request.store = modelling->name;
  model.request.protocol = protocol;
  model.request.dsn = {};
  model.request.deadlock_timeout.reset();
  if (kind.traits.lock_timeout != kNever && !has_time_limit(pattern, resolved))
    model.request.lock_timeout = kind.traits.lock_timeout;
  return {std::move(model), {}};
}

}  // namespace lockstep

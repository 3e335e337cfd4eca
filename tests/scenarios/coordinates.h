// coordinates.h: every place where a scenario says that it runs.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "engine/run/run.h"
#include "engine/stores/postgres/cluster.h"
#include "engine/stores/postgres/server_binaries.h"
#include "scenarios/catalogue.h"

namespace lockstep::scenarios_testing {

/// How often a run is repeated, to show that it is the same every time. A sanitizer looks for other faults, and has
/// seen each step in the first few: there a tenth will do.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr int kRepetitions = 100;
#else
inline constexpr int kRepetitions = 1000;
#endif

/// Of the pattern on the store: the protocols that it has an expectation for.
inline std::vector<std::string> protocols_of(const Pattern& pattern, const std::string& store) {
  if (store == "none") return {"none"};
  std::vector<std::string> names;
  const BackendKind* const kind = backend_named(store);
  if (kind == nullptr) return names;
  for (const std::string& name : kind->protocol_names())
    if (pattern.expected(store, name)) names.push_back(name);
  return names;
}

/// A run request for each pattern and protocol of the scenario on the store, with that executor.
inline std::vector<RunRequest> requests_on(const Scenario& scenario, const std::string& store,
                                           const std::string& executor) {
  std::vector<RunRequest> requests;
  for (const Pattern& pattern : scenario.patterns()) {
    const auto stores = pattern.stores();
    if (std::find(stores.begin(), stores.end(), store) == stores.end()) continue;
    for (const std::string& protocol : protocols_of(pattern, store)) {
      RunRequest request;
      request.store = store;
      request.protocol = protocol;
      request.pattern = pattern.name;
      request.executor = executor;
      requests.push_back(std::move(request));
    }
  }
  return requests;
}

/// "lost-update plain on kv/occ": where a run took place.
inline std::string place_of(const Scenario& scenario, const RunRequest& request) {
  return scenario.name + " " + request.pattern + " on " + request.store + "/" + request.protocol + " by " +
         request.executor;
}

/// The scenarios that run on one of `stores`, by name.
inline std::vector<std::string> scenarios_on(const std::vector<std::string>& stores) {
  std::vector<std::string> names;
  for (const Scenario& scenario : scenarios::catalogue())
    for (const std::string& store : scenario.stores())
      if (std::find(stores.begin(), stores.end(), store) != stores.end()) {
        names.push_back(scenario.name);
        break;
      }
  return names;
}

/// "isolation/lost-update" as GoogleTest wants a name: "isolation_lost_update".
inline std::string test_name_of(std::string name) {
  for (char& letter : name)
    if (std::isalnum(static_cast<unsigned char>(letter)) == 0) letter = '_';
  return name;
}

/// Every event of a run in one line each, without what differs from process to process.
inline std::string story_of(const record::Run& run) {
  std::string text;
  for (const record::Event& event : run.events) {
    text += std::to_string(event.seq) + " " + std::to_string(event.at_ns) + " " + std::to_string(event.actor) + " " +
            std::to_string(event.step) + " " + std::string(name_of(event.kind)) + " " + event.verb + " " +
            event.object + " " + event.detail;
    if (event.fault) text += " " + std::string(name_of(*event.fault)) + " " + event.code;
    for (const int other : event.others) text += " ->" + std::to_string(other);
    text += "\n";
  }
  return text;
}

/// The server for tests: LOCKSTEP_TEST_DSN, else this process's private cluster; nullopt when there is neither.
inline std::optional<std::string> test_dsn() {
  if (const char* named = std::getenv("LOCKSTEP_TEST_DSN"); named != nullptr && *named != '\0') return named;
  if (!postgres::find_server_binaries().ok()) return std::nullopt;
  const auto dsn = postgres::private_cluster_dsn();
  EXPECT_TRUE(dsn.ok()) << dsn.error().message;
  return dsn.ok() ? std::optional(*dsn) : std::nullopt;
}

}  // namespace lockstep::scenarios_testing

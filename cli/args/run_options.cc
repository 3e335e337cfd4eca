// run_options.cc: reads numbers and durations with complaints that say what is allowed.
#include "cli/args/run_options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

#include "cli/args/command_line.h"
#include "cli/args/names.h"
#include "engine/store/backend.h"

namespace lockstep::cli {
namespace {

constexpr int kWorkersMost = 256;
constexpr int kRetriesMost = 1'000'000;

template <class Number>
bool read_number(const std::string& text, Number& number) {
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  return error == std::errc() && rest == end && !text.empty();
}

template <class Duration>
std::string read_duration(const Arguments& arguments, const char* name, Duration& duration) {
  if (!arguments.has(name)) return {};
  const std::string text = arguments.value(name);
  const auto read = duration_named(text);
  if (!read) return fmt::format("--{} \"{}\" is no duration; write 500ms, 2s or 1m (up to a day)", name, text);
  duration = *read;
  return {};
}

/// The titles of the stores that break deadlocks only after a time.
std::vector<std::string> titles_of_late_breakers() {
  std::vector<std::string> titles;
  for (const BackendKind& kind : backends()) {
    const bool late = std::any_of(kind.protocols.begin(), kind.protocols.end(), [](const ProtocolTraits& each) {
      return each.deadlocks == DeadlockBreaking::after_timeout;
    });
    if (late) titles.emplace_back(kind.traits.title);
  }
  return titles;
}

}  // namespace

std::vector<OptionSpec> dsn_option() {
  std::string value, help;
  for (const BackendKind& kind : backends()) {
    if (!kind.traits.dsn) continue;
    value = kind.traits.dsn->value;
    help += (help.empty() ? "" : "; ") + std::string(kind.traits.dsn->help);
  }
  if (help.empty()) return {};
  OptionSpec option{"dsn", value, help + "; STORE=DSN: that of one store, once for each"};
  option.repeats = true;
  return {std::move(option)};
}

OptionSpec fsync_option() {
  return {"fsync",
          "on|off",
          "whether commits on a server that is started for the run wait for the disk; default: off",
          Names::choices,
          {"on", "off"}};
}

std::vector<OptionSpec> run_options() {
  std::vector<OptionSpec> options = {
      {"store", "NAME",
       fmt::format("{}; default: {} where the scenario runs on it", listed_in_prose(store_names_in_prose()),
                   default_backend().name),
       Names::store},
      {"executor",
       "NAME",
       "how actors wait: threads (the default) or coroutines",
       Names::choices,
       {"threads", "coroutines"}},
      {"seed", "N", "the seed of everything random; default: 1"},
      {"timeout", "TIME", "the longest run, such as 500ms or 2s; then its verdict is hung; default: 30s"},
      {"retries", "N", "how often a body that gave up is run again; default: the pattern's, else 10"},
      {"lock-timeout", "TIME", "the longest wait for one lock; default: the pattern's, else the protocol's"},
      {"deadlock-timeout", "TIME",
       fmt::format("how long {} waits before it looks for a cycle; default: 50ms",
                   listed_in_prose(titles_of_late_breakers()))},
      {"connect-timeout", "TIME", "the longest wait for a connection; default: 5s"},
      {"workers", "N", "threads of the coroutines executor under the free schedule; default: 2"},
      {"record-every", "N", "free schedule: of an actor's transactions after 500 keep every N-th; 1: all; default: 16"},
  };
  const std::vector<OptionSpec> dsn = dsn_option();
  options.insert(options.begin() + 2, dsn.begin(), dsn.end());
  options.push_back(fsync_option());
  return options;
}

std::vector<std::string> stores_asked_for(const Arguments& arguments) {
  if (arguments.has("store")) return arguments.listed("store");
  if (!arguments.has("dsn")) return {};
  const Dsns dsns = arguments.all("dsn");
  std::vector<std::string> stores;
  for (const BackendKind& kind : backends()) {
    if (kind.traits.dsn && !dsns.of(kind).empty()) stores.emplace_back(kind.name);
  }
  return stores;
}

std::string wrong_dsn(const Arguments& arguments, const std::vector<std::string>& stores) {
  if (!arguments.has("dsn") || stores.empty()) return {};
  const std::vector<std::string> typed = arguments.all("dsn");
  const Dsns dsns = typed;
  std::vector<std::string> servers;
  for (const BackendKind& kind : backends()) {
    if (kind.traits.dsn) servers.emplace_back(kind.name);
  }
  const auto any = [&stores](auto&& is_so) { return std::any_of(stores.begin(), stores.end(), is_so); };
  const bool has_servers = any([&servers](const std::string& store) {
    return std::find(servers.begin(), servers.end(), store) != servers.end();
  });
  if (!has_servers) {
    return fmt::format("--dsn names a server, and {} has none; --dsn goes with --store {}", fmt::join(stores, ", "),
                       listed_in_prose(servers));
  }
  const bool is_for_one = any([&dsns](const std::string& store) {
    const BackendKind* const kind = backend_named(store);
    return kind != nullptr && !dsns.of(*kind).empty();
  });
  // One text is for several stores only when it looks like a DSN of none.
  const bool fits_none = !arguments.has("store") && typed.size() < stores.size();
  if (is_for_one && !fits_none) return {};
  return fmt::format("--dsn is no DSN of {}", listed_in_prose(stores));
}

std::string read_run_options(const Arguments& arguments, RunRequest& request) {
  const std::vector<std::string> stores = stores_asked_for(arguments);
  if (std::string wrong = wrong_dsn(arguments, stores); !wrong.empty()) return wrong;
  request.store = stores.size() == 1 ? stores.front() : arguments.value("store");
  request.protocol = arguments.value("protocol");
  request.pattern = arguments.value("pattern");
  request.executor = arguments.value("executor", request.executor);
  request.schedule = arguments.value("schedule");
  request.dsn = arguments.all("dsn");
  request.durable = arguments.value("fsync") == "on";
  if (arguments.has("seed") && !read_number(arguments.value("seed"), request.seed)) {
    return fmt::format("--seed \"{}\" is no whole number from 0 to 18446744073709551615", arguments.value("seed"));
  }
  if (arguments.has("workers") && (!read_number(arguments.value("workers"), request.workers) || request.workers < 1 ||
                                   request.workers > kWorkersMost)) {
    return fmt::format("--workers \"{}\" is no whole number from 1 to {}", arguments.value("workers"), kWorkersMost);
  }
  if (arguments.has("record-every") &&
      (!read_number(arguments.value("record-every"), request.record_every) || request.record_every < 1)) {
    return fmt::format("--record-every \"{}\" is no whole number from 1 to 4294967295",
                       arguments.value("record-every"));
  }
  if (int retries = 0; arguments.has("retries")) {
    if (!read_number(arguments.value("retries"), retries) || retries < 0 || retries > kRetriesMost) {
      return fmt::format("--retries \"{}\" is no whole number from 0 to {}", arguments.value("retries"), kRetriesMost);
    }
    request.retries = retries;
  }
  std::string error = read_duration(arguments, "timeout", request.limit);
  if (error.empty()) error = read_duration(arguments, "lock-timeout", request.lock_timeout);
  if (error.empty()) error = read_duration(arguments, "deadlock-timeout", request.deadlock_timeout);
  if (error.empty()) error = read_duration(arguments, "connect-timeout", request.connect_timeout);
  return error;
}

}  // namespace lockstep::cli

// command_line.cc: coordinates as options.
#include "cli/args/command_line.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>

namespace lockstep::cli {
namespace {

struct Unit {
  const char* name;
  double seconds;
};
constexpr std::array kUnits = {Unit{"us", 1e-6}, Unit{"ms", 1e-3}, Unit{"s", 1},
                               Unit{"m", 60},    Unit{"h", 3600},  Unit{"", 1}};
constexpr double kSecondsLeast = 1e-6;
constexpr double kSecondsMost = 86400;

bool is_plain(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
         std::string_view("_-./,:=+@%").find(c) != std::string_view::npos;
}

}  // namespace

std::string shell_quoted(const std::string& text) {
  if (!text.empty() && std::all_of(text.begin(), text.end(), is_plain)) return text;
  std::string safe = "'";
  for (const char c : text) safe += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return safe + "'";
}

std::string command_of(const record::Run& run, const RunRequest& request) {
  std::string command = "lockstep run " + shell_quoted(run.scenario);
  const auto add = [&command](const char* option, const std::string& value) {
    command += fmt::format(" --{} {}", option, shell_quoted(value));
  };
  if (run.store != record::kNoStore) {
    add("store", run.store);
    const BackendKind* const kind = backend_named(run.store);
    if (const std::string dsn = kind == nullptr ? std::string() : request.dsn.shown_of(*kind); !dsn.empty())
      add("dsn", dsn);
    add("protocol", run.protocol);
  }
  add("pattern", run.pattern);
  add("executor", run.executor);
  if (!request.schedule.empty()) add("schedule", request.schedule);
  if (request.retries) add("retries", std::to_string(*request.retries));
  if (request.waits_at_most) add("waits-at-most", name_of(*request.waits_at_most));
  if (request.lock_timeout) add("lock-timeout", name_of(*request.lock_timeout));
  if (request.deadlock_timeout) add("deadlock-timeout", name_of(*request.deadlock_timeout));
  if (request.limit != RunRequest().limit) add("timeout", name_of(request.limit));
  if (request.workers != RunRequest().workers) add("workers", std::to_string(request.workers));
  add("seed", std::to_string(run.seed));
  return command;
}

std::optional<Nanos> duration_named(const std::string& text) {
  double number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number, std::chars_format::fixed);
  if (error != std::errc() || rest == text.data()) return std::nullopt;
  const std::string_view name(rest, static_cast<std::size_t>(end - rest));
  const auto unit = std::find_if(kUnits.begin(), kUnits.end(), [name](const Unit& u) { return name == u.name; });
  if (unit == kUnits.end()) return std::nullopt;
  const double seconds = number * unit->seconds;
  if (!(seconds >= kSecondsLeast && seconds <= kSecondsMost)) return std::nullopt;
  return Nanos(std::llround(seconds * 1e9));
}

std::string name_of(Nanos duration) {
  const auto ns = duration.count();
  if (ns % 1'000'000'000 == 0) return fmt::format("{}s", ns / 1'000'000'000);
  if (ns % 1'000'000 == 0) return fmt::format("{}ms", ns / 1'000'000);
  return fmt::format("{}us", ns / 1000);
}

}  // namespace lockstep::cli

// schedule_file.cc: see schedule_file.h.
#include "engine/run/schedule_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/run/run_environment.h"
#include "engine/run/verdict.h"

namespace lockstep {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kFormat = "lockstep-schedule";

Json options_of(const RunRequest& run) {
  Json options = Json::object();
  if (run.retries) options["retries"] = *run.retries;
  if (run.lock_timeout) options["lock_timeout_ns"] = run.lock_timeout->count();
  if (run.deadlock_timeout) options["deadlock_timeout_ns"] = run.deadlock_timeout->count();
  return options;
}

void read_options(const Json& options, RunRequest& run) {
  if (options.contains("retries")) run.retries = options.at("retries").get<int>();
  if (options.contains("lock_timeout_ns")) run.lock_timeout = Nanos(options.at("lock_timeout_ns").get<std::int64_t>());
  if (options.contains("deadlock_timeout_ns"))
    run.deadlock_timeout = Nanos(options.at("deadlock_timeout_ns").get<std::int64_t>());
}

std::string line(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n"; }

Error bad_line(std::size_t number, const std::string& why) {
  return {Fault::invalid, {}, fmt::format("the schedule file, line {}: {}", number, why)};
}

Result<ScheduleFile> head_of(const Json& json, std::size_t& steps) {
  if (!json.is_object() || json.value("format", "") != kFormat) return bad_line(1, "this is no schedule file");
  if (const int version = json.at("version"); version != kScheduleFileVersion) {
    return bad_line(1, fmt::format("it has version {}, this program reads version {}; use the lockstep that wrote it",
                                   version, kScheduleFileVersion));
  }
  ScheduleFile file;
  file.run.store = json.at("store");
  file.run.protocol = json.at("protocol");
  file.run.pattern = json.at("pattern");
  file.run.seed = json.at("seed");
  read_options(json.at("options"), file.run);
  file.scenario = json.at("scenario");
  file.actors = json.at("actors").get<std::vector<std::string>>();
  steps = json.at("steps");
  const std::string verdict = json.at("verdict");
  const auto known = record::verdict_named(verdict);
  if (!known) return bad_line(1, fmt::format("unknown verdict \"{}\"", verdict));
  file.verdict = *known;
  return file;
}

Result<ScheduleStep> step_of(const Json& json, const ScheduleFile& file, std::size_t line_number) {
  const std::size_t number = json.at("step");
  if (number != file.steps.size() + 1) {
    return bad_line(line_number, fmt::format("step {} follows step {}", number, file.steps.size()));
  }
  const std::string actor = json.at("actor");
  const auto found = std::find(file.actors.begin(), file.actors.end(), actor);
  if (found == file.actors.end()) {
    return bad_line(line_number, fmt::format("step {}: no actor \"{}\"; there are: {}", number, actor,
                                             fmt::join(file.actors, ", ")));
  }
  ScheduleStep step;
  step.choice = {static_cast<int>(found - file.actors.begin()), json.value("timeout", false)};
  step.operation = json.at("operation");
  step.object = json.at("object");
  step.enabled = json.at("enabled").get<std::vector<std::string>>();
  return step;
}

/// Lets the steps of an order happen. Writes each down, or compares it with the one in the file.
class Stepped final : public Schedule {
 public:
  Stepped(RunState& run, std::vector<Choice> order, const std::vector<ScheduleStep>* written, std::size_t until)
      : run_(run), order_(std::move(order)), written_(written), until_(std::min(until, order_.size())) {}

  bool may_choose_timeout() const noexcept override { return at_ < order_.size() && order_[at_].timeout; }

  Result<Choice> next(const std::vector<Candidate>& candidates) override {
    if (at_ == order_.size() || at_ == until_) {
      if (at_ == order_.size()) differs("the end", fmt::format("{} can go on", fmt::join(enabled(candidates), ", ")));
      return stop();
    }
    const Choice choice = order_[at_];
    const Candidate& named = candidates[static_cast<std::size_t>(choice.actor)];
    ScheduleStep step{.choice = choice, .operation = {}, .object = {}, .enabled = enabled(candidates)};
    if (const Operation* const operation = run_.actors[static_cast<std::size_t>(choice.actor)]->current()) {
      Description described = operation->describe();
      step.operation = std::move(described.verb);
      step.object = std::move(described.object);
    }
    if (written_ != nullptr && !is_as_written(step, (*written_)[at_])) return stop();
    if (choice.timeout ? !named.may_time_out : !named.enabled) {
      differs(name_of(choice, std::string(named.name)),
              fmt::format("{} {}", named.name, named.finished ? "has finished" : "waits"));
      return stop();
    }
    noted_.push_back(std::move(step));
    ++at_;
    return choice;
  }

  /// The run has ended before the order did.
  void over() {
    if (at_ < order_.size()) {
      const std::string actor = run_.actors[static_cast<std::size_t>(order_[at_].actor)]->name;
      differs(name_of(order_[at_], actor), "nobody can go on");
    }
  }

  std::vector<ScheduleStep> take_noted() { return std::move(noted_); }
  const std::optional<Divergence>& divergence() const noexcept { return divergence_; }
  bool stopped() const noexcept { return stopped_; }
  std::size_t steps() const noexcept { return at_; }

 private:
  Error stop() {
    stopped_ = true;
    return {Fault::cancelled, {}, {}};
  }
  void differs(std::string recorded, std::string happened) {
    divergence_ = Divergence{.step = at_ + 1, .recorded = std::move(recorded), .happened = std::move(happened)};
  }
  bool is_as_written(const ScheduleStep& now, const ScheduleStep& written) {
    const std::string& actor = run_.actors[static_cast<std::size_t>(now.choice.actor)]->name;
    if (run_.virtual_time && now.enabled != written.enabled) {
      differs(fmt::format("{} can go", fmt::join(written.enabled, ", ")),
              fmt::format("{} can go", fmt::join(now.enabled, ", ")));
    } else if (now.operation != written.operation || now.object != written.object) {
      differs(
          fmt::format("{} {} {}", actor, written.operation, written.object),
          now.operation.empty() ? actor + " has finished" : fmt::format("{} {} {}", actor, now.operation, now.object));
    }
    return !divergence_;
  }
  static std::vector<std::string> enabled(const std::vector<Candidate>& candidates) {
    std::vector<std::string> names;
    for (const Candidate& each : candidates) {
      if (each.enabled) names.emplace_back(each.name);
      if (each.may_time_out) names.push_back(name_of({each.actor, true}, std::string(each.name)));
    }
    return names;
  }

  RunState& run_;
  const std::vector<Choice> order_;
  const std::vector<ScheduleStep>* const written_;
  const std::size_t until_;
  std::size_t at_ = 0;
  std::vector<ScheduleStep> noted_;
  bool stopped_ = false;
  std::optional<Divergence> divergence_;
};

/// The scenario's own part of a run's record.
record::Run coordinates_of(const Scenario& scenario, const RunRequest& resolved, const RunEnvironment& environment) {
  record::Run run;
  run.scenario = scenario.name;
  run.title = scenario.title();
  run.store = resolved.store;
  run.protocol = resolved.protocol;
  run.pattern = resolved.pattern;
  run.executor = resolved.executor;
  run.seed = resolved.seed;
  for (const ActorSpec& spec : environment.pattern().actors) run.actors.push_back(spec.name);
  return run;
}

}  // namespace

std::string to_text(const ScheduleFile& file) {
  std::string text = line({{"format", kFormat},
                           {"version", kScheduleFileVersion},
                           {"scenario", file.scenario},
                           {"store", file.run.store},
                           {"protocol", file.run.protocol},
                           {"pattern", file.run.pattern},
                           {"seed", file.run.seed},
                           {"options", options_of(file.run)},
                           {"actors", file.actors},
                           {"steps", file.steps.size()},
                           {"verdict", record::name_of(file.verdict)}});
  for (std::size_t i = 0; i < file.steps.size(); ++i) {
    const ScheduleStep& step = file.steps[i];
    Json json = {{"step", i + 1}, {"actor", file.actors[static_cast<std::size_t>(step.choice.actor)]}};
    if (step.choice.timeout) json["timeout"] = true;
    json["operation"] = step.operation;
    json["object"] = step.object;
    json["enabled"] = step.enabled;
    text += line(json);
  }
  return text;
}

Result<ScheduleFile> schedule_file_of(const std::string& text) {
  std::optional<ScheduleFile> file;
  std::size_t steps = 0, number = 0, at = 0;
  while (at < text.size()) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string one = text.substr(at, end - at);
    at = end + 1;
    ++number;
    if (one.find_first_not_of(" \t\r") == std::string::npos) continue;
    try {
      const Json json = Json::parse(one);
      if (!file) {
        Result<ScheduleFile> head = head_of(json, steps);
        if (!head) return head.error();
        file = std::move(*head);
        continue;
      }
      Result<ScheduleStep> step = step_of(json, *file, number);
      if (!step) return step.error();
      file->steps.push_back(std::move(*step));
    } catch (const Json::parse_error& error) {
      return bad_line(number, fmt::format("this is no JSON: the fault is at character {}", error.byte));
    } catch (const Json::exception&) {
      return bad_line(number, "a part is missing or has another form");
    }
  }
  if (!file) return bad_line(1, "this is no schedule file");
  if (file->steps.size() != steps) {
    return bad_line(number, fmt::format("the file ends after {} of {} steps", file->steps.size(), steps));
  }
  return std::move(*file);
}

Result<ScheduleFile> written_down(const Scenario& scenario, const record::Run& run, const Dsns& dsn,
                                  const StopSource* stop) {
  if (run.schedule == "free") {
    return Error{Fault::invalid, {}, "a run under the free schedule has no schedule: it keeps no order of steps"};
  }
  ScheduleFile file;
  file.scenario = run.scenario;
  file.actors = run.actors;
  file.verdict = run.verdict;
  file.run = {.store = run.store,
              .protocol = run.protocol,
              .pattern = run.pattern,
              .executor = "coroutines",
              .seed = run.seed,
              .dsn = dsn};
  read_options(run, file.run);
  Result<std::vector<Choice>> order = choices_named(run.schedule, run.actors);
  if (!order) return order.error();
  const Result<RunRequest> resolved = resolve(scenario, file.run);
  if (!resolved) return resolved.error();
  Result<std::unique_ptr<RunEnvironment>> environment = RunEnvironment::open(scenario, *resolved, stop);
  if (!environment) return environment.error();
  Stepped schedule((*environment)->state(), std::move(*order), nullptr, SIZE_MAX);
  const Result<void> performed = (*environment)->perform(&schedule);
  if (!performed && performed.fault() != Fault::cancelled) return performed.error();
  if (performed) schedule.over();
  if (schedule.divergence()) {
    return Error{
        Fault::invalid,
        {},
        fmt::format("{} does not do the same again: step {} was {}; now {}", run.scenario, schedule.divergence()->step,
                    schedule.divergence()->recorded, schedule.divergence()->happened)};
  }
  file.steps = schedule.take_noted();
  return file;
}

Result<Replay> replay(const Scenario& scenario, const ScheduleFile& file, const ReplayOptions& options,
                      const StopSource* stop) {
  RunRequest request = file.run;
  request.executor = options.executor;
  request.dsn = options.dsn;
  const Result<RunRequest> resolved = resolve(scenario, request);
  if (!resolved) return resolved.error();
  Result<std::unique_ptr<RunEnvironment>> opened = RunEnvironment::open(scenario, *resolved, stop);
  if (!opened) return opened.error();
  RunEnvironment& environment = **opened;
  Replay result;
  result.run = coordinates_of(scenario, *resolved, environment);
  if (result.run.actors != file.actors) {
    return Error{Fault::invalid,
                 {},
                 fmt::format("{} has the actors {}; the schedule file has {}", scenario.name,
                             fmt::join(result.run.actors, ", "), fmt::join(file.actors, ", "))};
  }
  std::vector<Choice> order;
  for (const ScheduleStep& step : file.steps) order.push_back(step.choice);
  result.run.schedule = schedule_text(order, file.actors);
  result.run.virtual_time = environment.state().virtual_time;
  note_options(*resolved, result.run);

  if (options.times > 1) environment.keep_threads();
  const RealClock clock;
  const Nanos begun = clock.now();
  for (std::uint64_t i = 0; i < options.times && !result.divergence; ++i) {
    Stepped schedule(environment.state(), order, &file.steps, options.until);
    const Result<void> performed = environment.perform(&schedule);
    if (!performed && performed.fault() != Fault::cancelled) return performed.error();
    if (environment.state().ending() == record::Ending::interrupted) break;
    if (performed) schedule.over();
    result.steps = schedule.steps();
    result.stopped = schedule.stopped() && !schedule.divergence();
    result.divergence = schedule.divergence();
    record::Run run = coordinates_of(scenario, *resolved, environment);
    if (result.divergence || result.stopped) {
      run.events = environment.state().take_events();
    } else {
      environment.judge(run);
      if (run.verdict != file.verdict) {
        result.divergence = Divergence{.step = file.steps.size() + 1,
                                       .recorded = fmt::format("the end: {}", record::name_of(file.verdict)),
                                       .happened = std::string(record::name_of(run.verdict))};
      }
    }
    run.schedule = result.run.schedule;
    run.virtual_time = result.run.virtual_time;
    run.environment = result.run.environment;
    result.run = std::move(run);
    if (!result.divergence) ++result.identical;
  }
  result.seconds = std::chrono::duration<double>(clock.now() - begun).count();
  return result;
}

}  // namespace lockstep

// program.cc: see program.h.
#include "engine/foreign/program.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/foreign/recorded.h"

namespace lockstep::foreign {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kFormat = "lockstep-schedule";

/// FNV-1a: enough to tell that a program is another one.
std::string hash_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::uint64_t hash = 0xcbf29ce484222325U;
  char buffer[1U << 16U];
  while (file.read(buffer, sizeof buffer) || file.gcount() > 0) {
    for (std::streamsize i = 0; i < file.gcount(); ++i)
      hash = (hash ^ static_cast<unsigned char>(buffer[i])) * 0x100000001b3U;
  }
  return fmt::format("{:016x}", hash);
}

Json json_of(const ScheduleStep& step, std::size_t number, const std::vector<std::string>& actors) {
  Json json{{"step", number}, {"actor", actors[static_cast<std::size_t>(step.choice.actor)]}};
  if (step.choice.timeout) json["timeout"] = true;
  json["operation"] = step.operation;
  json["object"] = step.object;
  json["enabled"] = step.enabled;
  return json;
}

Json head_of(const ProgramSchedule& schedule) {
  return {{"format", kFormat},
          {"version", kProgramScheduleVersion},
          {"program",
           {{"words", schedule.call.words},
            {"path", schedule.call.path},
            {"folder", schedule.call.folder},
            {"hash", schedule.hash}}},
          {"actors", schedule.actors},
          {"steps", schedule.steps.size()},
          {"verdict", record::name_of(schedule.verdict)}};
}

std::string line(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n"; }

Error no_schedule(std::size_t number, const std::string& why) {
  return {Fault::invalid, {}, fmt::format("the schedule file, line {}: {}", number, why)};
}

/// Follows choices as long as there are any. Then nobody changes who goes, unless he cannot go on.
class Followed final : public Schedule {
 public:
  /// `is_strict`: behind the last choice nothing may come.
  Followed(std::vector<Choice> order, bool is_strict) : order_(std::move(order)), is_strict_(is_strict) {}

  Result<Choice> next(const std::vector<Candidate>& candidates) override {
    if (at_ < order_.size()) {
      const Choice choice = order_[at_];
      const auto found = std::find_if(candidates.begin(), candidates.end(),
                                      [&choice](const Candidate& each) { return each.actor == choice.actor; });
      if (found == candidates.end() || !(choice.timeout ? found->may_time_out : found->enabled)) {
        std::vector<std::string> can;
        for (const Candidate& each : candidates) {
          if (each.enabled) can.emplace_back(each.name);
          if (each.may_time_out) can.push_back(lockstep::name_of({each.actor, true}, std::string(each.name)));
        }
        return Error{Fault::invalid,
                     {},
                     fmt::format("step {}: {} cannot go; can go: {}", at_ + 1,
                                 found == candidates.end() ? "a thread that is not there"
                                                           : lockstep::name_of(choice, std::string(found->name)),
                                 fmt::join(can, ", "))};
      }
      ++at_;
      last_ = choice.actor;
      return choice;
    }
    if (is_strict_) return Error{Fault::cancelled, {}, {}};
    const Candidate* chosen = nullptr;
    for (const Candidate& each : candidates) {
      if (each.enabled && (chosen == nullptr || each.actor == last_)) chosen = &each;
    }
    if (chosen == nullptr) {
      for (const Candidate& each : candidates) {
        if (each.may_time_out && chosen == nullptr) chosen = &each;
      }
    }
    if (chosen == nullptr) return Error{Fault::internal, {}, "nobody can go"};
    last_ = chosen->actor;
    return Choice{chosen->actor, !chosen->enabled};
  }
  bool looks_ahead() const noexcept override { return true; }

 private:
  const std::vector<Choice> order_;
  const bool is_strict_;
  std::size_t at_ = 0;
  int last_ = -1;
};

/// The names in a schedule, main first and parents before their children.
std::vector<std::string> threads_in(const std::string& schedule) {
  std::vector<std::string> names{"main"};
  const auto add = [&names](const std::string& name, const auto& self) -> void {
    if (std::find(names.begin(), names.end(), name) != names.end()) return;
    if (const std::size_t dot = name.rfind('.'); dot != std::string::npos) self(name.substr(0, dot), self);
    names.push_back(name);
  };
  std::vector<std::string> found;
  for (std::size_t begin = 0; begin < schedule.size();) {
    const std::size_t end = std::min(schedule.find(' ', begin), schedule.size());
    std::string name = schedule.substr(begin, end - begin);
    name = name.substr(0, name.find(':'));
    if (!name.empty() && name != "…" && name != "...") found.push_back(std::move(name));
    begin = end + 1;
  }
  for (const std::string& each : found) add(each, add);
  return names;
}

/// A subject that knows the threads of the schedule by the indexes of `order`.
Result<std::unique_ptr<ProgramSubject>> subject_for(const ProgramCall& call, const std::vector<std::string>& actors,
                                                    const ProgramLimits& limits, const StopSource* stop) {
  Result<std::unique_ptr<ProgramSubject>> subject = ProgramSubject::open(call, limits, stop);
  if (!subject) return subject.error();
  if (!(*subject)->know_threads(actors)) {
    return Error{Fault::invalid,
                 {},
                 fmt::format("threads are called main, T1, T2, … and T1.1, T1.2, … for those that T1 makes; not {}",
                             fmt::join(actors, ", "))};
  }
  return subject;
}

std::vector<Choice> order_of(const ProgramSchedule& written) {
  std::vector<Choice> order;
  for (const ScheduleStep& each : written.steps) order.push_back(each.choice);
  return order;
}

/// The first step that was not as written.
std::optional<Divergence> difference(const ProgramSchedule& written, const std::vector<ScheduleStep>& happened,
                                     const std::vector<std::string>& actors, std::size_t until) {
  const auto text = [](const ScheduleStep& step, const std::vector<std::string>& names) {
    return fmt::format("{} {} {}", lockstep::name_of(step.choice, names[static_cast<std::size_t>(step.choice.actor)]),
                       step.operation, step.object);
  };
  for (std::size_t i = 0; i < std::min(until, std::max(happened.size(), written.steps.size())); ++i) {
    if (i >= happened.size()) {
      return Divergence{.step = i + 1, .recorded = text(written.steps[i], written.actors), .happened = "nothing more"};
    }
    if (i >= written.steps.size())
      return Divergence{.step = i + 1, .recorded = "nothing more", .happened = text(happened[i], actors)};
    const std::string before = text(written.steps[i], written.actors), now = text(happened[i], actors);
    if (before != now) return Divergence{.step = i + 1, .recorded = before, .happened = now};
    if (written.steps[i].enabled != happened[i].enabled) {
      return Divergence{.step = i + 1,
                        .recorded = fmt::format("{} can go", fmt::join(written.steps[i].enabled, ", ")),
                        .happened = fmt::format("{} can go", fmt::join(happened[i].enabled, ", "))};
    }
  }
  return std::nullopt;
}

record::Run recorded(ProgramSubject& subject, const ProgramCall& call) {
  record::Run run = run_of(subject, call);
  ProgramSchedule schedule{.call = call,
                           .hash = hash_of(call.path),
                           .actors = run.actors,
                           .steps = steps_of(subject),
                           .verdict = run.verdict};
  Json document = head_of(schedule);
  document["steps"] = Json::array();
  for (std::size_t i = 0; i < schedule.steps.size(); ++i)
    document["steps"].push_back(json_of(schedule.steps[i], i + 1, schedule.actors));
  document["output"] = subject.output();
  if (const std::vector<std::string> stack = subject.crash_stack(); !stack.empty()) document["stack"] = stack;
  run.documents[kProgramDocument] = document.dump(-1, ' ', false, Json::error_handler_t::replace);
  return run;
}

ScheduleStep step_of(const Json& json, const std::vector<std::string>& actors) {
  const auto found = std::find(actors.begin(), actors.end(), json.at("actor").get<std::string>());
  if (found == actors.end()) throw std::invalid_argument("an actor that is not listed");
  return {.choice = {static_cast<int>(found - actors.begin()), json.value("timeout", false)},
          .operation = json.at("operation"),
          .object = json.at("object"),
          .enabled = json.at("enabled").get<std::vector<std::string>>()};
}

ProgramSchedule schedule_of_head(const Json& json) {
  ProgramSchedule schedule;
  const Json& program = json.at("program");
  schedule.call.words = program.at("words").get<std::vector<std::string>>();
  schedule.call.path = program.at("path");
  schedule.call.folder = program.at("folder");
  schedule.hash = program.at("hash");
  schedule.actors = json.at("actors").get<std::vector<std::string>>();
  schedule.verdict = record::verdict_named(json.at("verdict").get<std::string>()).value_or(record::Verdict::clean);
  if (schedule.call.words.empty()) throw std::invalid_argument("no program is named");
  return schedule;
}

}  // namespace

std::string to_text(const ProgramSchedule& schedule) {
  std::string text = line(head_of(schedule));
  for (std::size_t i = 0; i < schedule.steps.size(); ++i)
    text += line(json_of(schedule.steps[i], i + 1, schedule.actors));
  return text;
}

bool is_of_program(const std::string& schedule_file) {
  const Json head = Json::parse(schedule_file.substr(0, schedule_file.find('\n')), nullptr, false);
  return head.is_object() && head.contains("program") && head.value("format", "") == kFormat;
}

Result<ProgramSchedule> program_schedule_of(const std::string& schedule_file) {
  std::size_t number = 1;
  try {
    std::size_t begin = schedule_file.find('\n');
    const Json head = Json::parse(schedule_file.substr(0, begin));
    if (const int version = head.at("version"); version != kProgramScheduleVersion)
      return no_schedule(
          1, fmt::format("it has version {}, this program reads version {}", version, kProgramScheduleVersion));
    ProgramSchedule schedule = schedule_of_head(head);
    const std::size_t steps = head.at("steps");
    while (begin != std::string::npos && begin + 1 < schedule_file.size()) {
      ++number;
      const std::size_t end = schedule_file.find('\n', begin + 1);
      schedule.steps.push_back(step_of(Json::parse(schedule_file.substr(begin + 1, end - begin - 1)), schedule.actors));
      begin = end;
    }
    if (schedule.steps.size() != steps)
      return no_schedule(number, fmt::format("it has {} steps of {}", schedule.steps.size(), steps));
    return schedule;
  } catch (const std::exception& error) {
    return no_schedule(number, error.what());
  }
}

Result<ProgramSchedule> program_schedule_of(const record::Run& run) {
  const auto found = run.documents.find(kProgramDocument);
  if (found == run.documents.end()) return Error{Fault::invalid, {}, "this is no run of a program"};
  try {
    const Json json = Json::parse(found->second);
    ProgramSchedule schedule = schedule_of_head(json);
    for (const Json& each : json.at("steps")) schedule.steps.push_back(step_of(each, schedule.actors));
    return schedule;
  } catch (const std::exception& error) {
    return Error{Fault::invalid, {}, fmt::format("the recording's program cannot be read: {}", error.what())};
  }
}

std::string output_of(const record::Run& run) {
  const auto found = run.documents.find(kProgramDocument);
  if (found == run.documents.end()) return {};
  const Json json = Json::parse(found->second, nullptr, false);
  return json.is_object() ? json.value("output", "") : std::string();
}

std::vector<std::string> stack_of(const record::Run& run) {
  const auto found = run.documents.find(kProgramDocument);
  if (found == run.documents.end()) return {};
  const Json json = Json::parse(found->second, nullptr, false);
  if (!json.is_object() || !json.contains("stack") || !json["stack"].is_array()) return {};
  std::vector<std::string> stack;
  for (const Json& each : json["stack"]) {
    if (each.is_string()) stack.push_back(each);
  }
  return stack;
}

Result<record::Run> run(const ProgramCall& call, const std::string& schedule, const ProgramLimits& limits,
                        const StopSource* stop) {
  Result<std::unique_ptr<ProgramSubject>> subject = subject_for(call, threads_in(schedule), limits, stop);
  if (!subject) return subject.error();
  Result<std::vector<Choice>> order = choices_named(schedule, (*subject)->actors());
  if (!order) return order.error();
  Followed followed(std::move(*order), false);
  const Result<void> performed = (*subject)->perform(followed);
  if (!performed) return performed.error();
  return recorded(**subject, call);
}

Result<Replay> replay(const ProgramSchedule& written, const ReplayOptions& options, const ProgramLimits& limits,
                      const StopSource* stop) {
  Result<ProgramCall> found = call_of({written.call.path});
  if (!found) return found.error();
  ProgramCall call = written.call;
  call.path = found->path;
  Result<std::unique_ptr<ProgramSubject>> opened = subject_for(call, written.actors, limits, stop);
  if (!opened) return opened.error();
  ProgramSubject& subject = **opened;
  std::vector<Choice> order = order_of(written);
  const bool is_cut = options.until < order.size();
  if (is_cut) order.resize(options.until);
  subject.plan(order);
  Replay result;
  const RealClock clock;
  const Nanos begun = clock.now();
  for (std::uint64_t i = 0; i < options.times && !result.divergence; ++i) {
    if (stop != nullptr && stop->requested()) break;
    Followed followed(order, true);
    const Result<void> performed = subject.perform(followed);
    if (!performed && subject.ending() == record::Ending::interrupted) break;
    const std::vector<ScheduleStep> steps = steps_of(subject);
    result.steps = std::min(steps.size(), order.size());
    result.divergence = difference(written, steps, subject.actors(), is_cut ? order.size() : SIZE_MAX);
    if (!performed && !result.divergence && !is_cut) {
      if (performed.fault() != Fault::cancelled) return performed.error();
      result.divergence = Divergence{.step = order.size() + 1, .recorded = "nothing more", .happened = "it goes on"};
    }
    if (performed && !result.divergence && !is_cut && subject.ended().verdict != written.verdict) {
      result.divergence = Divergence{.step = order.size() + 1,
                                     .recorded = std::string(record::name_of(written.verdict)),
                                     .happened = std::string(record::name_of(subject.ended().verdict))};
    }
    if (!result.divergence) ++result.identical;
  }
  result.seconds = std::chrono::duration<double>(clock.now() - begun).count();
  result.stopped = is_cut && !result.divergence;
  result.run = recorded(subject, call);
  if (result.divergence && hash_of(call.path) != written.hash)
    result.divergence->happened += " (the program's file is not the one of the recording)";
  return result;
}

Result<std::unique_ptr<Subject>> ProgramExplorable::open() const {
  Result<std::unique_ptr<ProgramSubject>> subject = ProgramSubject::open(call_, limits_, stop_);
  if (!subject) return subject.error();
  (*subject)->tell_of_outside(&met_outside_);
  return std::unique_ptr<Subject>(std::move(*subject));
}

Result<RecordedRun> ProgramExplorable::record(const std::string& schedule, Nanos until) const {
  Result<std::unique_ptr<ProgramSubject>> subject = subject_for(call_, threads_in(schedule), limits_, stop_);
  if (!subject) return subject.error();
  Result<std::vector<Choice>> order = choices_named(schedule, (*subject)->actors());
  if (!order) return order.error();
  (*subject)->give_up_at(until);
  (*subject)->plan(*order);
  Followed followed(std::move(*order), true);
  const Result<void> performed = (*subject)->perform(followed);
  if (!performed && performed.fault() != Fault::cancelled) return performed.error();
  if ((*subject)->ending() == record::Ending::interrupted) return Error{Fault::cancelled, {}, "it was interrupted"};
  record::Run run = recorded(**subject, call_);
  record::Run ignored;
  return RecordedRun{std::move(run), (*subject)->judge(ignored).key};
}

std::vector<std::string> grain_of(const ProgramCall& call, bool met_outside) {
  std::vector<std::string> grain{
      "between pthread operations: what a thread does from one to the next is one step; atomics are none",
      "a thread's start, and its end, belong to the step in which they happen"};
  if (waits_by_itself(call))
    grain.emplace_back("its own code waits in futexes, by atomics: no two steps are taken to commute");
  if (met_outside)
    grain.emplace_back(
        "steps at files from outside of the program, and polls, were left in the order in which they came");
  return grain;
}

}  // namespace lockstep::foreign

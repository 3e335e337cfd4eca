// isolation_files.cc: see isolation_files.h.
#include "cli/commands/isolation_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <optional>
#include <vector>

#include "cli/args/exit_code.h"
#include "cli/args/output_file.h"
#include "cli/args/run_options.h"
#include "cli/commands/announcement.h"
#include "cli/text/text.h"
#include "engine/spec/spec_file.h"
#include "engine/store/backend.h"
#include "reports/junit.h"

namespace lockstep::cli {
namespace {

namespace fs = std::filesystem;

std::optional<std::string> text_of_file(const fs::path& path) {
  std::error_code none;
  std::ifstream file(path, std::ios::binary);
  if (!file || fs::is_directory(path, none)) return std::nullopt;
  return std::string(std::istreambuf_iterator<char>(file), {});
}

/// The store that runs such specs: the one asked for, else the first that can.
const BackendKind* store_for(const RunRequest& request) {
  if (!request.store.empty()) return backend_named(request.store);
  const auto kinds = backends();
  const auto can = std::find_if(kinds.begin(), kinds.end(),
                                [](const BackendKind& kind) { return kind.run_isolation_spec != nullptr; });
  return can == kinds.end() ? nullptr : &*can;
}

IsolationPlace place_of(const spec::SpecPattern& pattern, const std::string& step) {
  const auto found = pattern.step_named(step);
  return {static_cast<std::size_t>(found->first), static_cast<std::size_t>(found->second)};
}

IsolationMarker marker_of(const spec::SpecPattern& pattern, const spec::Marker& marker) {
  switch (marker.kind) {
    case spec::Marker::Kind::once:
      return {};
    case spec::Marker::Kind::step:
      return {.kind = IsolationMarker::Kind::step, .place = place_of(pattern, marker.step)};
    case spec::Marker::Kind::notices:
      break;
  }
  return {.kind = IsolationMarker::Kind::notices, .place = place_of(pattern, marker.step), .notices = marker.notices};
}

/// The spec as the store takes it. Fault::invalid for a file with what PostgreSQL's specs do not have.
Result<IsolationSpec> isolation_spec_of(const spec::SpecFile& file, const std::string& name) {
  const auto refused = [&file](std::string_view what) {
    return Error{Fault::invalid,
                 {},
                 fmt::format("{} has {}: --format {} is for specs of PostgreSQL", file.path, what, kIsolationFormat)};
  };
  if (file.portable) return refused("`given`");
  if (file.patterns.size() != 1) return refused("patterns");
  const spec::SpecPattern& pattern = file.patterns.front();
  if (!pattern.order.empty()) return refused("script lines or a schedule");
  IsolationSpec spec{.name = name, .setups = {}, .teardown = {}, .sessions = {}, .permutations = {}};
  for (const auto* blocks : {&file.setups, &pattern.setups}) {
    for (const spec::SqlBlock& block : *blocks) spec.setups.push_back(block.text);
  }
  if (file.teardown) spec.teardown = file.teardown->text;
  for (const spec::SpecSession& session : pattern.sessions) {
    IsolationSession& made = spec.sessions.emplace_back();
    made.name = session.name;
    if (session.setup) made.setup = session.setup->text;
    if (session.teardown) made.teardown = session.teardown->text;
    for (const spec::Step& step : session.steps) {
      if (step.name.empty()) return refused("steps without names");
      made.steps.push_back({step.name, step.text});
    }
  }
  for (const spec::Permutation& permutation : pattern.permutations) {
    auto& entries = spec.permutations.emplace_back();
    for (const spec::PermutationStep& step : permutation.steps) {
      IsolationEntry& entry = entries.emplace_back();
      entry.place = place_of(pattern, step.step);
      for (const spec::Marker& marker : step.markers) entry.markers.push_back(marker_of(pattern, marker));
    }
  }
  return spec;
}

/// What the tool's two streams hold.
struct Sinks {
  std::function<void(std::string_view)> out, err;
};

/// Runs one file. Gives the tool's exit code.
Result<int> run_file(const Program& program, const BackendKind& kind, const RunRequest& request,
                     const std::string& path, const Sinks& sinks) {
  auto text = text_of_file(path);
  if (!text) return Error{Fault::invalid, {}, fmt::format("{} cannot be read", path)};
  spec::ParsedSpec parsed = spec::parse(path, std::move(*text));
  if (!parsed.file) {
    if (parsed.complaint.original.empty()) return Error{Fault::invalid, {}, parsed.complaint.text(path)};
    sinks.err(parsed.complaint.original + "\n");
    return 1;
  }
  auto spec = isolation_spec_of(*parsed.file, fs::path(path).stem().string());
  if (!spec) return spec.error();
  for (const std::string& name : parsed.file->patterns.front().unused_steps())
    sinks.err(fmt::format("unused step name: {}\n", name));
  IsolationOptions options{.dsn = request.dsn.of(kind),
                           .protocol = request.protocol,
                           .limit = {},
                           .stopped = [&program] { return program.stopped(); },
                           .out = sinks.out,
                           .err = sinks.err};
  if (program.arguments.has("timeout")) options.limit = request.limit;
  return kind.run_isolation_spec(*spec, options);
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

/// Where two texts part: some lines before, then those of each. Empty: they are alike.
std::string difference_of(const std::string& expected, const std::string& seen) {
  constexpr std::size_t kBefore = 2, kAfter = 4;
  if (expected == seen) return {};
  const auto a = lines_of(expected), b = lines_of(seen);
  std::size_t at = 0;
  while (at < a.size() && at < b.size() && a[at] == b[at]) ++at;
  std::string text = fmt::format("differs at line {}:\n", at + 1);
  for (std::size_t i = at - std::min(at, kBefore); i < at; ++i) text += fmt::format("  {}\n", a[i]);
  for (std::size_t i = at; i < std::min(a.size(), at + kAfter); ++i) text += fmt::format("- {}\n", a[i]);
  for (std::size_t i = at; i < std::min(b.size(), at + kAfter); ++i) text += fmt::format("+ {}\n", b[i]);
  return text;
}

struct Prepared {
  const BackendKind* kind = nullptr;
  RunRequest request;
  int code = kAsExpected;  ///< not that: it cannot go on
};

Prepared prepare(Program& program) {
  Prepared ready;
  if (const std::string error = read_run_options(program.arguments, ready.request); !error.empty()) {
    ready.code = usage_error(error);
    return ready;
  }
  ready.kind = store_for(ready.request);
  if (ready.kind == nullptr || ready.kind->run_isolation_spec == nullptr) {
    ready.code = usage_error(fmt::format("{} runs no isolation specs", ready.request.store));
    return ready;
  }
  if (!ready.request.protocol.empty() && ready.kind->protocol_named(ready.request.protocol) == nullptr) {
    ready.code = usage_error(fmt::format("{} has no protocol \"{}\"", ready.kind->name, ready.request.protocol));
    return ready;
  }
  ready.request.store = ready.kind->name;
  return ready;
}

}  // namespace

int run_isolation_file(Program& program) {
  const Prepared ready = prepare(program);
  if (ready.code != kAsExpected) return ready.code;
  const std::string path = program.arguments.value("NAME");
  if (!program.arguments.has("expected")) {
    const Sinks sinks{.out = [&program](std::string_view text) { program.out.write(text); },
                      .err = [](std::string_view text) { std::fwrite(text.data(), 1, text.size(), stderr); }};
    const Result<int> ran = run_file(program, *ready.kind, ready.request, path, sinks);
    return ran ? *ran : fail_with(ran.error());
  }
  const auto expected = text_of_file(program.arguments.value("expected"));
  if (!expected) return usage_error(fmt::format("{} cannot be read", program.arguments.value("expected")));
  std::string text;
  const auto add = [&text](std::string_view more) { text += more; };
  const Result<int> ran = run_file(program, *ready.kind, ready.request, path, {.out = add, .err = add});
  if (!ran) return fail_with(ran.error());
  const std::string difference = difference_of(*expected, text);
  program.out.write(difference);
  return difference.empty() ? kAsExpected : kNotAsExpected;
}

namespace {

fs::path specs_in(const fs::path& path) { return fs::is_directory(path / "specs") ? path / "specs" : path; }

fs::path expected_for(const fs::path& path) {
  for (const fs::path& folder : {path / "expected", path.parent_path() / "expected"}) {
    if (fs::is_directory(folder)) return folder;
  }
  return path;  // NAME.out beside NAME.spec
}

std::vector<fs::path> spec_files(const fs::path& path) {
  std::vector<fs::path> files;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(specs_in(path), error)) {
    if (entry.path().extension() == ".spec") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

/// The texts that are right: NAME.out, and NAME_0.out to NAME_9.out.
std::vector<std::string> expectations(const fs::path& folder, const std::string& name) {
  std::vector<std::string> texts;
  if (auto text = text_of_file(folder / (name + ".out"))) texts.push_back(std::move(*text));
  for (int i = 0; i <= 9; ++i) {
    if (auto text = text_of_file(folder / fmt::format("{}_{}.out", name, i))) texts.push_back(std::move(*text));
  }
  return texts;
}

/// A spec of a suite as JUnit has it; `difference`: empty when it came as expected.
reports::JunitCase junit_case(const std::string& suite, const std::string& name, double seconds,
                              const std::string& difference) {
  reports::JunitCase made{.scenario = suite, .name = name, .seconds = seconds};
  if (difference.empty()) return made;
  made.status = reports::JunitCase::Status::failed;
  for (const std::string_view line : lines_of(difference)) made.lines.emplace_back(line);
  made.message = made.lines.front();
  made.lines.erase(made.lines.begin());
  return made;
}

}  // namespace

bool is_isolation_suite(const std::string& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) return false;
  const std::vector<fs::path> files = spec_files(path);
  return std::any_of(files.begin(), files.end(), [&path](const fs::path& file) {
    return !expectations(expected_for(path), file.stem().string()).empty();
  });
}

int check_isolation_suite(Program& program, const std::string& path) {
  const Prepared ready = prepare(program);
  if (ready.code != kAsExpected) return ready.code;
  const auto junit = file_asked_for(program.arguments, "junit");
  if (!junit) return fail_with(junit.error());
  reports::JunitSuite suite{.name = fmt::format("lockstep.{}.isolation", ready.kind->name)};
  const std::string class_name = specs_in(path).lexically_normal().string();
  if (!program.quiet) announce_store(ready.request);
  const auto begun = std::chrono::steady_clock::now();
  std::size_t same = 0, differing = 0, left_out = 0;
  for (const fs::path& file : spec_files(path)) {
    if (program.stopped()) break;
    const std::string name = file.stem().string();
    const std::vector<std::string> right = expectations(expected_for(path), name);
    if (right.empty()) {
      ++left_out;
      suite.cases.push_back({.scenario = class_name,
                             .name = name,
                             .status = reports::JunitCase::Status::skipped,
                             .message = "it has no expected file"});
      continue;
    }
    std::string text;
    const auto add = [&text](std::string_view more) { text += more; };
    const auto from = std::chrono::steady_clock::now();
    const Result<int> ran = run_file(program, *ready.kind, ready.request, file.string(), {.out = add, .err = add});
    if (!ran && is_environment(ran.fault())) return fail_with(ran.error());
    if (!ran && program.stopped()) break;
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - from).count();
    const bool good = ran && std::find(right.begin(), right.end(), text) != right.end();
    ++(good ? same : differing);
    const Glyphs& glyphs = program.terminal.glyphs();
    if (!program.quiet || !good)
      program.out.write(fmt::format(" {} {:<40} {:6.2f} s\n", good ? glyphs.good : glyphs.fault, name, seconds));
    const std::string difference = good  ? std::string()
                                   : ran ? difference_of(right.front(), text)
                                         : ran.error().message + "\n";
    program.out.write(difference);
    suite.cases.push_back(junit_case(class_name, name, seconds, difference));
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  program.out.write(fmt::format("{} checked: {} byte for byte as expected, {} not{} · {:.1f} s\n",
                                counted(same + differing, "spec", "specs"), same, differing,
                                left_out == 0 ? "" : fmt::format(", {} without an expected file", left_out), seconds));
  if (*junit) {
    const Result<void> written = (*junit)->keep(reports::junit_document(suite));
    if (!written.ok()) return fail_with(written.error());
  }
  if (program.stopped()) return kInterrupted;
  return differing == 0 ? kAsExpected : kNotAsExpected;
}

}  // namespace lockstep::cli

// spec_file.cc: a file from the disk, and what a spec is asked.
#include "engine/spec/spec_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <set>
#include <system_error>

namespace lockstep::spec {

std::optional<std::pair<int, int>> SpecPattern::step_named(std::string_view step) const noexcept {
  for (std::size_t s = 0; s < sessions.size(); ++s) {
    const auto& steps = sessions[s].steps;
    const auto found = std::find_if(steps.begin(), steps.end(),
                                    [step](const Step& each) { return !each.name.empty() && each.name == step; });
    if (found != steps.end()) return std::pair(static_cast<int>(s), static_cast<int>(found - steps.begin()));
  }
  return std::nullopt;
}

std::vector<std::string> SpecPattern::unused_steps() const {
  if (permutations.empty()) return {};
  std::set<std::string> unused;
  for (const SpecSession& session : sessions) {
    for (const Step& step : session.steps) {
      if (!step.name.empty()) unused.insert(step.name);
    }
  }
  for (const Permutation& permutation : permutations) {
    for (const PermutationStep& step : permutation.steps) unused.erase(step.step);
  }
  return {unused.begin(), unused.end()};
}

std::string Complaint::text(std::string_view path) const {
  return line == 0 ? fmt::format("{}: {}", path, what) : fmt::format("{}:{}: {}", path, line, what);
}

Result<SpecFile> read_file(const std::string& path) {
  const auto cannot = [&path](int code) {
    return Error{Fault::io, {}, path + " cannot be read: " + std::generic_category().message(code)};
  };
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), std::fclose);
  if (file == nullptr) return cannot(errno);
  std::string text;
  char buffer[1 << 16];
  // A little more than is read, so that a text that is too long shows.
  while (text.size() <= kTextMost) {
    errno = 0;
    const std::size_t got = std::fread(buffer, 1, sizeof buffer, file.get());
    if (got == 0 && std::ferror(file.get()) != 0) return cannot(errno);
    if (got == 0) break;
    text.append(buffer, got);
  }
  ParsedSpec parsed = parse(path, std::move(text));
  if (!parsed.file) return Error{Fault::invalid, {}, parsed.complaint.text(path)};
  return std::move(*parsed.file);
}

}  // namespace lockstep::spec

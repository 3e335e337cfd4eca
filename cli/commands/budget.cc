// budget.cc: see budget.h.
#include "cli/commands/budget.h"

#include <fmt/format.h>

#include <charconv>

#include "cli/args/command_line.h"

namespace lockstep::cli {
namespace {

constexpr int kJobsMost = 256;

}  // namespace

std::string read_jobs(const Arguments& arguments, int& jobs) {
  if (!arguments.has("jobs")) return {};
  const std::string text = arguments.value("jobs");
  const char* const end = text.data() + text.size();
  const auto [rest, wrong] = std::from_chars(text.data(), end, jobs);
  if (wrong == std::errc() && rest == end && jobs >= 1 && jobs <= kJobsMost) return {};
  return fmt::format("--jobs \"{}\" is no whole number from 1 to {}", text, kJobsMost);
}

std::string read_budget(const Arguments& arguments, ExploreRequest& request) {
  if (!arguments.has("budget")) return {};
  const std::string text = arguments.value("budget");
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, request.most_runs);
  if (error == std::errc() && rest == end && request.most_runs > 0) {
    request.most_time = kNever;
    return {};
  }
  const auto time = duration_named(text);
  if (!time) return fmt::format("--budget \"{}\": write a time such as 10s, or a number of runs such as 100000", text);
  request.most_time = *time;
  request.most_runs = UINT64_MAX;
  return {};
}

void note_ranks_without_work(Program& program, const Exploration& explored) {
  if (!program.ranks().are_several() || explored.ranks > 1 || program.quiet) return;
  complain(is_sampling(explored.strategy)
               ? fmt::format("rank 0 searches alone: the ranks of a job share no runs on {}", explored.run.store)
               : fmt::format("rank 0 searches alone: the ranks of a job share samples (walk, pct, pos), not a search "
                             "that is {}",
                             name_of(explored.strategy)));
}

}  // namespace lockstep::cli

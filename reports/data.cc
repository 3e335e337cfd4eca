// data.cc: see data.h.
#include "reports/data.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "engine/record/known_rows.h"

namespace lockstep::reports {
namespace {

std::optional<record::Moments> moments_in(const record::Run& run) {
  const auto document = run.documents.find(record::kMomentsDocument);
  if (document == run.documents.end()) return std::nullopt;
  Result<record::Moments> moments = record::moments_of(document->second);
  if (!moments) return std::nullopt;
  return std::move(*moments);
}

/// A recording from before there was such a document is of a run under a schedule.
record::KnownRows known_in(const record::Run& run, const std::optional<record::Moments>& moments) {
  const auto document = run.documents.find(record::kKnownRowsDocument);
  if (document != run.documents.end()) {
    if (Result<record::KnownRows> known = record::known_rows_of(document->second); known) return std::move(*known);
  }
  return {.asked_for_locks = moments && !moments->locks.empty()};
}

/// A statement that may have changed rows: only one that begins with "select" is known not to.
bool may_change(const record::Event& event) {
  if (event.verb != "execute" || event.kind != record::EventKind::grant) return false;
  std::string word = event.object.substr(0, 6);
  std::transform(word.begin(), word.end(), word.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return word != "select";
}

std::string why_untold(const record::Run& run, const std::optional<record::Moments>& moments,
                       const record::KnownRows& known) {
  constexpr const char* kNot = "The rows of the store are not shown: ";
  if (!known.untold.empty()) return fmt::format("{}{}.", kNot, known.untold);
  if (!moments) return fmt::format("{}the recording does not say what they were.", kNot);
  if (moments->given.size() > kDataRowsMost)
    return fmt::format("{}there are {}, and {} are the most that can be read.", kNot, moments->given.size(),
                       kDataRowsMost);
  if (std::any_of(run.events.begin(), run.events.end(), may_change))
    return fmt::format(
        "{}statements in SQL may have changed them, and the recording has what these said, not what they did.", kNot);
  return {};
}

/// Why the rows of the store, as followed row by row, cannot be what the store had; empty: nothing speaks against it.
std::string misfit_of(Data data, const std::vector<LaneRow>& rows, const record::KnownRows& known) {
  std::string found;
  for (const LaneRow& row : rows) {
    if (found.empty()) found = row.misfit;
    for (const Change& change : row.changes) data.apply(change);
  }
  if (known.ends && found.empty()) {
    std::map<std::string, std::string> ends;
    for (const auto& [key, row] : data.committed) {
      if (row.value) ends.emplace(key, *row.value);
    }
    // A server may have another order of keys.
    if (ends != std::map<std::string, std::string>(known.ends->begin(), known.ends->end()))
      found = "at the end the store had other rows";
  }
  if (found.empty()) return {};
  return fmt::format("The rows of the store are not shown: {}, which does not fit them as {} gives them.", found,
                     known.by_times ? "the order in which the actors had their answers" : "the order of the steps");
}

}  // namespace

void Data::apply(const Change& change) {
  const bool is_actor = change.actor >= 0 && static_cast<std::size_t>(change.actor) < actors.size();
  if (!is_actor) return;
  Actor& actor = actors[static_cast<std::size_t>(change.actor)];
  switch (change.kind) {
    case Change::Kind::write:
      actor.written[change.object] = change.erased ? std::nullopt : std::optional<std::string>(change.value);
      break;
    case Change::Kind::install:
      for (auto& [key, value] : actor.written) {
        Row& row = committed[key];
        row = {std::move(value), row.version + 1, change.actor};
      }
      actor.written.clear();
      break;
    case Change::Kind::undo:
      actor.written.clear();
      break;
    case Change::Kind::look:
      actor.view = committed;
      break;
    case Change::Kind::blind:
      actor.view.reset();
      break;
    case Change::Kind::take:
    case Change::Kind::give:
    case Change::Kind::wait:
    case Change::Kind::go_on:
      break;
  }
}

DataTold data_told(const record::Run& run, const std::vector<LaneRow>& rows) {
  DataTold told;
  if (run.store.empty() || run.store == record::kNoStore) return told;
  const std::optional<record::Moments> moments = moments_in(run);
  const record::KnownRows known = known_in(run, moments);
  told.locks_are_told = known.asked_for_locks;
  told.untold = why_untold(run, moments, known);
  if (!told.untold.empty()) return told;
  Data data;
  data.actors.resize(run.actors.size());
  for (const auto& [key, value] : moments->given) data.committed[key].value = value;
  told.untold = misfit_of(data, rows, known);
  if (!told.untold.empty()) return told;
  told.begin = std::move(data);
  told.reads = moments->reads;
  told.reads_are_dirty = known.reads_are_dirty;
  told.by_times = known.by_times;
  return told;
}

}  // namespace lockstep::reports

// data.cc: see data.h.
#include "reports/data.h"

#include <algorithm>
#include <cctype>

namespace lockstep::reports {
namespace {

std::optional<record::Moments> moments_in(const record::Run& run) {
  const auto document = run.documents.find(record::kMomentsDocument);
  if (document == run.documents.end()) return std::nullopt;
  Result<record::Moments> moments = record::moments_of(document->second);
  if (!moments) return std::nullopt;
  return std::move(*moments);
}

/// A statement that may have changed rows: only one that begins with "select" is known not to.
bool may_change(const record::Event& event) {
  if (event.verb != "execute" || event.kind != record::EventKind::grant) return false;
  std::string word = event.object.substr(0, 6);
  std::transform(word.begin(), word.end(), word.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return word != "select";
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

std::optional<Data> data_at_begin(const record::Run& run) {
  const std::optional<record::Moments> moments = moments_in(run);
  if (!moments || std::any_of(run.events.begin(), run.events.end(), may_change)) return std::nullopt;
  Data data;
  data.actors.resize(run.actors.size());
  for (const auto& [key, value] : moments->given) data.committed[key].value = value;
  return data;
}

record::ReadsSee reads_of(const record::Run& run) {
  const std::optional<record::Moments> moments = moments_in(run);
  return moments ? moments->reads : record::ReadsSee::latest;
}

}  // namespace lockstep::reports

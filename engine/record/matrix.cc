// matrix.cc: a matrix as JSON, and what a run amounts to in a word.
#include "engine/record/matrix.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>

namespace lockstep::record {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kMatrixFormat = "lockstep-matrix";

Error no_matrix(const std::string& why) { return {Fault::invalid, {}, "the matrix cannot be read: " + why}; }

MatrixCell cell_of(const Json& json) {
  MatrixCell cell;
  for (auto& [name, text] : {std::pair("scenario", &cell.scenario),
                             {"title", &cell.title},
                             {"pattern", &cell.pattern},
                             {"store", &cell.store},
                             {"protocol", &cell.protocol},
                             {"executor", &cell.executor},
                             {"how", &cell.how},
                             {"summary", &cell.summary},
                             {"run", &cell.run}}) {
    *text = json.at(name).get<std::string>();
  }
  const auto verdict = [](const Json& name) {
    const auto known = verdict_named(name.get<std::string>());
    if (!known) throw std::invalid_argument(fmt::format("unknown verdict \"{}\"", name.get<std::string>()));
    return *known;
  };
  if (!json.at("expected").is_null()) cell.expected = verdict(json.at("expected"));
  if (!json.at("verdict").is_null()) cell.verdict = verdict(json.at("verdict"));
  return cell;
}

std::string named(const Event& event) {
  const Fault fault = *event.fault;
  if (event.code.starts_with("SQLITE_")) return event.code.substr(7);
  if (fault == Fault::constraint) return "constraint";
  if (fault == Fault::version_changed) return "zero rows";
  if (fault == Fault::certification_failure) return "conflict";
  if (!event.code.empty()) return event.code;
  switch (fault) {
    case Fault::serialization_failure:
      return "conflict";
    case Fault::validation_failure:
      return "validation";
    case Fault::no_wait_conflict:
      return "no wait";
    case Fault::lock_timeout:
    case Fault::statement_timeout:
      return "timeout";
    default:
      break;
  }
  std::string words(name_of(fault));
  std::replace(words.begin(), words.end(), '_', ' ');
  return words;
}

/// A fault that says something about the store, as against a business rule that said no.
bool tells(const Event& event) {
  return event.fault && event.kind == EventKind::fault &&
         (is_retry_safe(*event.fault) || *event.fault == Fault::constraint);
}

bool touched_nothing(const Event& event) {
  if (event.kind != EventKind::grant || !event.detail.starts_with("0 rows")) return false;
  if (event.verb == "write_if" || event.verb == "add_if") return true;
  std::string word = event.object.substr(0, 6);
  std::transform(word.begin(), word.end(), word.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return event.verb == "execute" && (word == "insert" || word == "update");
}

}  // namespace

std::string to_json(const std::vector<MatrixCell>& cells) {
  Json all = Json::array();
  for (const MatrixCell& cell : cells) {
    all.push_back({{"scenario", cell.scenario},
                   {"title", cell.title},
                   {"pattern", cell.pattern},
                   {"store", cell.store},
                   {"protocol", cell.protocol},
                   {"executor", cell.executor},
                   {"expected", cell.expected ? Json(name_of(*cell.expected)) : Json(nullptr)},
                   {"verdict", cell.verdict ? Json(name_of(*cell.verdict)) : Json(nullptr)},
                   {"how", cell.how},
                   {"summary", cell.summary},
                   {"run", cell.run}});
  }
  return Json({{"format", kMatrixFormat}, {"version", kMatrixVersion}, {"cells", std::move(all)}})
      .dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<std::vector<MatrixCell>> matrix_of(const std::string& text) {
  // The library's errors end here.
  try {
    const Json json = Json::parse(text);
    if (!json.is_object() || json.value("format", "") != kMatrixFormat) return no_matrix("it is none");
    if (const int version = json.at("version"); version != kMatrixVersion) {
      return no_matrix(fmt::format("it has version {}, this program reads version {}", version, kMatrixVersion));
    }
    std::vector<MatrixCell> cells;
    for (const Json& each : json.at("cells")) cells.push_back(cell_of(each));
    return cells;
  } catch (const std::invalid_argument& unknown) {
    return no_matrix(unknown.what());
  } catch (const Json::exception&) {
    return no_matrix("a part of it is missing or has another form");
  }
}

std::string how_of(const Run& run, bool reads_snapshot) {
  if (run.verdict == Verdict::anomaly) return "✗";
  const auto fault = std::find_if(run.events.begin(), run.events.end(), tells);
  if (fault != run.events.end()) return named(*fault);
  if (run.verdict == Verdict::hung) return "hung";
  // A conditional write waits for the one before it, too; that it touches nothing then is what saves it.
  if (std::any_of(run.events.begin(), run.events.end(), touched_nothing)) return "zero rows";
  const bool waited = std::any_of(run.events.begin(), run.events.end(), [](const Event& event) {
    return event.kind == EventKind::wait && event.verb != "pause" && event.verb != "sleep";
  });
  if (waited) return "waits";
  if (run.verdict == Verdict::clean && reads_snapshot) return "snapshot";
  return std::string(name_of(run.verdict));
}

}  // namespace lockstep::record

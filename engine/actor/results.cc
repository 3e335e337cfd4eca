// results.cc: results as JSON. Text that is not UTF-8 keeps what can be kept.
#include "engine/actor/results.h"

#include <nlohmann/json.hpp>

namespace lockstep {
namespace {

using Json = nlohmann::ordered_json;

Json json_of(const StatementResult& result, std::size_t& room) {
  Json json = Json::object();
  if (!result.columns.empty()) json["columns"] = result.columns;
  if (!result.columns.empty() || !result.rows.empty()) {
    Json rows = Json::array();
    std::size_t left_out = 0;
    for (const auto& row : result.rows) {
      std::size_t bytes = 2;
      for (const auto& column : row) bytes += column.value_or("null").size() + 3;
      if (bytes > room) {
        room = 0;  // none that is shorter, either: what stands there is the beginning
        ++left_out;
        continue;
      }
      room -= bytes;
      Json columns = Json::array();
      for (const auto& column : row) columns.push_back(column ? Json(*column) : Json(nullptr));
      rows.push_back(std::move(columns));
    }
    json["rows"] = std::move(rows);
    if (left_out > 0) json["left_out"] = left_out;
  }
  if (!result.tag.empty()) json["tag"] = result.tag;
  if (result.error) {
    json["error"] = result.error->message;
    json["code"] = result.error->code;
  }
  return json;
}

}  // namespace

std::string results_json(std::span<const StatementResult> results) {
  Json json = Json::array();
  std::size_t room = kResultsMost;
  for (const StatementResult& result : results) json.push_back(json_of(result, room));
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace lockstep

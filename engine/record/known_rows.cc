// known_rows.cc: see known_rows.h.
#include "engine/record/known_rows.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace lockstep::record {
namespace {

using RowsJson = nlohmann::ordered_json;

constexpr const char* kRowsFormat = "lockstep-rows";
constexpr const char* kOrderOfTimes = "times";

Error no_rows(const std::string& why) {
  return {Fault::invalid, {}, "what is known of the rows cannot be read: " + why};
}

}  // namespace

std::string to_json(const KnownRows& known) {
  RowsJson ends = nullptr;
  if (known.ends) {
    ends = RowsJson::array();
    for (const auto& [key, value] : *known.ends) ends.push_back(RowsJson::array({key, value}));
  }
  const RowsJson json = {{"format", kRowsFormat},
                         {"version", kKnownRowsVersion},
                         {"order", known.by_times ? kOrderOfTimes : "schedule"},
                         {"asked", known.asked_for_locks},
                         {"dirty", known.reads_are_dirty},
                         {"untold", known.untold},
                         {"ends", std::move(ends)}};
  return json.dump(-1, ' ', false, RowsJson::error_handler_t::replace);
}

Result<KnownRows> known_rows_of(const std::string& text) {
  const RowsJson json = RowsJson::parse(text, nullptr, false);
  if (!json.is_object() || json.value("format", "") != kRowsFormat) return no_rows("it is something else");
  // The library's errors end here.
  try {
    if (const int version = json.at("version"); version != kKnownRowsVersion)
      return no_rows(fmt::format("it has version {}, this program reads version {}", version, kKnownRowsVersion));
    KnownRows known;
    known.by_times = json.at("order") == kOrderOfTimes;
    known.asked_for_locks = json.at("asked");
    known.reads_are_dirty = json.at("dirty");
    known.untold = json.at("untold");
    if (const RowsJson& ends = json.at("ends"); !ends.is_null()) {
      known.ends.emplace();
      for (const RowsJson& row : ends) known.ends->emplace_back(row.at(0), row.at(1));
    }
    return known;
  } catch (const RowsJson::exception&) {
    return no_rows("a part of it is missing or has another form");
  }
}

}  // namespace lockstep::record

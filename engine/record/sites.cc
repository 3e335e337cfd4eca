// sites.cc: see sites.h.
#include "engine/record/sites.h"

#include <fmt/format.h>

#include <charconv>
#include <map>
#include <nlohmann/json.hpp>
#include <string_view>

namespace lockstep::record {

using Json = nlohmann::ordered_json;

std::string sites_to_json(const std::vector<std::string>& by_step) {
  Json files = Json::array(), steps = Json::array();
  std::map<std::string, std::size_t, std::less<>> numbers;
  for (const std::string& site : by_step) {
    const std::size_t colon = site.rfind(':');
    unsigned line = 0;
    if (colon == std::string::npos ||
        std::from_chars(site.data() + colon + 1, site.data() + site.size(), line).ec != std::errc()) {
      steps.push_back(nullptr);
      continue;
    }
    const auto [number, is_new] = numbers.try_emplace(site.substr(0, colon), numbers.size());
    if (is_new) files.push_back(number->first);
    steps.push_back({number->second, line});
  }
  return Json{{"files", std::move(files)}, {"steps", std::move(steps)}}.dump(-1, ' ', false,
                                                                             Json::error_handler_t::replace);
}

Result<std::vector<std::string>> sites_of(const std::string& text) {
  try {
    const Json json = Json::parse(text);
    const Json& files = json.at("files");
    std::vector<std::string> by_step;
    for (const Json& step : json.at("steps")) {
      by_step.push_back(step.is_null()
                            ? std::string()
                            : fmt::format("{}:{}", files.at(step.at(0).get<std::size_t>()).get<std::string>(),
                                          step.at(1).get<unsigned>()));
    }
    return by_step;
  } catch (const Json::exception&) {
    return Error{
        Fault::invalid, {}, "the lines of the operations cannot be read: a part is missing or has another form"};
  }
}

}  // namespace lockstep::record

// moments.cc: see moments.h.
#include "engine/record/moments.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

namespace lockstep::record {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kMomentsFormat = "lockstep-moments";
constexpr std::array<std::string_view, 3> kReads = {"latest", "statement", "snapshot"};

Error no_moments(const std::string& why) {
  return {Fault::invalid, {}, "the moments of the run cannot be read: " + why};
}

Moments::Locks locks_of(const Json& json) {
  Moments::Locks locks{.since = json.at(0)};
  for (const Json& each : json.at(1)) locks.held.push_back({each.at(0), each.at(1), each.at(2)});
  return locks;
}

}  // namespace

std::string to_json(const Moments& moments) {
  Json given = Json::array(), locks = Json::array();
  for (const auto& [key, value] : moments.given) given.push_back(Json::array({key, value}));
  for (const Moments::Locks& each : moments.locks) {
    Json held = Json::array();
    for (const HeldLock& lock : each.held) held.push_back(Json::array({lock.actor, lock.object, lock.how}));
    locks.push_back(Json::array({each.since, std::move(held)}));
  }
  const Json json = {{"format", kMomentsFormat},
                     {"version", kMomentsVersion},
                     {"given", std::move(given)},
                     {"reads", kReads[static_cast<std::size_t>(moments.reads)]},
                     {"locks", std::move(locks)}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<Moments> moments_of(const std::string& text) {
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object() || json.value("format", "") != kMomentsFormat) return no_moments("it is something else");
  // The library's errors end here.
  try {
    if (const int version = json.at("version"); version != kMomentsVersion) {
      return no_moments(fmt::format("it has version {}, this program reads version {}", version, kMomentsVersion));
    }
    Moments moments;
    for (const Json& row : json.at("given")) moments.given.emplace_back(row.at(0), row.at(1));
    const auto reads = std::find(kReads.begin(), kReads.end(), json.at("reads").get<std::string>());
    if (reads == kReads.end()) return no_moments("what its reads see is not known");
    moments.reads = static_cast<ReadsSee>(reads - kReads.begin());
    for (const Json& each : json.at("locks")) moments.locks.push_back(locks_of(each));
    return moments;
  } catch (const Json::exception&) {
    return no_moments("a part of it is missing or has another form");
  }
}

}  // namespace lockstep::record

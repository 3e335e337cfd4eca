// json_object.cc: texts, most of which need no change.
#include "reports/json_object.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "reports/escape.h"
#include "reports/text.h"

namespace lockstep::reports {
namespace {

bool is_plain(char c) { return c >= ' ' && c <= '~' && c != '"' && c != '\\' && c != '<' && c != '>' && c != '&'; }

}  // namespace

void JsonObject::append_text(std::string_view value) {
  if (!std::all_of(value.begin(), value.end(), is_plain)) {
    out_ += harmless(std::string(value));
    return;
  }
  out_ += '"';
  out_ += value;
  out_ += '"';
}

}  // namespace lockstep::reports

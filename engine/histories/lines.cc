// lines.cc: brackets, quotes and keywords of both forms.
#include "engine/histories/lines.h"

#include <fmt/format.h>

#include <iterator>

namespace lockstep::histories {

std::string HistoryLines::quoted(std::string_view text) const {
  std::string all = "\"";
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20) {
      all += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
      continue;
    }
    if (c == '"' || c == '\\') all += '\\';
    all += c;
  }
  return all + "\"";
}

void HistoryLines::step(std::string& value, std::string_view f, std::string_view key, std::string_view what) const {
  if (!value.empty()) value += between();
  if (json_)
    fmt::format_to(std::back_inserter(value), R"(["{}",{},{}])", f, key, what);
  else
    fmt::format_to(std::back_inserter(value), "[:{} {} {}]", f, key, what);
}

void HistoryLines::line(int process, std::string_view type, std::string_view value) {
  if (index_ > 0) text_ += json_ ? ",\n" : "\n";
  if (json_)
    fmt::format_to(std::back_inserter(text_), R"({{"index":{},"type":"{}","process":{},"f":"txn","value":[{}]}})",
                   index_++, type, process, value);
  else
    fmt::format_to(std::back_inserter(text_), "{{:index {} :type :{} :process {} :f :txn :value [{}]}}", index_++, type,
                   process, value);
}

}  // namespace lockstep::histories

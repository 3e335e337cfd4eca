// operations.cc: from forms to operations, with what is wrong said by line.
#include "engine/histories/operations.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

namespace lockstep::histories {
namespace {

using Kind = Forms::Kind;

std::optional<Phase> phase_named(std::string_view name) {
  if (name == "invoke") return Phase::invoke;
  if (name == "ok") return Phase::ok;
  if (name == "fail") return Phase::fail;
  if (name == "info") return Phase::info;
  return std::nullopt;
}

/// An operation that has begun.
struct Begun {
  std::size_t call = 0;
  bool open = false;
};

}  // namespace

bool EntryReader::fail(std::size_t line, const std::string& what) {
  if (error_.empty()) error_ = fmt::format("{}: {}", line, what);
  return false;
}

std::size_t EntryReader::line_at(std::size_t place) {
  if (place < counted_to_) return line_;
  line_ += static_cast<std::size_t>(std::count(text_.begin() + static_cast<std::ptrdiff_t>(counted_to_),
                                               text_.begin() + static_cast<std::ptrdiff_t>(place), '\n'));
  counted_to_ = place;
  return line_;
}

bool EntryReader::check_index(std::int64_t index, std::size_t line) {
  if (last_index_ && index <= *last_index_)
    return fail(line, fmt::format("index {} {} that of line {}, which is {}", index,
                                  index == *last_index_ ? "repeats" : "is less than", last_index_line_, *last_index_));
  last_index_ = index;
  last_index_line_ = line;
  return true;
}

bool EntryReader::read_field(std::string_view name, std::uint32_t node, Entry& entry, bool& has_phase) {
  const Forms::Node& value = forms_.node(node);
  if (name == "type") {
    const auto phase = phase_named(value.text);
    if (!phase) return fail(entry.line, fmt::format("type \"{}\" is none of invoke, ok, fail, info", forms_.str(node)));
    entry.phase = *phase;
    has_phase = true;
  } else if (name == "process") {
    if (value.kind == Kind::nil) return true;
    entry.is_client = value.kind == Kind::integer && value.number >= 0;
    entry.process = entry.is_client ? value.number : -1;
  } else if (name == "f") {
    entry.has_f = value.kind == Kind::word;
    entry.f = value.text;
    if (value.kind != Kind::word && value.kind != Kind::nil)
      return fail(entry.line, fmt::format("f is {}, which is no name", forms_.str(node)));
  } else if (name == "value") {
    entry.value = node;
  } else if (name == "key") {
    entry.key = node;
  } else if (name == "index") {
    if (value.kind == Kind::nil) return true;
    if (value.kind != Kind::integer)
      return fail(entry.line, fmt::format("index is {}, which is no number", forms_.str(node)));
    index_ = value.number;
  }
  return true;
}

bool EntryReader::next(Entry& entry) {
  if (failed()) return false;
  if (!begun_) {
    begun_ = true;
    (void)forms_.enter();
  }
  if (!forms_.next()) {
    if (forms_.failed()) return fail(line_at(forms_.error_at()), forms_.error());
    return false;
  }
  const Forms::Node& map = forms_.node(0);
  entry = Entry{};
  entry.line = line_at(map.at);
  entry.place = place_++;
  if (map.kind != Kind::map)
    return fail(entry.line, fmt::format("an operation is a map, not {}", forms_.str(0).substr(0, 40)));
  index_.reset();
  bool has_phase = false;
  for (std::uint32_t at = 1; at < map.end;) {
    const std::uint32_t value = forms_.node(at).end;
    if (forms_.node(at).kind == Kind::word && !read_field(forms_.node(at).text, value, entry, has_phase)) return false;
    at = forms_.node(value).end;
  }
  if (index_ && !check_index(*index_, entry.line)) return false;
  return has_phase || fail(entry.line, "an operation without a type");
}

const Datum* Datum::at(std::string_view key) const {
  for (std::size_t i = 0; i + 1 < items.size(); i += 2)
    if (items[i].text == key) return &items[i + 1];
  return nullptr;
}

std::string Datum::str() const {
  if (is_nil()) return "nil";
  if (!is_list() && !is_map()) return text;
  std::string all;
  for (const Datum& item : items) all += (all.empty() ? "" : " ") + item.str();
  return is_map() ? "{" + all + "}" : "[" + all + "]";
}

Datum datum_of(const Forms& forms, std::uint32_t node) {
  Datum datum;
  if (node == Entry::kNoValue) return datum;
  const Forms::Node& it = forms.node(node);
  datum.kind = it.kind;
  datum.number = it.number;
  datum.text = std::string(it.text);
  if (it.kind == Kind::integer) datum.text = std::to_string(it.number);  // 1N is 1
  for (std::uint32_t at = node + 1; at < it.end; at = forms.node(at).end) datum.items.push_back(datum_of(forms, at));
  return datum;
}

Error error_in(const ClientCall& call, const std::string& what) {
  return {Fault::invalid, {}, fmt::format("{}: {}", call.line, what)};
}

Result<Calls> read_calls(EntryReader& reader) {
  Calls all;
  std::unordered_map<std::int64_t, Begun> begun;
  const auto begin = [&all, &reader](const Entry& entry) -> ClientCall& {
    ClientCall call;
    call.process = entry.process;
    call.f = std::string(entry.f);
    call.began = call.ended = entry.place;
    call.line = call.end_line = entry.line;
    call.asked = datum_of(reader.forms(), entry.value);
    call.key = datum_of(reader.forms(), entry.key);
    return all.calls.emplace_back(std::move(call));
  };
  for (Entry entry; reader.next(entry);) {
    if (!entry.is_client) {
      ++all.passed_over;
      continue;
    }
    Begun& its = begun[entry.process];
    if (entry.phase == Phase::invoke) {
      if (its.open) {
        reader.fail(entry.line, fmt::format("process {} begins again, while its operation of line {} has not ended",
                                            entry.process, all.calls[its.call].line));
        break;
      }
      its = {all.calls.size(), true};
      begin(entry);
      continue;
    }
    ClientCall& call = its.open ? all.calls[its.call] : begin(entry);
    if (its.open && entry.has_f && call.f != entry.f) {
      reader.fail(entry.line, fmt::format("process {} ends {}, but it began {} in line {}", entry.process, entry.f,
                                          call.f, call.line));
      break;
    }
    call.end = entry.phase;
    call.ended = entry.place;
    call.end_line = entry.line;
    call.answered = datum_of(reader.forms(), entry.value);
    its.open = false;
  }
  if (reader.failed()) return Error{Fault::invalid, {}, reader.error()};
  return all;
}

std::optional<std::string> edn_of_log(std::string_view text) {
  std::string edn;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    std::string_view line = text.substr(at, end - at);
    at = end + 1;
    const std::size_t dash = line.find(" - ");
    if (line.starts_with("INFO") && dash != std::string_view::npos) {
      line.remove_prefix(dash + 3);
      std::string_view words[3];
      std::size_t found = 0;
      while (found < 3) {
        line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
        const std::size_t word = std::min(line.find_first_of(" \t"), line.size());
        if (word == 0) break;
        words[found++] = line.substr(0, word);
        line.remove_prefix(word);
      }
      if (found == 3 && words[1].starts_with(':') && phase_named(words[1].substr(1)))
        edn += fmt::format("{{:process {} :type {} :f {} :value {}}}", words[0], words[1], words[2],
                           line.find_first_not_of(" \t\r") == std::string_view::npos ? "nil" : line);
    } else if (line.find_first_not_of(" \t\r") != std::string_view::npos && edn.find('{') == std::string::npos) {
      return std::nullopt;
    }
    if (end < text.size()) edn += '\n';
  }
  if (edn.find('{') == std::string::npos) return std::nullopt;
  return edn;
}

}  // namespace lockstep::histories

// operations.h: the operations of a history file, one by one, and in pairs of invocation and completion.
//
// A file is a list of maps, or maps one after another, in EDN or JSON; or the lines that Jepsen logs ("INFO jepsen.util
// - 0 :invoke :read nil"). The order in the file is the order of real time; `time` is for people.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/histories/forms.h"
#include "kv/base/result.h"

namespace lockstep::histories {

enum class Phase : std::uint8_t { invoke, ok, fail, info };

/// One map of the file. Its value is in the forms that it was read from, until the next one is read.
struct Entry {
  static constexpr std::uint32_t kNoValue = ~std::uint32_t{0};

  Phase phase = Phase::invoke;
  bool is_client = true;      ///< false: the nemesis or the like, which is passed over
  std::int64_t process = -1;  ///< -1: none was written
  bool has_f = false;
  std::string_view f;
  std::uint32_t value = kNoValue, key = kNoValue;
  std::size_t line = 0;
  std::int64_t place = 0;  ///< its place in the file, from 0
};

/// Reads a text that stays where it is. Not thread-safe.
class EntryReader {
 public:
  EntryReader(std::string_view text, Syntax syntax) : text_(text), forms_(text, syntax), syntax_(syntax) {}

  /// False at the end, and at a mistake.
  bool next(Entry& entry);
  bool failed() const noexcept { return !error_.empty(); }
  /// "LINE: what is wrong".
  const std::string& error() const noexcept { return error_; }
  bool fail(std::size_t line, const std::string& what);

  const Forms& forms() const noexcept { return forms_; }
  std::string_view text() const noexcept { return text_; }
  Syntax syntax() const noexcept { return syntax_; }

 private:
  std::size_t line_at(std::size_t place);
  bool read_field(std::string_view name, std::uint32_t node, Entry& entry, bool& has_phase);
  bool check_index(std::int64_t index, std::size_t line);

  const std::string_view text_;
  Forms forms_;
  const Syntax syntax_;
  bool begun_ = false;
  std::size_t counted_to_ = 0, line_ = 1;
  std::int64_t place_ = 0;
  std::optional<std::int64_t> last_index_;
  std::size_t last_index_line_ = 0;
  std::optional<std::int64_t> index_;  // of the entry that is being read
  std::string error_;
};

/// A form that outlives its text.
struct Datum {
  Forms::Kind kind = Forms::Kind::nil;
  std::int64_t number = 0;
  std::string text;
  std::vector<Datum> items;  ///< of a list; of a map, keys and values in turn

  bool operator==(const Datum&) const = default;
  bool is_nil() const noexcept { return kind == Forms::Kind::nil; }
  bool is_number() const noexcept { return kind == Forms::Kind::integer; }
  bool is_list() const noexcept { return kind == Forms::Kind::list; }
  bool is_map() const noexcept { return kind == Forms::Kind::map; }
  /// The value of a key of a map; nullptr: none.
  const Datum* at(std::string_view key) const;
  std::string str() const;
};

Datum datum_of(const Forms& forms, std::uint32_t node);

/// An invocation and its completion.
struct ClientCall {
  Phase end = Phase::info;  ///< ok, fail or info
  std::int64_t process = -1;
  std::string f;
  Datum asked;                        ///< the value of the invocation; without one, of the completion
  Datum answered;                     ///< the value of the completion; nil when there is none
  Datum key;                          ///< of its own field
  std::int64_t began = 0, ended = 0;  ///< places in the file
  std::size_t line = 0, end_line = 0;
};

/// Fault::invalid with "LINE: WHAT".
Error error_in(const ClientCall& call, const std::string& what);

struct Calls {
  std::vector<ClientCall> calls;  ///< in the order in which they began
  std::size_t passed_over = 0;
};

/// Fault::invalid with "LINE: what is wrong".
Result<Calls> read_calls(EntryReader& reader);

/// The lines that Jepsen logs as EDN, line by line; nullopt when the text is nothing of the kind.
std::optional<std::string> edn_of_log(std::string_view text);

}  // namespace lockstep::histories

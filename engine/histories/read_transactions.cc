// read_transactions.cc: pairs invocations with completions as they come, so that only open ones are kept.
#include "engine/histories/read_transactions.h"

#include <fmt/format.h>

#include <unordered_map>

namespace lockstep::histories {
namespace {

using check::Element;
using check::Transactions;
using End = Transactions::End;
using Kind = Forms::Kind;

/// A transaction that has begun. What it wrote is read from the text again where its completion does not say it.
struct Open {
  bool open = false;
  bool has_value = false;
  std::size_t line = 0, from = 0, to = 0;  // its value's place in the text
  std::int64_t place = 0;
};

bool is_transaction(const Forms& forms, std::uint32_t value) {
  if (value == Entry::kNoValue || forms.node(value).kind != Kind::list) return false;
  return forms.node(value).size == 0 || forms.node(value + 1).kind == Kind::list;
}

class Taker {
 public:
  Taker(EntryReader& reader, Micro micro) : reader_(reader), micro_(micro) {}

  Result<FileTransactions> run() {
    for (Entry entry; reader_.next(entry);)
      if (!take(entry)) break;
    for (const auto& [process, its] : open_)
      if (its.open && !conclude(its, process, End::unknown, its.place)) break;
    if (reader_.failed()) return Error{Fault::invalid, {}, reader_.error()};
    return std::move(all_);
  }

 private:
  bool take(const Entry& entry) {
    if (!entry.is_client) return ++all_.passed_over, true;
    if (!entry.has_f && (entry.phase == Phase::invoke || entry.phase == Phase::ok) &&
        !is_transaction(reader_.forms(), entry.value))
      return reader_.fail(entry.line, "an operation without f, whose value is no transaction");
    if (entry.has_f && entry.f != "txn")
      return reader_.fail(entry.line, fmt::format("f {} is no transaction; is it another --model?", entry.f));
    all_.without_f |= !entry.has_f;
    all_.without_process |= entry.process < 0;
    if (entry.process >= Transactions::kNoProcess)
      return reader_.fail(entry.line, fmt::format("process {} is too great a number", entry.process));
    Open& its = open_[entry.process];
    if (entry.phase == Phase::invoke) return begin(entry, its);
    if (entry.phase == Phase::ok) return commit(entry, its);
    const End end = entry.phase == Phase::fail ? End::aborted : End::unknown;
    if (its.open) {
      its.open = false;
      return conclude(its, entry.process, end, entry.place);
    }
    begin_item(entry.process, entry.line, entry.place, entry.place, end);
    return !is_transaction(reader_.forms(), entry.value) || add_steps(reader_.forms(), entry.value, entry.line, false);
  }

  bool begin(const Entry& entry, Open& its) {
    if (its.open)
      return reader_.fail(entry.line,
                          fmt::format("process {} begins again, while its operation of line {} has not ended",
                                      entry.process, its.line));
    its = {.open = true, .has_value = is_transaction(reader_.forms(), entry.value), .line = entry.line};
    its.place = entry.place;
    if (!its.has_value) return true;
    its.from = reader_.forms().node(entry.value).at;
    its.to = reader_.forms().node(entry.value).to;
    return true;
  }

  bool commit(const Entry& entry, Open& its) {
    if (!is_transaction(reader_.forms(), entry.value))
      return reader_.fail(entry.line, "a transaction is [[f k v] ...], and an ok one says what it read");
    begin_item(entry.process, its.open ? its.line : entry.line, its.open ? its.place : entry.place, entry.place,
               End::committed);
    its.open = false;
    return add_steps(reader_.forms(), entry.value, entry.line, true);
  }

  /// One that did not commit, or of which it is not known: what counts is what it was to write.
  bool conclude(const Open& its, std::int64_t process, End end, std::int64_t ended) {
    begin_item(process, its.line, its.place, ended, end);
    if (!its.has_value) return true;
    Forms forms(reader_.text().substr(its.from, its.to - its.from), reader_.syntax());
    return !forms.next() || add_steps(forms, 0, its.line, false);
  }

  void begin_item(std::int64_t process, std::size_t line, std::int64_t began, std::int64_t ended, End end) {
    ++(end == End::committed ? all_.committed : end == End::aborted ? all_.failed : all_.unknown);
    all_.transactions.begin({.began = began,
                             .ended = ended,
                             .process = process < 0 ? Transactions::kNoProcess : static_cast<std::uint32_t>(process),
                             .line = static_cast<std::uint32_t>(line),
                             .end = end});
  }

  bool add_steps(const Forms& forms, std::uint32_t value, std::size_t line, bool with_reads) {
    for (std::uint32_t at = value + 1; at < forms.node(value).end; at = forms.node(at).end)
      if (!add_step(forms, at, line, with_reads)) return false;
    return true;
  }

  bool add_step(const Forms& forms, std::uint32_t node, std::size_t line, bool with_reads) {
    const Forms::Node& step = forms.node(node);
    if (step.kind != Kind::list || step.size < 2 || step.size > 3 || forms.node(node + 1).kind != Kind::word)
      return reader_.fail(line, fmt::format("{} is no [f k v]", forms.str(node)));
    const std::string_view f = forms.node(node + 1).text;
    const std::uint32_t key_at = node + 2, value = forms.node(key_at).end;
    const bool has_value = step.size == 3;
    if (f == "r") {
      if (!with_reads) return true;
      return micro_ == Micro::lists ? add_list(forms, key_at, has_value ? value : Entry::kNoValue, line)
                                    : add_look(forms, key_at, has_value ? value : Entry::kNoValue, line);
    }
    if (f != (micro_ == Micro::lists ? "append" : "w"))
      return reader_.fail(line, fmt::format("{} is neither a read nor {}; is it another --model?", forms.str(node),
                                            micro_ == Micro::lists ? "an append" : "a write"));
    if (!has_value) return reader_.fail(line, fmt::format("{} writes nothing", forms.str(node)));
    if (micro_ == Micro::lists) {
      all_.transactions.append(key_of(forms, key_at), element_of(forms, value));
      return true;
    }
    if (forms.node(value).kind == Kind::nil)
      return reader_.fail(line, fmt::format("{}: a write of nil cannot be told from no write", forms.str(node)));
    all_.transactions.write(key_of(forms, key_at), element_of(forms, value));
    return true;
  }

  bool add_list(const Forms& forms, std::uint32_t key, std::uint32_t value, std::size_t line) {
    list_.clear();
    if (value != Entry::kNoValue && forms.node(value).kind != Kind::nil) {
      if (forms.node(value).kind != Kind::list)
        return reader_.fail(line,
                            fmt::format("a read of {} gives {}, which is no list", forms.str(key), forms.str(value)));
      for (std::uint32_t at = value + 1; at < forms.node(value).end; at = forms.node(at).end)
        list_.push_back(element_of(forms, at));
    }
    all_.transactions.read(key_of(forms, key), list_);
    return true;
  }

  bool add_look(const Forms& forms, std::uint32_t key, std::uint32_t value, std::size_t line) {
    if (value != Entry::kNoValue && forms.node(value).kind == Kind::list)
      return reader_.fail(
          line, fmt::format("a read of {} gives {}, which is no single value", forms.str(key), forms.str(value)));
    const bool nil = value == Entry::kNoValue || forms.node(value).kind == Kind::nil;
    all_.transactions.look(key_of(forms, key), nil ? Transactions::kNil : element_of(forms, value));
    return true;
  }

  std::uint32_t key_of(const Forms& forms, std::uint32_t node) {
    const Forms::Node& it = forms.node(node);
    if (it.kind == Kind::integer) return all_.transactions.key_numbered(it.number);
    if (it.kind == Kind::word) return all_.transactions.key_named(it.text);
    return all_.transactions.key_named(forms.str(node));
  }

  Element element_of(const Forms& forms, std::uint32_t node) {
    const Forms::Node& it = forms.node(node);
    if (it.kind == Kind::integer && it.number >= 0 && it.number < static_cast<std::int64_t>(Transactions::kNamed))
      return static_cast<Element>(it.number);
    if (it.kind == Kind::integer) return all_.transactions.element_named(std::to_string(it.number));
    if (it.kind == Kind::word) return all_.transactions.element_named(it.text);
    return all_.transactions.element_named(forms.str(node));
  }

  EntryReader& reader_;
  const Micro micro_;
  FileTransactions all_;
  std::unordered_map<std::int64_t, Open> open_;
  std::vector<Element> list_;
};

}  // namespace

Result<FileTransactions> read_transactions(EntryReader& reader, Micro micro) { return Taker(reader, micro).run(); }

}  // namespace lockstep::histories

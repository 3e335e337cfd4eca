// write.cc: begins and ends of transactions sorted by time, each a map on a line.
#include "engine/histories/write.h"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "engine/histories/lines.h"

namespace lockstep::histories {
namespace {

using check::Operation;
using check::Transaction;

/// A begin or an end.
struct Moment {
  std::int64_t at = 0;
  std::size_t transaction = 0;
  bool ends = false;
};

class HistoryWriter {
 public:
  explicit HistoryWriter(Syntax syntax) : lines_(syntax) {}

  void add(const Transaction& transaction, int process, const char* type, bool reads) {
    std::string value;
    for (const Operation& op : transaction.operations) {
      if (op.kind == Operation::Kind::append)
        lines_.step(value, "append", lines_.quoted(op.key), std::to_string(number(op.element)));
      else
        lines_.step(value, "r", lines_.quoted(op.key), reads ? list(op.list) : lines_.nil());
    }
    lines_.line(process, type, value);
  }

  void add_end(const check::History& history, int process) {
    Transaction end;
    for (const auto& [key, elements] : history.final) end.operations.push_back({Operation::Kind::read, key, elements});
    add(end, process, "invoke", false);
    add(end, process, "ok", true);
  }

  std::string take() { return lines_.take(); }

 private:
  /// What is above all numbers of others, a write that was not kept, is below zero.
  static std::int64_t number(check::Element element) {
    constexpr check::Element kMost = std::uint64_t{1} << 62U;
    return element < kMost ? static_cast<std::int64_t>(element) : -static_cast<std::int64_t>(element % kMost) - 1;
  }

  std::string list(const check::List& elements) const {
    std::string text;
    for (const check::Element element : elements)
      text += (text.empty() ? "" : lines_.between()) + std::to_string(number(element));
    return "[" + text + "]";
  }

  HistoryLines lines_;
};

bool is_list_append(const Operation& op) { return op.kind != Operation::Kind::erase && !op.undone; }

}  // namespace

std::string text_of(const check::History& history, Syntax syntax,
                    const std::function<int(std::string_view name)>& process_of) {
  std::vector<Moment> moments;
  int stride = 1;  // the next life of a process has a number so much greater
  for (std::size_t i = 0; i < history.transactions.size(); ++i) {
    const Transaction& one = history.transactions[i];
    if (!std::all_of(one.operations.begin(), one.operations.end(), is_list_append)) return {};
    moments.push_back({one.began_at, i, false});
    moments.push_back({one.ended_at, i, true});
    stride = std::max(stride, process_of(one.name) + 1);
  }
  // What ends and what begins in one moment overlap: begins come first.
  std::stable_sort(moments.begin(), moments.end(),
                   [](const Moment& a, const Moment& b) { return a.at != b.at ? a.at < b.at : a.ends < b.ends; });
  HistoryWriter writer(syntax);
  std::map<int, int> lives;  // of each process; who never heard the outcome has no next transaction
  int most_lives = 0;
  for (const Moment& moment : moments) {
    const Transaction& one = history.transactions[moment.transaction];
    int& life = lives[process_of(one.name)];
    const int process = process_of(one.name) + life * stride;
    if (!moment.ends) {
      writer.add(one, process, "invoke", false);
      continue;
    }
    if (one.end == Transaction::End::unknown) most_lives = std::max(most_lives, ++life);
    const bool committed = one.end == Transaction::End::committed;
    writer.add(one, process, committed ? "ok" : one.end == Transaction::End::aborted ? "fail" : "info", committed);
  }
  writer.add_end(history, (most_lives + 1) * stride);
  return writer.take();
}

}  // namespace lockstep::histories

// locks.cc: reads InnoDB's monitor (storage/innobase/lock/lock0lock.cc: lock_print_info_all_transactions), and knows
// which locks conflict (the same file: lock_rec_has_to_wait).
#include "engine/stores/mariadb/locks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <optional>
#include <utility>

namespace lockstep::mariadb {
namespace {

std::string_view next_line(std::string_view& text) {
  const std::size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  return line;
}

/// What stands behind `word`, up to `until`; nullopt: the line does not have the word.
std::optional<std::string_view> behind(std::string_view line, std::string_view word, char until = ' ') {
  const std::size_t at = line.find(word);
  if (at == std::string_view::npos) return std::nullopt;
  const std::string_view rest = line.substr(at + word.size());
  return rest.substr(0, rest.find(until));
}

std::uint64_t number_behind(std::string_view line, std::string_view word, char until = ' ') {
  const auto digits = behind(line, word, until);
  std::uint64_t number = 0;
  if (digits) std::from_chars(digits->data(), digits->data() + digits->size(), number);
  return number;
}

std::uint64_t number_before_comma(std::string_view line, std::string_view word) {
  return number_behind(line, word, ',');
}

/// "`shop`.`kv`" as "shop.kv".
std::string table_in(std::string_view line) {
  const std::size_t at = line.find("able `");
  if (at == std::string_view::npos) return {};
  std::string_view quoted = line.substr(at + 5);
  quoted = quoted.substr(0, quoted.find(" trx id"));
  std::string name(quoted);
  std::erase(name, '`');
  return name;
}

/// The modes that a header of the monitor shows.
InnodbLock lock_in(std::string_view header) {
  InnodbLock lock;
  lock.is_table = header.starts_with("TABLE LOCK");
  lock.table = table_in(header);
  lock.mode = behind(header, lock.is_table ? "lock mode " : "lock_mode ").value_or("");
  if (lock.mode.empty()) lock.mode = behind(header, "lock mode ").value_or("");
  lock.gap = header.find("locks gap before rec") != std::string_view::npos;
  lock.not_gap = header.find("locks rec but not gap") != std::string_view::npos;
  lock.insert_intention = header.find("insert intention") != std::string_view::npos;
  lock.waiting = header.ends_with(" waiting");
  if (lock.is_table) {
    lock.place = lock.table;
    return lock;
  }
  lock.index = behind(header, "index ").value_or("");
  lock.place = fmt::format("space {} page {}", number_behind(header, "space id "), number_behind(header, "page no "));
  return lock;
}

/// A column as the monitor shows it: " 0: len 1; hex 41; asc A;;". Integers have their sign bit turned.
std::string column_in(std::string_view line) {
  const std::size_t length = number_behind(line, "len ");
  const std::string hex(behind(line, "hex ", ';').value_or(""));
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    unsigned char byte = 0;
    std::from_chars(hex.data() + i, hex.data() + i + 2, byte, 16);
    bytes += static_cast<char>(byte);
  }
  const bool is_text =
      !bytes.empty() && std::all_of(bytes.begin(), bytes.end(), [](unsigned char c) { return std::isprint(c) != 0; });
  if (is_text) return bytes;
  if ((length == 4 || length == 8) && bytes.size() == length) {
    std::uint64_t number = 0;
    for (const char byte : bytes) number = number << 8U | static_cast<unsigned char>(byte);
    const std::uint64_t sign = std::uint64_t{1} << (length * 8 - 1);
    return std::to_string(static_cast<std::int64_t>(number - sign));
  }
  return hex.empty() ? std::string() : "0x" + hex;
}

/// Reads the lines of one transaction's part. A record's lock has a header, then a line for each record, and the
/// columns of that.
class PartOfTransaction {
 public:
  void take(std::string_view line) {
    if (line.starts_with("MariaDB thread id ")) {
      transaction.thread = number_before_comma(line, "thread id ");
    } else if (line.starts_with("------- TRX HAS BEEN WAITING ")) {
      transaction.waited = number_behind(line, "WAITING ");
      is_told_twice_ = true;
    } else if (line.starts_with("------------------")) {
      is_told_twice_ = false;
      header_.reset();
    } else if (is_told_twice_) {
      return;  // the list of locks has it again
    } else if (line.starts_with("TABLE LOCK ")) {
      header_.reset();
      transaction.locks.push_back(lock_in(line));
    } else if (line.starts_with("RECORD LOCKS ")) {
      header_ = lock_in(line);
    } else if (header_ && line.starts_with("Record lock, heap no ")) {
      InnodbLock lock = *header_;
      lock.place += fmt::format(" heap {}", number_behind(line, "heap no "));
      lock.supremum = number_behind(line, "heap no ") == 1;
      transaction.locks.push_back(std::move(lock));
    } else if (header_ && line.starts_with(" 0: ") && !transaction.locks.empty()) {
      transaction.locks.back().record = column_in(line);
    }
  }
  Transaction transaction;

 private:
  std::optional<InnodbLock> header_;
  bool is_told_twice_ = false;
};

bool are_modes_compatible(const InnodbLock& a, const InnodbLock& b) {
  if (!a.is_table) return a.mode == "S" && b.mode == "S";
  const auto is_intention = [](const InnodbLock& lock) { return lock.mode == "IX" || lock.mode == "IS"; };
  const bool increments = a.mode == "AUTO-INC" || b.mode == "AUTO-INC";
  if (increments) return is_intention(a) || is_intention(b);
  if (is_intention(a) && is_intention(b)) return true;
  const auto reads = [](const InnodbLock& lock) { return lock.mode == "S" || lock.mode == "IS"; };
  return reads(a) && reads(b);
}

bool has_to_wait(const InnodbLock& wanted, const InnodbLock& other) {
  if (wanted.place != other.place || are_modes_compatible(wanted, other)) return false;
  if (wanted.is_table) return true;
  if ((wanted.gap || wanted.supremum) && !wanted.insert_intention) return false;
  if (!wanted.insert_intention && other.gap) return false;
  if ((wanted.gap || wanted.insert_intention) && other.not_gap) return false;
  return !other.insert_intention;
}

constexpr std::string_view kListOfTransactions = "LIST OF TRANSACTIONS FOR EACH SESSION:";

}  // namespace

std::vector<Transaction> transactions_in(std::string_view status) {
  std::vector<Transaction> all;
  const std::size_t list = status.find(kListOfTransactions);
  if (list == std::string_view::npos) return all;
  std::string_view rest = status.substr(list + kListOfTransactions.size());
  PartOfTransaction part;
  while (!rest.empty()) {
    const std::string_view line = next_line(rest);
    const bool is_end = line == "--------";
    if (line.starts_with("---TRANSACTION ") || is_end) {
      if (!part.transaction.locks.empty()) all.push_back(std::move(part.transaction));
      part = PartOfTransaction();
    }
    if (is_end) break;
    part.take(line);
  }
  return all;
}

BrokenDeadlock deadlock_in(std::string_view status) {
  struct Member {
    std::uint64_t id = 0, thread = 0, statement = 0, waits_for = 0;  // transactions, but for the middle two
  };
  BrokenDeadlock found;
  const std::size_t begin = status.find("LATEST DETECTED DEADLOCK");
  if (begin == std::string_view::npos) return found;
  std::string_view rest = status.substr(begin, status.find("\nTRANSACTIONS\n", begin) - begin);
  std::vector<Member> members;
  bool conflicts = false;
  while (!rest.empty()) {
    const std::string_view line = next_line(rest);
    if (line.starts_with("TRANSACTION ")) members.push_back({.id = number_before_comma(line, "TRANSACTION ")});
    if (members.empty()) continue;
    Member& last = members.back();
    if (line.starts_with("MariaDB thread id ")) {
      last.thread = number_before_comma(line, "thread id ");
      last.statement = number_behind(line, "query id ");
    }
    if (line.starts_with("*** ")) conflicts = line.starts_with("*** CONFLICTING WITH");
    if (conflicts && last.waits_for == 0) last.waits_for = number_behind(line, " trx id ");
    const std::uint64_t number = number_behind(line, "*** WE ROLL BACK TRANSACTION (", ')');
    if (number > 0 && number <= members.size()) {
      found.victim = members[number - 1].thread;
      found.victim_statement = members[number - 1].statement;
    }
  }
  // From the first one along the waits, until the circle closes.
  for (std::uint64_t next = members.empty() ? 0 : members.front().id; found.threads.size() < members.size();) {
    const auto member =
        std::find_if(members.begin(), members.end(), [next](const Member& each) { return each.id == next; });
    if (member == members.end()) break;
    found.threads.push_back(member->thread);
    next = member->waits_for;
    if (next == members.front().id) break;
  }
  return found;
}

RowWait wait_of(std::uint64_t thread, const std::vector<Transaction>& all) {
  RowWait wait;
  const auto waiter = std::find_if(all.begin(), all.end(), [thread](const Transaction& each) {
    return each.thread == thread &&
           std::any_of(each.locks.begin(), each.locks.end(), [](const InnodbLock& lock) { return lock.waiting; });
  });
  if (waiter == all.end()) return wait;
  wait.lock =
      *std::find_if(waiter->locks.begin(), waiter->locks.end(), [](const InnodbLock& lock) { return lock.waiting; });
  for (const Transaction& other : all) {
    if (&other == &*waiter) continue;
    // A request that waits holds up only what came after it. Without that, two that wait for one row would seem to wait
    // for each other.
    const bool blocks = std::any_of(other.locks.begin(), other.locks.end(), [&](const InnodbLock& lock) {
      return (!lock.waiting || other.waited > waiter->waited) && has_to_wait(wait.lock, lock);
    });
    if (blocks) wait.blockers.push_back(other.thread);
  }
  std::sort(wait.blockers.begin(), wait.blockers.end());
  return wait;
}

std::string_view name_of_table(const InnodbLock& lock) {
  const std::string_view name = lock.table;
  const std::size_t dot = name.find('.');
  return dot == std::string_view::npos ? name : name.substr(dot + 1);
}

std::string text_of(const InnodbLock& lock) {
  const std::string_view table = name_of_table(lock);
  if (lock.is_table) return fmt::format("{} lock on table {}", lock.mode, table);
  const std::string of =
      lock.index == "PRIMARY" ? std::string(table) : fmt::format("index {} of {}", lock.index, table);
  const std::string row = lock.supremum ? "the end" : lock.record.empty() ? "a row" : "row " + lock.record;
  const std::string what = lock.supremum || lock.gap ? fmt::format("the gap before {}", row)
                           : lock.not_gap            ? row
                                                     : fmt::format("{} and the gap before it", row);
  return fmt::format("{} lock on {} of {}{}", lock.mode, what, of, lock.insert_intention ? ", to insert" : "");
}

}  // namespace lockstep::mariadb

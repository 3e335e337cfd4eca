// tpcc.h: new-order and payment of TPC-C (revision 5.11) on one warehouse: the mix of both as in the full benchmark (45
// to 43), and its consistency conditions.
//
// Rows are plain structs in a key-value store: the first letter of a key names the table, then come its numbers,
// big-endian, so that the keys of a table lie in their order. Money is in cents. Not from the specification: no think
// times, no terminals, no other transactions, so orders are never delivered; texts are empty.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "tests/bench/kv_bench/ycsb.h"

namespace lockstep::bench::tpcc {

constexpr int kDistricts = 10;
constexpr int kCustomers = 3000;  // of each district
constexpr int kItems = 100'000;
constexpr int kFirstOrders = 3000;             // of each district, loaded
constexpr int kFirstNewOrders = 2101;          // the first that is not delivered
constexpr std::int64_t kFirstYtd = 30'000'00;  // of a district
constexpr std::int64_t kFirstPayment = 10'00;  // of a customer

struct Warehouse {
  std::int64_t ytd = kDistricts * kFirstYtd;
  std::int32_t tax = 10;  // per cent
  char address[90];
};
struct District {
  std::int64_t ytd = kFirstYtd;
  std::int32_t tax = 10;
  std::int32_t next_order = kFirstOrders + 1;
  char address[90];
};
struct Customer {
  std::int64_t balance = -kFirstPayment;
  std::int64_t ytd_payment = kFirstPayment;
  std::int32_t payments = 1;
  std::int32_t discount = 10;
  std::array<char, 16> last;
  char rest[600];
};
struct Item {
  std::int64_t price = 0;
  char name[74];
};
struct Stock {
  std::int64_t ytd = 0;
  std::int32_t quantity = 50;
  std::int32_t orders = 0;
  char districts[kDistricts][24];
  char data[50];
};
struct Order {
  std::int32_t customer = 0;
  std::int32_t lines = 0;
  std::int64_t entered = 0;
};
struct OrderLine {
  std::int64_t amount = 0;
  std::int32_t item = 0;
  std::int32_t quantity = 5;
  char district[24];
};
struct History {
  std::int64_t amount = 0;
  std::int32_t customer = 0;
  char data[24];
};

template <class Row>
std::string_view bytes_of(const Row& row) {
  return {reinterpret_cast<const char*>(&row), sizeof row};
}
template <class Row>
Row row_of(std::string_view bytes) {
  LOCKSTEP_CHECK(bytes.size() == sizeof(Row), "a row of {} bytes, not {}", bytes.size(), sizeof(Row));
  Row row;
  std::memcpy(&row, bytes.data(), sizeof row);
  return row;
}
class Key {
 public:
  explicit Key(char table) { add(static_cast<unsigned char>(table), 1); }
  Key& number(std::uint64_t number, int bytes = 4) { return add(number, bytes), *this; }
  Key& text(std::string_view text) {
    std::memcpy(bytes_.data() + size_, text.data(), text.size());
    size_ += text.size();
    return *this;
  }
  operator std::string_view() const { return {bytes_.data(), size_}; }

 private:
  void add(std::uint64_t number, int bytes) {
    for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) bytes_[size_++] = static_cast<char>(number >> shift);
  }
  std::array<char, 32> bytes_;
  std::size_t size_ = 0;
};

inline Key warehouse() { return Key('w'); }
inline Key district(int d) { return Key('d').number(d); }
inline Key customer(int d, int c) { return Key('c').number(d).number(c); }
inline Key by_name(int d, std::string_view last, int c) { return Key('n').number(d).text(last).number(c); }
inline Key item(int i) { return Key('i').number(i); }
inline Key stock(int i) { return Key('s').number(i); }
inline Key order(int d, int o) { return Key('o').number(d).number(o); }
inline Key new_order(int d, int o) { return Key('q').number(d).number(o); }
inline Key order_line(int d, int o, int line) { return Key('l').number(d).number(o).number(line); }
inline Key history(std::uint64_t id) { return Key('h').number(id, 8); }

/// Clause 4.3.2.3: names of three syllables, here of 16 bytes.
inline std::array<char, 16> last_name(int number) {
  static constexpr const char* syllables[] = {"BAR", "OUGHT", "ABLE",  "PRI",   "PRES",
                                              "ESE", "ANTI",  "CALLY", "ATION", "EING"};
  const std::string text =
      fmt::format("{}{}{}", syllables[number / 100], syllables[number / 10 % 10], syllables[number % 10]);
  std::array<char, 16> name{};
  std::copy(text.begin(), text.end(), name.begin());
  return name;
}
inline std::string_view view(const std::array<char, 16>& name) { return {name.data(), name.size()}; }

class Random {
 public:
  explicit Random(std::uint64_t seed) : random_(seed) {}
  int between(int from, int to) { return std::uniform_int_distribution<int>(from, to)(random_); }
  /// Clause 2.1.6, with C = 123.
  int non_uniform(int a, int from, int to) {
    return (((between(0, a) | between(from, to)) + 123) % (to - from + 1)) + from;
  }

 private:
  std::mt19937_64 random_;
};

/// Writes rows in transactions of 500.
template <class Session>
class Loader {
 public:
  explicit Loader(Session& session) : session_(session) {}
  ~Loader() {
    if (in_batch_ > 0) finish(session_.commit());
  }
  void put(std::string_view key, std::string_view value) {
    if (in_batch_ == 0) session_.begin({.claims_all = true});
    finish(session_.write(key, value));
    if (++in_batch_ < 500) return;
    finish(session_.commit());
    in_batch_ = 0;
  }

 private:
  void finish(const Failure& failure) { LOCKSTEP_CHECK(!failure, "filling failed: {}", session_.why()); }
  Session& session_;
  int in_batch_ = 0;
};

template <class Session>
void fill(Session& session, const Settings& settings) {
  Random random(settings.seed);
  Loader<Session> loader(session);
  loader.put(warehouse(), bytes_of(Warehouse{}));
  for (int i = 1; i <= kItems; ++i) {
    auto row = Item{};
    row.price = random.between(1'00, 100'00);
    loader.put(item(i), bytes_of(row));
    loader.put(stock(i), bytes_of(Stock{}));
  }
  for (int d = 1; d <= kDistricts; ++d) {
    loader.put(district(d), bytes_of(District{}));
    for (int c = 1; c <= kCustomers; ++c) {
      auto row = Customer{};
      row.last = last_name(c <= 1000 ? c - 1 : random.non_uniform(255, 0, 999));
      loader.put(customer(d, c), bytes_of(row));
      loader.put(by_name(d, view(row.last), c), "-");
    }
    for (int o = 1; o <= kFirstOrders; ++o) {
      const Order row{.customer = o, .lines = random.between(5, 15)};
      loader.put(order(d, o), bytes_of(row));
      if (o >= kFirstNewOrders) loader.put(new_order(d, o), "-");
      for (int line = 1; line <= row.lines; ++line) {
        auto of = OrderLine{};
        of.item = random.between(1, kItems);
        loader.put(order_line(d, o, line), bytes_of(of));
      }
    }
  }
}

/// One client's transactions. Each draws what it is about first, so that a retry does the same again.
template <class Session>
class Client {
 public:
  Client(Session& session, const Settings& settings, unsigned number)
      : session_(session), random_(settings.seed * 1000 + number), next_history_(std::uint64_t{number} << 40) {}

  void run(Control& control, Tally& tally) {
    Stopwatch watch(control, tally);
    control.ready.arrive_and_wait();
    while (watch.begin()) {
      const bool is_order = random_.between(1, 88) <= 45;
      is_order ? draw_order() : draw_payment();
      const bool done = until_committed(session_, watch, control, tally, [&](bool retry) -> Failure {
        rolled_back_ = false;
        session_.begin({.claims_all = true, .retry = retry});  // what it will insert is not known beforehand
        if (const Failure failure = is_order ? order_goods() : pay()) return failure;
        if (!rolled_back_) return session_.commit();
        session_.abort();
        return std::nullopt;
      });
      if (!done) return;
      if (rolled_back_) watch.rolled_back();
      watch.committed();
    }
  }

 private:
  struct Line {
    int item;
    int quantity;
  };

  void draw_order() {
    district_ = random_.between(1, kDistricts);
    customer_ = random_.non_uniform(1023, 1, kCustomers);
    lines_.resize(static_cast<std::size_t>(random_.between(5, 15)));
    for (Line& line : lines_) line = {random_.non_uniform(8191, 1, kItems), random_.between(1, 10)};
    if (random_.between(1, 100) == 1) lines_.back().item = kItems + 1;  // clause 2.4.1.4: there is no such item
  }
  void draw_payment() {
    district_ = random_.between(1, kDistricts);
    amount_ = random_.between(1'00, 5000'00);
    customer_ = random_.between(1, 100) <= 60 ? 0 : random_.non_uniform(1023, 1, kCustomers);
    if (customer_ == 0) name_ = last_name(random_.non_uniform(255, 0, 999));
    ++next_history_;
  }

  template <class Row>
  Failure get(std::string_view key, Row& row, bool for_update) {
    if (const Failure failure = for_update ? session_.read_for_update(key, text_) : session_.read(key, text_))
      return failure;
    row = row_of<Row>(text_);
    return std::nullopt;
  }

  Failure order_goods() {
    Warehouse w;
    District d;
    Customer c;
    if (const Failure f = get(warehouse(), w, false)) return f;
    if (const Failure f = get(district(district_), d, true)) return f;
    const int number = d.next_order++;
    if (const Failure f = session_.write(district(district_), bytes_of(d))) return f;
    if (const Failure f = get(customer(district_, customer_), c, false)) return f;
    const Order row{.customer = customer_, .lines = static_cast<std::int32_t>(lines_.size())};
    if (const Failure f = session_.insert(order(district_, number), bytes_of(row))) return f;
    if (const Failure f = session_.insert(new_order(district_, number), "-")) return f;
    for (std::size_t i = 0; i < lines_.size() && !rolled_back_; ++i)
      if (const Failure f = order_line_of(number, static_cast<int>(i) + 1, lines_[i])) return f;
    return std::nullopt;
  }

  Failure order_line_of(int order, int number, const Line& line) {
    if (const Failure f = session_.read(item(line.item), text_)) return f;
    // kv leaves the text as it was for a key that is not there.
    rolled_back_ = line.item > kItems;
    if (rolled_back_) return std::nullopt;
    const auto price = row_of<Item>(text_).price;
    Stock s;
    if (const Failure f = get(stock(line.item), s, true)) return f;
    s.quantity += s.quantity >= line.quantity + 10 ? -line.quantity : 91 - line.quantity;
    s.ytd += line.quantity;
    ++s.orders;
    if (const Failure f = session_.write(stock(line.item), bytes_of(s))) return f;
    OrderLine row{.amount = price * line.quantity, .item = line.item, .quantity = line.quantity, .district = {}};
    std::memcpy(row.district, s.districts[district_ - 1], sizeof row.district);
    return session_.insert(order_line(district_, order, number), bytes_of(row));
  }

  Failure pay() {
    Warehouse w;
    District d;
    Customer c;
    if (const Failure f = get(warehouse(), w, true)) return f;
    w.ytd += amount_;
    if (const Failure f = session_.write(warehouse(), bytes_of(w))) return f;
    if (const Failure f = get(district(district_), d, true)) return f;
    d.ytd += amount_;
    if (const Failure f = session_.write(district(district_), bytes_of(d))) return f;
    int number = customer_;
    if (number == 0)
      if (const Failure f = find_by_name(number)) return f;
    if (const Failure f = get(customer(district_, number), c, true)) return f;
    c.balance -= amount_;
    c.ytd_payment += amount_;
    ++c.payments;
    if (const Failure f = session_.write(customer(district_, number), bytes_of(c))) return f;
    auto row = History{};
    row.amount = amount_;
    row.customer = number;
    return session_.insert(history(next_history_), bytes_of(row));
  }

  /// Clause 2.5.2.2: of those with the name, the one in the middle.
  Failure find_by_name(int& number) {
    const Failure failure =
        session_.scan(by_name(district_, view(name_), 0), by_name(district_, view(name_), 0x7fffffff), 1000, rows_);
    if (failure) return failure;
    // Who is alone in the store, as after a failed validation, may find nobody: the retry will.
    if (rows_.empty()) return Fault::validation_failure;
    const std::string& key = rows_[(rows_.size() - 1) / 2].key;
    number = 0;
    for (const char byte : key.substr(key.size() - 4)) number = number << 8 | static_cast<unsigned char>(byte);
    return std::nullopt;
  }

  Session& session_;
  Random random_;
  std::uint64_t next_history_;
  int district_ = 0;
  int customer_ = 0;  // 0: by name
  std::array<char, 16> name_{};
  std::int64_t amount_ = 0;
  std::vector<Line> lines_;
  bool rolled_back_ = false;
  std::string text_;
  std::vector<kv::Row> rows_;
};

/// Consistency conditions 1 to 4 of clause 3.3.2 and, over the whole load, that no money and no goods were lost.
template <class Session>
class Auditor {
 public:
  explicit Auditor(Session& session) : session_(session) {}

  /// Empty when all hold.
  std::string judge() {
    std::int64_t district_ytd = 0;
    std::int64_t ordered = 0;
    for (int d = 1; d <= kDistricts; ++d) {
      const auto row = row_of<District>(all(district(d), district(d + 1)).at(0).value);
      district_ytd += row.ytd;
      judge_orders(d, row.next_order - 1, ordered);
    }
    const auto total = row_of<Warehouse>(all(warehouse(), Key('x')).at(0).value).ytd;
    expect(1, "the warehouse's and the districts' ytd", total, district_ytd);
    std::int64_t paid = 0;
    for (const kv::Row& row : all(Key('h'), Key('i'))) paid += row_of<History>(row.value).amount;
    expect(8, "the warehouse's ytd and the history", total - kDistricts * kFirstYtd, paid);
    std::int64_t by_customers = 0;
    for (const kv::Row& row : all(Key('c'), Key('d')))
      by_customers += row_of<Customer>(row.value).ytd_payment - kFirstPayment;
    expect(0, "what customers paid and the history", by_customers, paid);
    std::int64_t taken = 0;
    for (const kv::Row& row : all(Key('s'), Key('t'))) taken += row_of<Stock>(row.value).ytd;
    expect(0, "goods taken from the stock and goods ordered", taken, ordered);
    return std::move(broken_);
  }

 private:
  static int last_number(const std::string& key) {
    int number = 0;
    for (const char byte : key.substr(key.size() - 4)) number = number << 8 | static_cast<unsigned char>(byte);
    return number;
  }

  void judge_orders(int d, int last, std::int64_t& ordered) {
    const auto orders = all(order(d, 0), order(d + 1, 0));
    const auto waiting = all(new_order(d, 0), new_order(d + 1, 0));
    expect(2, "the next order and the last order", last, last_number(orders.back().key));
    expect(2, "the next order and the last new order", last, last_number(waiting.back().key));
    expect(3, "the span and the number of new orders",
           last_number(waiting.back().key) - last_number(waiting.front().key) + 1,
           static_cast<std::int64_t>(waiting.size()));
    std::int64_t lines = 0;
    for (const kv::Row& row : orders) lines += row_of<Order>(row.value).lines;
    const auto of = all(order_line(d, 0, 0), order_line(d + 1, 0, 0));
    expect(4, "lines that orders name and lines", lines, static_cast<std::int64_t>(of.size()));
    const std::string first_new(order_line(d, kFirstOrders + 1, 0));
    for (const kv::Row& row : of)
      if (row.key >= first_new) ordered += row_of<OrderLine>(row.value).quantity;
  }

  void expect(int clause, std::string_view what, std::int64_t one, std::int64_t other) {
    if (one == other) return;
    const std::string condition = clause > 0 ? fmt::format(" (3.3.2.{})", clause) : "";
    broken_ += fmt::format("{}{}{} differ: {} and {}", broken_.empty() ? "" : "; ", what, condition, one, other);
  }

  std::vector<kv::Row> all(std::string_view from, std::string_view to) {
    std::vector<kv::Row> rows;
    session_.begin({.claims_all = true, .read_only = true});
    const Failure failure = session_.scan(from, to, std::size_t{1} << 40, rows);
    LOCKSTEP_CHECK(!failure, "reading back failed: {}", session_.why());
    session_.abort();
    return rows;
  }

  Session& session_;
  std::string broken_;
};

}  // namespace lockstep::bench::tpcc

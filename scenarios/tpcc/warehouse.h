// warehouse.h: the rows of TPC-C's warehouse, and its consistency conditions (revision 5.11, clause 3.3.2).
//
//   w                       year to date          d/DD/ytd  d/DD/next    year to date, number of the next order
//   c/DD/CCCC               balance               n/DD/NAME/CCCC         customers by last name
//   i/IIIIIII               price                 s/IIIIIII              "quantity year-to-date"
//   o/DD/OOOOOOOO           "customer lines"      q/DD/OOOOOOOO          a new order, not delivered
//   l/DD/OOOOOOOO/LL        "item quantity cents" h/DD/SSSSS/NNNNNNNNNN  a payment
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "scenarios/catalogue.h"

namespace lockstep::scenarios::tpcc {

enum : std::size_t { kOrders, kPaid };

constexpr std::uint64_t kDistricts = 10;
constexpr std::uint64_t kCustomers = 100;      // of each district
constexpr std::uint64_t kNames = 25;           // of customers: four bear each
constexpr std::int64_t kFirstYtd = 30'000'00;  // of a district
constexpr std::int64_t kFirstBalance = -10'00;
constexpr std::int64_t kFirstStock = 50;

inline std::string district(std::uint64_t d, std::string_view what) { return fmt::format("d/{:02}/{}", d, what); }
inline std::string customer(std::uint64_t d, std::uint64_t c) { return fmt::format("c/{:02}/{:04}", d, c); }

/// Clause 4.3.2.3: last names of three syllables.
inline std::string last_name(std::uint64_t number) {
  static constexpr std::array kSyllables = {"BAR", "OUGHT", "ABLE",  "PRI",   "PRES",
                                            "ESE", "ANTI",  "CALLY", "ATION", "EING"};
  return fmt::format("{}{}{}", kSyllables[number / 100 % 10], kSyllables[number / 10 % 10], kSyllables[number % 10]);
}

/// The numbers in a row's value, separated by blanks.
inline std::array<std::int64_t, 3> numbers_in(std::string_view text) {
  std::array<std::int64_t, 3> numbers{};
  for (std::int64_t& number : numbers) {
    const auto end = std::from_chars(text.data(), text.data() + text.size(), number).ptr;
    text.remove_prefix(std::min(text.size(), static_cast<std::size_t>(end - text.data()) + 1));
  }
  return numbers;
}

inline std::uint64_t between(Context& c, std::uint64_t least, std::uint64_t most) {
  return least + c.random() % (most - least + 1);
}

struct Line {
  std::string item;
  std::int64_t quantity;
};

/// The lines of a new order.
inline std::vector<Line> draw_lines(Context& c) {
  std::vector<Line> lines(between(c, 5, 15));
  for (Line& line : lines) line = {key_of("", c.choose()), static_cast<std::int64_t>(between(c, 1, 10))};
  // Clause 2.4.1.4: one order in a hundred names an item that there is not, and is rolled back.
  if (between(c, 1, 100) == 1) lines.back().item = key_of("", c.shape().rows);
  return lines;
}

/// Clause 2.5.2.2: of those with the name, the one in the middle.
inline Task<std::string> find_by_name(Context& c, std::uint64_t d, std::string name) {
  const std::string from = fmt::format("n/{:02}/{}/", d, name), to = fmt::format("n/{:02}/{}0", d, name);
  const Table found = co_await c.db.scan(from, to);
  if (found.empty()) co_await fail(Fault::invalid, "no customer is called " + name);
  const std::string& key = *found[(found.size() - 1) / 2][0];
  co_return fmt::format("c/{:02}/{}", d, key.substr(key.size() - 4));
}

inline State warehouse(const Shape& shape) {
  State state;
  state.emplace_back("w", std::to_string(kFirstYtd * static_cast<std::int64_t>(kDistricts)));
  for (std::uint64_t d = 1; d <= kDistricts; ++d) {
    state.emplace_back(district(d, "ytd"), std::to_string(kFirstYtd));
    state.emplace_back(district(d, "next"), "1");
    for (std::uint64_t c = 1; c <= kCustomers; ++c) {
      state.emplace_back(customer(d, c), std::to_string(kFirstBalance));
      state.emplace_back(fmt::format("n/{:02}/{}/{:04}", d, last_name(c % kNames), c), "customer");
    }
  }
  for (std::uint64_t i = 0; i < shape.rows; ++i) {
    state.emplace_back(key_of("i/", i), std::to_string(1'00 + i * 7919 % 99'00));
    state.emplace_back(key_of("s/", i), fmt::format("{} 0", kFirstStock));
  }
  std::sort(state.begin(), state.end());
  return state;
}

/// What the rows of one district, or of all, add up to.
struct Books {
  std::int64_t ytd = 0, next = 0, paid = 0;
  std::int64_t orders = 0, waiting = 0, lines = 0, lines_announced = 0;
  std::int64_t last_order = 0, last_waiting = 0, first_waiting = 0;
};

inline std::array<Books, kDistricts + 1> books_of(const State& state) {
  std::array<Books, kDistricts + 1> all{};
  for (const auto& [key, value] : state) {
    if (key.size() < 5 || key[1] != '/' || std::string_view("dhoql").find(key[0]) == std::string_view::npos) continue;
    const auto [first, second, third] = numbers_in(value);
    const std::int64_t number = numbers_in(std::string_view(key).substr(5))[0];
    Books& books =
        all[std::min<std::uint64_t>(static_cast<std::uint64_t>(numbers_in(key.substr(2, 2))[0]), kDistricts)];
    switch (key[0]) {
      case 'd':
        (key.ends_with("ytd") ? books.ytd : books.next) = first;
        break;
      case 'h':
        books.paid += first;
        break;
      case 'o':
        ++books.orders;
        books.lines_announced += second;
        books.last_order = std::max(books.last_order, number);
        break;
      case 'q':
        if (books.waiting++ == 0) books.first_waiting = number;
        books.last_waiting = std::max(books.last_waiting, number);
        break;
      default:
        ++books.lines;
    }
  }
  return all;
}

inline std::string differ(std::string_view one, std::int64_t left, std::string_view other, std::int64_t right) {
  return left == right ? std::string() : fmt::format("{} {}, {} {}", one, left, other, right);
}

inline std::string check_money(const Final& end) {
  std::int64_t ytd = 0, paid = 0;
  for (const Books& books : books_of(end.state())) {
    if (books.next == 0) continue;
    const std::string wrong = differ("a district's ytd", books.ytd, "its payments", kFirstYtd + books.paid);
    if (!wrong.empty()) return wrong;
    ytd += books.ytd;
    paid += books.paid;
  }
  const std::int64_t first_balances = kFirstBalance * static_cast<std::int64_t>(kDistricts * kCustomers);
  for (std::string wrong : {differ("the warehouse's ytd", end.total("w"), "the districts'", ytd),
                            differ("customers paid", first_balances - end.total("c/"), "the payments", paid),
                            differ("acknowledged", end.count(kPaid), "paid", paid)}) {
    if (!wrong.empty()) return wrong;
  }
  return {};
}

inline std::string check_orders(const Final& end) {
  std::int64_t orders = 0;
  for (const Books& books : books_of(end.state())) {
    for (std::string wrong :
         {differ("the next order", std::max<std::int64_t>(books.next - 1, 0), "the last one", books.last_order),
          differ("the last order", books.last_order, "the last that waits", books.last_waiting),
          differ("orders that wait", books.waiting, "their numbers",
                 books.waiting == 0 ? 0 : books.last_waiting - books.first_waiting + 1),
          differ("lines", books.lines, "lines of the orders", books.lines_announced)}) {
      if (!wrong.empty()) return wrong;
    }
    orders += books.orders;
  }
  return differ("acknowledged", end.count(kOrders), "ordered", orders);
}

inline std::string check_goods(const Final& end) {
  std::int64_t taken = 0, ordered = 0;
  for (const auto& [key, value] : end.state()) {
    if (key.starts_with("s/")) taken += numbers_in(value)[1];
    if (key.starts_with("l/")) ordered += numbers_in(value)[1];
  }
  return differ("taken from the stock", taken, "ordered", ordered);
}

}  // namespace lockstep::scenarios::tpcc

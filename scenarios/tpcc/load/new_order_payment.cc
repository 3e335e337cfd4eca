// TPC-C's new-order and payment (revision 5.11, clauses 2.4 and 2.5) on one warehouse, in its mix of 45 to 43, with its
// consistency conditions (clause 3.3.2) as invariants.
//
// Not from the specification: --rows items (1,000) instead of 100,000 and 100 customers a district instead of 3,000.
// Items are chosen by --theta instead of NURand. A row is one number where the transactions need no more: for the
// warehouse its year-to-date, for a customer the balance. A district is two rows, its year-to-date and its next order.
// No orders are loaded and none are delivered; no terminals and no time to think. Money is in cents.
//
//   w                       year to date          d/DD/ytd  d/DD/next    year to date, number of the next order
//   c/DD/CCCC               balance               n/DD/NAME/CCCC         customers by last name
//   i/IIIIIII               price                 s/IIIIIII              "quantity year-to-date"
//   o/DD/OOOOOOOO           "customer lines"      q/DD/OOOOOOOO          a new order, not delivered
//   l/DD/OOOOOOOO/LL        "item quantity cents" h/DD/SSSSS/NNNNNNNNNN  a payment
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "scenarios/workloads.h"

namespace lockstep::scenarios::under_load {
namespace {

enum : std::size_t { kOrders, kPaid };

constexpr std::uint64_t kDistricts = 10;
constexpr std::uint64_t kCustomers = 100;      // of each district
constexpr std::uint64_t kNames = 25;           // of customers: four bear each
constexpr std::int64_t kFirstYtd = 30'000'00;  // of a district
constexpr std::int64_t kFirstBalance = -10'00;
constexpr std::int64_t kFirstStock = 50;

/// How a number is changed.
enum class How : std::uint8_t {
  in_place,  ///< update … set ytd = ytd + 5 returning ytd
  locked,    ///< select … for update, then update
  unlocked,  ///< select, then update
};

std::string district(std::uint64_t d, std::string_view what) { return fmt::format("d/{:02}/{}", d, what); }
std::string customer(std::uint64_t d, std::uint64_t c) { return fmt::format("c/{:02}/{:04}", d, c); }

/// Clause 4.3.2.3: last names of three syllables.
std::string last_name(std::uint64_t number) {
  static constexpr std::array kSyllables = {"BAR", "OUGHT", "ABLE",  "PRI",   "PRES",
                                            "ESE", "ANTI",  "CALLY", "ATION", "EING"};
  return fmt::format("{}{}{}", kSyllables[number / 100 % 10], kSyllables[number / 10 % 10], kSyllables[number % 10]);
}

/// The numbers in a row's value, separated by blanks.
std::array<std::int64_t, 3> numbers_in(std::string_view text) {
  std::array<std::int64_t, 3> numbers{};
  for (std::int64_t& number : numbers) {
    const auto end = std::from_chars(text.data(), text.data() + text.size(), number).ptr;
    text.remove_prefix(std::min(text.size(), static_cast<std::size_t>(end - text.data()) + 1));
  }
  return numbers;
}

std::uint64_t between(load::LoadContext& c, std::uint64_t least, std::uint64_t most) {
  return least + c.random() % (most - least + 1);
}

/// Adds to a number; gives the new one.
template <How how>
Task<std::int64_t> add(load::LoadContext& c, std::string key, std::int64_t delta) {
  if constexpr (how == How::in_place) {
    const std::int64_t now = co_await c.db.add(key, delta);
    co_return now;
  } else {
    std::int64_t now = delta;
    if constexpr (how == How::locked) {
      now += co_await c.db.read_for_update(key);
    } else {
      now += co_await c.db.read(key);
    }
    co_await c.db.write(key, now);
    co_return now;
  }
}

struct Line {
  std::string item;
  std::int64_t quantity;
};

std::vector<Line> draw_lines(load::LoadContext& c) {
  std::vector<Line> lines(between(c, 5, 15));
  for (Line& line : lines) line = {load::key_of("", c.choose()), static_cast<std::int64_t>(between(c, 1, 10))};
  // Clause 2.4.1.4: one order in a hundred names an item that there is not, and is rolled back.
  if (between(c, 1, 100) == 1) lines.back().item = load::key_of("", c.shape.rows);
  return lines;
}

/// One line of order `order` ("DD/OOOOOOOO"): takes the goods from the stock.
template <How how>
Task<> take_goods(load::LoadContext& c, std::string order, std::size_t number, Line line) {
  const std::string item = "i/" + line.item, stock = "s/" + line.item;
  const Value price = co_await c.db.read(item);
  if (!price.exists()) co_await fail(Fault::refused, "there is no such item");
  Value held;
  if constexpr (how == How::unlocked) {
    held = co_await c.db.read(stock);
  } else {
    held = co_await c.db.read_for_update(stock);
  }
  const auto [quantity, taken, unused] = numbers_in(held.text());
  const std::int64_t left = quantity - line.quantity + (quantity >= line.quantity + 10 ? 0 : 91);
  const std::string now = fmt::format("{} {}", left, taken + line.quantity);
  co_await c.db.write(stock, now);
  const std::string key = fmt::format("l/{}/{:02}", order, number);
  const std::string row = fmt::format("{} {} {}", line.item, line.quantity, price.number() * line.quantity);
  co_await c.db.insert(key, row);
}

template <How how, bool hot_last>
Task<> new_order(load::LoadContext& c) {
  const std::uint64_t d = between(c, 1, kDistricts), who = between(c, 1, kCustomers);
  const std::string buyer = customer(d, who);
  std::vector<Line> lines = draw_lines(c);
  if (hot_last) std::sort(lines.begin(), lines.end(), [](const Line& a, const Line& b) { return a.item < b.item; });
  co_await c.db.begin();
  if (!hot_last) (void)co_await c.db.read("w");
  const std::int64_t next = co_await add<how>(c, district(d, "next"), 1);
  (void)co_await c.db.read(buyer);
  const std::string order = fmt::format("{:02}/{:08}", d, next - 1);
  const std::string key = "o/" + order, waiting = "q/" + order;
  const std::string row = fmt::format("{} {}", who, lines.size());
  co_await c.db.insert(key, row);
  co_await c.db.insert(waiting, "new");
  for (std::size_t i = 0; i < lines.size(); ++i) co_await take_goods<how>(c, order, i + 1, lines[i]);
  if (hot_last) (void)co_await c.db.read("w");
  co_await c.db.commit();
  ++c.acknowledged[kOrders];
}

/// Clause 2.5.2.2: of those with the name, the one in the middle.
Task<std::string> find_by_name(load::LoadContext& c, std::uint64_t d, std::string name) {
  const std::string from = fmt::format("n/{:02}/{}/", d, name), to = fmt::format("n/{:02}/{}0", d, name);
  const Table found = co_await c.db.scan(from, to);
  if (found.empty()) co_await fail(Fault::invalid, "no customer is called " + name);
  const std::string& key = *found[(found.size() - 1) / 2][0];
  co_return fmt::format("c/{:02}/{}", d, key.substr(key.size() - 4));
}

template <How how, bool hot_last>
Task<> payment(load::LoadContext& c) {
  const std::uint64_t d = between(c, 1, kDistricts);
  const auto amount = static_cast<std::int64_t>(between(c, 1'00, 5000'00));
  const bool by_name = between(c, 1, 100) <= 60;
  const std::string name = last_name(between(c, 0, kNames - 1));
  std::string payer = customer(d, between(c, 1, kCustomers));
  const std::string receipt = fmt::format("h/{:02}/{:05}/{:010}", d, c.session, ++c.serial);
  co_await c.db.begin();
  if (!hot_last) {
    (void)co_await add<how>(c, "w", amount);
    (void)co_await add<how>(c, district(d, "ytd"), amount);
  }
  if (by_name) payer = co_await find_by_name(c, d, name);
  (void)co_await add<how>(c, payer, -amount);
  co_await c.db.insert(receipt, amount);
  if (hot_last) {
    (void)co_await add<how>(c, district(d, "ytd"), amount);
    (void)co_await add<how>(c, "w", amount);
  }
  co_await c.db.commit();
  c.acknowledged[kPaid] += amount;
}

template <How how, bool hot_last>
Task<> order_or_pay(load::LoadContext& c) {
  if (between(c, 1, 88) <= 45) {
    co_await new_order<how, hot_last>(c);
  } else {
    co_await payment<how, hot_last>(c);
  }
}

State warehouse(const load::Shape& shape) {
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
    state.emplace_back(load::key_of("i/", i), std::to_string(1'00 + i * 7919 % 99'00));
    state.emplace_back(load::key_of("s/", i), fmt::format("{} 0", kFirstStock));
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

std::array<Books, kDistricts + 1> books_of(const State& state) {
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

std::string differ(std::string_view one, std::int64_t left, std::string_view other, std::int64_t right) {
  return left == right ? std::string() : fmt::format("{} {}, {} {}", one, left, other, right);
}

std::string check_money(const load::Settled& end) {
  std::int64_t ytd = 0, paid = 0;
  for (const Books& books : books_of(end.state)) {
    if (books.next == 0) continue;
    const std::string wrong = differ("a district's ytd", books.ytd, "its payments", kFirstYtd + books.paid);
    if (!wrong.empty()) return wrong;
    ytd += books.ytd;
    paid += books.paid;
  }
  const std::int64_t first_balances = kFirstBalance * static_cast<std::int64_t>(kDistricts * kCustomers);
  for (std::string wrong : {differ("the warehouse's ytd", end.total("w"), "the districts'", ytd),
                            differ("customers paid", first_balances - end.total("c/"), "the payments", paid),
                            differ("acknowledged", end.counts[kPaid], "paid", paid)}) {
    if (!wrong.empty()) return wrong;
  }
  return {};
}

std::string check_orders(const load::Settled& end) {
  std::int64_t orders = 0;
  for (const Books& books : books_of(end.state)) {
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
  return differ("acknowledged", end.counts[kOrders], "ordered", orders);
}

std::string check_goods(const load::Settled& end) {
  std::int64_t taken = 0, ordered = 0;
  for (const auto& [key, value] : end.state) {
    if (key.starts_with("s/")) taken += numbers_in(value)[1];
    if (key.starts_with("l/")) ordered += numbers_in(value)[1];
  }
  return differ("taken from the stock", taken, "ordered", ordered);
}

}  // namespace

load::Workload tpcc_new_order_payment() {
  return load::workload("New-order and payment of TPC-C on one warehouse")
      .rows(1000, warehouse)
      .pattern("in-place", "sums are changed in one statement", order_or_pay<How::in_place, false>)
      .pattern("hot-last", "the same, items in order, the warehouse's row last", order_or_pay<How::in_place, true>)
      .pattern("for-update", "select for update, then update", order_or_pay<How::locked, false>)
      .pattern("read-then-write", "select, then update", order_or_pay<How::unlocked, false>)
      .unsafe_at({"postgres/read-committed"})
      .holds("the money of the warehouse, its districts, its customers and the payments agree", check_money)
      .holds("orders, new orders and order lines agree", check_orders)
      .holds("goods taken are goods ordered", check_goods);
}

}  // namespace lockstep::scenarios::under_load

// TPC-C's new-order and payment (revision 5.11, clauses 2.4 and 2.5) on one warehouse, in its mix of 45 to 43, with its
// consistency conditions (clause 3.3.2) as invariants.
//
// Not from the specification: --rows items (1,000) instead of 100,000 and 100 customers a district instead of 3,000.
// Items are chosen by --theta instead of NURand. A row is one number where the transactions need no more: for the
// warehouse its year-to-date, for a customer the balance. A district is two rows, its year-to-date and its next order.
// No orders are loaded and none are delivered; no terminals and no time to think. Money is in cents.
#include <fmt/format.h>

#include <algorithm>

#include "scenarios/tpcc/warehouse.h"

namespace lockstep::scenarios {
namespace {

using namespace tpcc;

/// How a number is changed.
enum class How : std::uint8_t {
  in_place,  ///< update … set ytd = ytd + 5 returning ytd
  locked,    ///< select … for update, then update
  unlocked,  ///< select, then update
};

/// Adds to a number; gives the new one.
template <How how>
Task<std::int64_t> add(Context& c, std::string key, std::int64_t delta) {
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

/// One line of order `order` ("DD/OOOOOOOO"): takes the goods from the stock.
template <How how>
Task<> take_goods(Context& c, std::string order, std::size_t number, Line line) {
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
Task<> new_order(Context& c) {
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

template <How how, bool hot_last>
Task<> payment(Context& c) {
  const std::uint64_t d = between(c, 1, kDistricts);
  const auto amount = static_cast<std::int64_t>(between(c, 1'00, 5000'00));
  const bool by_name = between(c, 1, 100) <= 60;
  const std::string name = last_name(between(c, 0, kNames - 1));
  std::string payer = customer(d, between(c, 1, kCustomers));
  const std::string receipt = fmt::format("h/{:02}/{:05}/{:010}", d, c.index, ++c.serial);
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
Task<> order_or_pay(Context& c) {
  if (between(c, 1, 88) <= 45) {
    co_await new_order<how, hot_last>(c);
  } else {
    co_await payment<how, hot_last>(c);
  }
}

}  // namespace

Scenario tpcc_new_order_payment() {
  return scenario("New-order and payment of TPC-C on one warehouse")
      .story(
          "Terminals of one warehouse enter orders and payments. Every payment changes the warehouse's year-to-date.")
      .rows(1000, warehouse, 10)
      .pattern("in-place", "sums are changed in one statement")
      .session(order_or_pay<How::in_place, false>)
      .why("A sum that is changed in one statement cannot be lost; the warehouse's row is where all payments meet.")
      .pattern("hot-last", "the same, items in order, the warehouse's row last")
      .session(order_or_pay<How::in_place, true>)
      .why("The row where all meet is locked last, so it is held for the shortest time.")
      .pattern("for-update", "select for update, then update")
      .session(order_or_pay<How::locked, false>)
      .why("The read says that a write will follow: right, and one statement more for each sum.")
      .pattern("read-then-write", "select, then update")
      .session(order_or_pay<How::unlocked, false>)
      .why("What was read may have changed by the time it is written: a payment is lost where no level forbids it.")
      .unsafe_at({"postgres/read-committed"})
      .holds("the money of the warehouse, its districts, its customers and the payments agree", check_money)
      .holds("orders, new orders and order lines agree", check_orders)
      .holds("goods taken are goods ordered", check_goods);
}

}  // namespace lockstep::scenarios

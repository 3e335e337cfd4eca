// Orders from a stock that is nearly empty. Half of the transactions order one piece of an item, the other half send
// one back. So every item stays around zero, where a check that is not protected sells what is not there.
#include <fmt/format.h>

#include "scenarios/workloads.h"

namespace lockstep::scenarios::under_load {
namespace {

enum : std::size_t { kSold, kReturned, kOversold };

constexpr std::int64_t kEach = 5;

using Take = Task<> (*)(load::LoadContext&, std::string item);

Task<> send_back(load::LoadContext& c, std::string item) {
  co_await c.db.add(item, 1);
  co_await c.db.commit();
  ++c.acknowledged[kReturned];
}

/// One transaction: orders a piece in the manner of `take`, or sends one back.
template <Take take>
Task<> order(load::LoadContext& c) {
  const std::string item = load::key_of("stock/", c.choose());
  const std::vector<std::string> claims{item};
  const bool returns = c.random() % 2 == 0;
  co_await c.db.begin(claims);
  if (returns) {
    co_await send_back(c, item);
  } else {
    co_await take(c, item);
    ++c.acknowledged[kSold];
  }
}

Task<> take_after_check(load::LoadContext& c, std::string item, std::int64_t left) {
  if (left < 1) co_await fail(Fault::refused);
  const std::int64_t now = co_await c.db.add(item, -1);
  co_await c.db.commit();
  c.acknowledged[kOversold] += now < 0 ? 1 : 0;
}

Task<> check_then_act(load::LoadContext& c, std::string item) {
  const std::int64_t left = co_await c.db.read(item);
  co_await take_after_check(c, item, left);
}

Task<> lock_then_check(load::LoadContext& c, std::string item) {
  const std::int64_t left = co_await c.db.read_for_update(item);
  co_await take_after_check(c, item, left);
}

Task<> act_if_unchanged(load::LoadContext& c, std::string item) {
  const std::int64_t left = co_await c.db.read(item);
  if (left < 1) co_await fail(Fault::refused);
  const std::int64_t touched = co_await c.db.write_if(item, left, left - 1);
  if (touched == 0) co_await fail(Fault::version_changed);
  co_await c.db.commit();
}

/// update … set left = left - 1 where left >= 1
Task<> check_in_the_statement(load::LoadContext& c, std::string item) {
  const std::int64_t touched = co_await c.db.add_if(item, -1, 0);
  if (touched == 0) co_await fail(Fault::refused);
  co_await c.db.commit();
}

}  // namespace

load::Workload stock_oversell() {
  return load::workload("Orders from a stock that is nearly empty")
      .rows(100, [](const load::Shape& shape) { return load::numbered("stock/", shape.rows, std::to_string(kEach)); })
      .pattern("plain", "check that there is one, then take it", order<check_then_act>)
      .unsafe_at({"postgres/read-committed"})
      .pattern("for-update", "the check locks the row", order<lock_then_check>)
      .pattern("version-check", "take it only if the number is still the one that was read", order<act_if_unchanged>)
      .pattern("conditional-update", "one statement checks and takes", order<check_in_the_statement>)
      .holds("stock never below zero",
             [](const load::Settled& end) {
               const std::int64_t oversold = end.counts[kOversold];
               const std::int64_t below = end.below_zero("stock/");
               if (oversold == 0 && below == 0) return std::string();
               return fmt::format("oversold {} of {}, {} items below zero at the end", oversold, end.counts[kSold],
                                  below);
             })
      .holds("no piece appears or vanishes", [](const load::Settled& end) {
        const std::int64_t wanted =
            kEach * static_cast<std::int64_t>(end.shape.rows) + end.counts[kReturned] - end.counts[kSold];
        const std::int64_t total = end.total("stock/");
        return total == wanted ? std::string() : fmt::format("{} in stock instead of {}", total, wanted);
      });
}

}  // namespace lockstep::scenarios::under_load

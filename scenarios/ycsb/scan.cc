// YCSB's workload E (Cooper et al., "Benchmarking cloud serving systems with YCSB", SoCC 2010): 95 % of the
// transactions scan 1 to 100 records from a chosen one on, the others insert.
//
// Unlike YCSB's, an insert is of two neighbours in one transaction. So a scan that sees one without the other is
// caught. They come anywhere between the loaded records, which are never deleted: a scan must meet all of those.
#include <fmt/format.h>

#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

enum : std::size_t { kInserted, kHalves, kGaps };

constexpr std::size_t kLongest = 100;

Task<> insert_two(Context& c) {
  // Behind a loaded record, and nobody else's.
  const std::string first = fmt::format("{}/{:05}-{:010}a", key_of("user", c.choose()), c.index, ++c.serial);
  const std::string second = first.substr(0, first.size() - 1) + "b";
  const std::vector<std::string> claims{first, second};
  co_await c.db.begin(claims);
  co_await c.db.insert(first, 1);
  co_await c.db.insert(second, 1);
  co_await c.db.commit();
  ++c.acknowledged[kInserted];
}

/// Inserted records of which the scan saw one and not the other, though it saw what lies around them.
std::int64_t halves(const Table& rows, bool reached_its_limit) {
  std::int64_t found = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::string& key = *rows[i][0];
    const std::string_view name = std::string_view(key).substr(0, key.size() - 1);
    if (key.back() == 'a') {
      if (i + 1 == rows.size()) {
        found += reached_its_limit ? 0 : 1;
      } else {
        found += *rows[i + 1][0] == fmt::format("{}b", name) ? 0 : 1;
      }
    } else if (key.back() == 'b') {
      found += i > 0 && *rows[i - 1][0] == fmt::format("{}a", name) ? 0 : 1;
    }
  }
  return found;
}

/// Whether the loaded records from number `first` on are there without a gap; up to number `end` when it is not 0.
bool is_dense(const Table& rows, std::uint64_t first, std::uint64_t end) {
  for (const auto& row : rows) {
    const std::string& key = *row[0];
    if (key.back() == 'a' || key.back() == 'b') continue;
    if (key != key_of("user", first)) return false;
    ++first;
  }
  return end == 0 || first == end;
}

Task<> scan_some(Context& c) {
  const std::uint64_t first = c.choose();
  const std::size_t most = 1 + c.random() % kLongest;
  const std::string from = key_of("user", first);
  co_await c.db.begin();
  const Table rows = co_await c.db.scan(from, "uses", most);
  co_await c.db.commit();  // what an optimistic store has shown counts only now
  c.acknowledged[kHalves] += halves(rows, rows.size() == most);
  c.acknowledged[kGaps] += is_dense(rows, first, rows.size() < most ? c.shape().rows : 0) ? 0 : 1;
}

Task<> scan_or_insert(Context& c) {
  if (c.reads()) {
    co_await scan_some(c);
  } else {
    co_await insert_two(c);
  }
}

}  // namespace

Scenario ycsb_scan() {
  return scenario("Short scans, and inserts between what they read, as in YCSB E")
      .story("Clients scan a stretch of records while others insert two neighbours at a time between them.")
      .rows(10000, [](const Shape& shape) { return numbered("user", shape.rows, "0"); })
      .reads(95)
      .pattern("scan", "scan up to 100 records, or insert two")
      .session(scan_or_insert)
      .why("A scan that sees one of the two neighbours without the other has seen half of a transaction.")
      .holds("no scan sees half of an insert",
             [](const Final& end) {
               const std::int64_t half = end.count(kHalves);
               return half == 0 ? std::string() : fmt::format("{} inserts were seen by half", half);
             })
      .holds("no scan misses a record",
             [](const Final& end) {
               const std::int64_t gaps = end.count(kGaps);
               return gaps == 0 ? std::string() : fmt::format("{} scans had a gap", gaps);
             })
      .holds("every acknowledged record is there", [](const Final& end) {
        const std::int64_t wanted = static_cast<std::int64_t>(end.shape().rows) + 2 * end.count(kInserted);
        const std::int64_t rows = end.rows("user");
        return rows == wanted ? std::string() : fmt::format("{} records instead of {}", rows, wanted);
      });
}

}  // namespace lockstep::scenarios

// history_bench.cc: what it takes to judge a history of list-append: valid ones and ones full of cycles, as numbers in
// memory and as a file, by their length. Seconds are those of one processor.
//
//   history_bench [--transactions N,…] [--edn]
//
// A transaction has one to four operations, 2.5 on average, on keys of 32 appends each, as Elle's generator makes them.
// With cycles: of twenty transactions two are a write skew. In one knot: every transaction reads a key as it was before
// all others, so that all of them lie on one cycle.
#include <fmt/format.h>
#include <sys/resource.h>

#include <cstdlib>
#include <cstring>
#include <ctime>
#include <random>
#include <string>
#include <vector>

#include "engine/check/isolation.h"
#include "engine/histories/judge.h"

namespace lockstep {
namespace {

using check::Transactions;

constexpr std::size_t kAppendsOfKey = 32;
constexpr std::size_t kKeysAtOnce = 64;

enum class Kind : std::uint8_t { valid, cycles, knot };

struct Writing {
  std::uint64_t number = 0;
  check::List list;
};

/// Processor time of this thread, so that others on the machine do not count.
double cpu_s() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

std::uint64_t peak_kb() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::uint64_t>(usage.ru_maxrss);
}

/// The transactions one after another in commit order, which overlap in time by a few.
Transactions make(std::size_t count, Kind kind) {
  Transactions history;
  std::mt19937_64 random(7);
  std::vector<Writing> keys(kKeysAtOnce);
  std::uint64_t next_key = 0;
  for (Writing& key : keys) key.number = next_key++;
  for (std::size_t i = 0; i < count; ++i) {
    const auto at = static_cast<std::int64_t>(i) * 10;
    history.begin({.began = at,
                   .ended = at + 25,
                   .process = static_cast<std::uint32_t>(i % 8),
                   .line = static_cast<std::uint32_t>(i),
                   .end = Transactions::End::committed});
    if (kind == Kind::cycles && i % 20 < 2) {  // two that each read the state without the other: a write skew
      const std::uint32_t x =
          history.key_numbered(static_cast<std::int64_t>(1 << 24) + static_cast<std::int64_t>(i / 20) * 2);
      const std::uint32_t y =
          history.key_numbered(static_cast<std::int64_t>(1 << 24) + static_cast<std::int64_t>(i / 20) * 2 + 1);
      history.read(x, {});
      history.read(y, {});
      history.append(i % 20 == 0 ? x : y, 1);
      continue;
    }
    if (kind == Kind::knot && i == 0) history.append(history.key_numbered(1 << 24), 1);
    if (kind == Kind::knot && i == 1) history.read(history.key_numbered(1 << 24), check::List{1});
    if (kind == Kind::knot && i > 1) history.read(history.key_numbered(1 << 24), {});
    for (std::size_t ops = 1 + random() % 4; ops > 0; --ops) {
      Writing& key = keys[random() % kKeysAtOnce];
      if (random() % 2 == 0) {
        history.read(history.key_numbered(static_cast<std::int64_t>(key.number)), key.list);
        continue;
      }
      if (key.list.size() == kAppendsOfKey) key = {next_key++, {}};
      key.list.push_back(key.list.size() + 1);
      history.append(history.key_numbered(static_cast<std::int64_t>(key.number)), key.list.size());
    }
  }
  return history;
}

std::string edn_of(const Transactions& history) {
  std::string text;
  for (std::size_t i = 0; i < history.size(); ++i) {
    std::string invoked, done;
    for (const Transactions::Step& step : history.steps_of(i)) {
      const std::string key = history.text_of_key(step.key);
      if (step.kind() == Transactions::Deed::append) {
        invoked += fmt::format("[:append {} {}] ", key, step.what);
        done += fmt::format("[:append {} {}] ", key, step.what);
        continue;
      }
      invoked += fmt::format("[:r {} nil] ", key);
      done += fmt::format("[:r {} [{}]] ", key, fmt::join(history.list_of(step), " "));
    }
    text += fmt::format("{{:index {} :type :invoke :process {} :f :txn :value [{}]}}\n", 2 * i, i % 8, invoked);
    text += fmt::format("{{:index {} :type :ok :process {} :f :txn :value [{}]}}\n", 2 * i + 1, i % 8, done);
  }
  return text;
}

void measure(std::size_t count, Kind kind, bool edn) {
  const Transactions history = make(count, kind);
  const std::uint64_t before = peak_kb();
  const double begin = cpu_s();
  const check::Findings findings = check::judge_lists(history);
  std::size_t held = 0;
  for (const check::Claim claim : check::all_claims())
    held += findings.answer(claim) == check::Judgement::holds ? 1 : 0;
  const double seconds = cpu_s() - begin;
  fmt::print("{:>10} {:<8} {:>8.3f} s {:>10.0f} txn/s  {:>2} of 18 levels hold  {:>6} MB, {} of them the history\n",
             count,
             kind == Kind::valid    ? "valid"
             : kind == Kind::cycles ? "cycles"
                                    : "knot",
             seconds, static_cast<double>(count) / seconds, held, peak_kb() / 1024, before / 1024);
  std::fflush(stdout);
  if (!edn) return;
  const std::string text = edn_of(history);
  const double file = cpu_s();
  const auto judged = histories::judge_text(text, {});
  const double whole = cpu_s() - file;
  fmt::print("{:>10} {:<8} {:>8.3f} s {:>10.0f} txn/s  from {} MB of EDN: {}\n", "", "", whole,
             static_cast<double>(count) / whole, text.size() >> 20U, judged.ok() ? "judged" : judged.error().message);
}

}  // namespace
}  // namespace lockstep

int main(int argc, char** argv) {
  std::vector<std::size_t> counts = {5'000, 20'000, 100'000, 1'000'000};
  bool edn = false;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--edn") == 0) edn = true;
    if (std::strcmp(argv[i], "--transactions") != 0 || i + 1 == argc) continue;
    counts.clear();
    for (char* at = argv[++i]; *at != '\0'; at += *at == ',' ? 1 : 0) counts.push_back(std::strtoull(at, &at, 10));
  }
  for (const auto kind : {lockstep::Kind::valid, lockstep::Kind::cycles, lockstep::Kind::knot})
    for (const std::size_t count : counts) lockstep::measure(count, kind, edn);
}

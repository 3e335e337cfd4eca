// Threads against coroutines: the same transfers on kv by 1 to 100,000 sessions, each of which waits for its commit to
// be on disk. A thread that waits is two trips into the kernel and a stack; a coroutine that waits is an entry of a
// queue. Where nothing is waited for there is nothing to win, and the last row says so.
#include <fmt/format.h>
#include <stdlib.h>

#include <filesystem>

#include "scenarios/catalogue.h"
#include "scenarios/runtime/transfers.h"

namespace lockstep::scenarios {
namespace {

using namespace std::chrono_literals;

struct Ledger {
  std::int64_t expected = 0;
  std::int64_t total = 0;
  bool failed = false;
};

/// A folder that is gone at the end.
class Folder {
 public:
  Folder() {
    std::string path = (std::filesystem::temp_directory_path() / "lockstep-transfers-XXXXXX").string();
    if (::mkdtemp(path.data()) != nullptr) path_ = path;
  }
  ~Folder() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  const std::string& path() const noexcept { return path_; }

 private:
  std::string path_;
};

struct Case {
  std::string row;
  TransferLoad load;
  bool durable = false;
};

/// Sessions of one kind on a store of their own.
Result<Loaded> run_on(Loaded (*kind)(kv::Store&, const TransferLoad&), const Case& one, Ledger& ledger) {
  const Folder folder;
  const auto store = kv::Store::open({.protocol = "2pl-detect", .path = one.durable ? folder.path() : std::string()});
  if (!store.ok()) return store.error();
  if (!fill(**store, one.load.sessions)) return Error{Fault::internal, {}, "the accounts cannot be filled"};
  const Loaded loaded = kind(**store, one.load);
  ledger.expected += std::int64_t{2'000} * one.load.sessions;
  ledger.total += total(**store);
  ledger.failed = ledger.failed || loaded.failed;
  return loaded;
}

/// Gives the coroutines' transfers a second.
Result<double> compare(const Context& c, const Case& one, Ledger& ledger) {
  const Result<Loaded> threads = run_on(&transfers_on_threads, one, ledger);
  if (!threads.ok()) return threads.error();
  const Result<Loaded> coroutines = run_on(&transfers_on_coroutines, one, ledger);
  if (!coroutines.ok()) return coroutines.error();
  if (threads->sessions < one.load.sessions) {
    c.note(fmt::format("{}: {} threads ran: {}", one.row, threads->sessions, threads->why_fewer));
  }
  if (threads->sessions > 0) {
    c.figure(one.row, "threads", threads->per_second(), "/s");
    c.figure(one.row, "coroutines", coroutines->per_second(), "/s");
    c.figure(one.row, "ratio", coroutines->per_second() / std::max(threads->per_second(), 1.0), "x");
  }
  c.figure(one.row, "threads CPU", threads->cpu_us_each(), "us");
  c.figure(one.row, "coroutines CPU", coroutines->cpu_us_each(), "us");
  return coroutines->per_second();
}

/// Runs the sessions with pauses between their transfers, so that they offer half of what they could do.
Result<void> half_load(const Context& c, Case one, double per_second, Ledger& ledger) {
  one.load.span = std::max<Nanos>(1s, one.load.span);
  one.load.think = Nanos(static_cast<std::int64_t>(2e9 * one.load.sessions / std::max(per_second, 1.0)));
  const Result<Loaded> half = run_on(&transfers_on_coroutines, one, ledger);
  if (!half.ok()) return half.error();
  c.figure(one.row, "half load p50", half->p50_us, "us");
  c.figure(one.row, "half load p99", half->p99_us, "us");
  c.figure(one.row, "half load max", half->max_us, "us");
  return {};
}

Task<> transfer_all(Context& c) {
  auto& ledger = c.world<Ledger>();
  std::vector<Case> cases;
  if (c.measures) {
    for (const int sessions : {1, 10, 100, 1'000, 10'000, 100'000}) {
      // A hundred thousand need a while until each of them has had a turn.
      const TransferLoad load{.sessions = sessions, .workers = 2, .span = sessions < 100'000 ? 400ms : 1'500ms};
      cases.push_back({fmt::format("{} session{}, commits on disk", sessions, sessions == 1 ? "" : "s"), load, true});
    }
    cases.push_back({"2 sessions, no wait", {.sessions = 2, .workers = 2, .span = 400ms}, false});
  } else {
    cases.push_back({"8 sessions", {.sessions = 8, .workers = 2, .transfers_each = 3}, false});
  }
  for (const Case& one : cases) {
    const Result<double> per_second = compare(c, one, ledger);
    if (!per_second.ok()) co_await fail(per_second.error());
    if (!one.durable || one.load.sessions < 10'000) continue;
    const Result<void> halved = half_load(c, one, *per_second, ledger);
    if (!halved.ok()) co_await fail(halved.error());
  }
  c.note("every session of both kinds has moved its money");
}

}  // namespace

Scenario runtime_threads_vs_coroutines() {
  return scenario("The same transfers by threads and by coroutines")
      .story(
          "Sessions move money between two accounts of their own on the in-house store. Every commit waits for its "
          "group "
          "to be on disk. First every session is a thread, then every session is a coroutine on two workers. Run it to "
          "see the figures.")
      .with<Ledger>()

      .own_code_at_most(std::chrono::minutes(1))
      .pattern("both", "threads, then coroutines")
      .actor("bank", transfer_all)
      .expect("none", "*: clean")
      .why(
          "Waiting is what coroutines make cheap. Where commits wait for nothing, both compute, and the coroutines pay "
          "for "
          "being able to wait.")

      .holds("money is conserved",
             [](const Final& end) { return end.world<Ledger>().total == end.world<Ledger>().expected; })
      .holds("no transfer fails", [](const Final& end) { return !end.world<Ledger>().failed; });
}

}  // namespace lockstep::scenarios

// kv_bench.cc: transactional throughput of kv and of its peers, under the same load, in the same run.
//
//   build/release/tests/kv_bench --engine kv --protocol occ --threads 2 --theta 0.9
//   build/release/tests/kv_bench --compare yardstick,kv:occ,kv:snapshot,rocksdb-pessimistic --threads 2 --rounds 5
//
// Absolute figures say little on a machine that others use: compare engines within one run (--compare), where each
// round runs them in turn, and read the median share. tests/bench/README.md has the commands and the figures.
#include <CLI/CLI.hpp>

#include <filesystem>
#include <iostream>
#include <utility>

#include "kv/store.h"
#include "tests/bench/kv_bench/report.h"

namespace {

using namespace lockstep::bench;

constexpr int kFailed = 1;  // a contestant did not take part, stopped, or broke an invariant

/// "lmdb", or "kv:occ" with a hint: "kv:occ+claims". kv without a protocol has `protocol`; without a hint it takes part
/// twice where there are keys to name, once with none and once with claims.
std::vector<Contestant> contestants_of(const std::string& text, const std::string& protocol, const Settings& settings) {
  const auto colon = text.find(':');
  Contestant contestant{text.substr(0, colon), colon == std::string::npos ? "" : text.substr(colon + 1)};
  if (contestant.engine != "kv") return {contestant};
  if (contestant.protocol.empty()) contestant.protocol = protocol;
  const auto plus = contestant.protocol.find('+');
  const std::string hint = plus == std::string::npos ? "" : contestant.protocol.substr(plus);
  for (const auto& [name, told] : {std::pair("+nothing", Hint::nothing), std::pair("+claims", Hint::claims),
                                   std::pair("+prefetch", Hint::prefetch)}) {
    if (hint != name) continue;
    contestant.protocol.resize(plus);
    contestant.hint = told;
    return {contestant};
  }
  if (!hint.empty() || settings.workload != Workload::ycsb || settings.scan > 0) return {contestant};
  Contestant claiming = contestant;
  claiming.hint = Hint::claims;
  return {contestant, claiming};
}

std::string list_of_engines() {
  std::string text = "Engines:\n";
  for (const EngineEntry& engine : engines())
    text += fmt::format("  {:<22}{}{}\n", engine.name, engine.what,
                        engine.open ? "" : fmt::format(" (not compiled in: install {})", engine.package));
  text += "Hints for kv, as in kv:occ+claims; without one it is measured with nothing and with claims:\n";
  text += "  +nothing              it is told no key\n";
  text += "  +claims               the keys of a transaction are its claims\n";
  text += "  +prefetch             they are prefetched after its begin\n";
  text += "Protocols of kv:\n";
  for (const lockstep::kv::ProtocolInfo& protocol : lockstep::kv::protocols())
    text += fmt::format("  {:<22}{}\n", protocol.name, protocol.summary);
  return text;
}

/// Removed with all that is in it.
class TemporaryFolder {
 public:
  explicit TemporaryFolder(const std::string& parent) {
    path_ = (parent.empty() ? std::filesystem::temp_directory_path() : std::filesystem::path(parent)) /
            "lockstep-kv-bench-XXXXXX";
    std::string name = path_.string();
    LOCKSTEP_CHECK(mkdtemp(name.data()) != nullptr, "no folder {}", name);
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  std::string engine = "kv";
  std::string protocol = "2pl-detect";
  std::vector<std::string> compare;
  std::string workload = "ycsb";
  std::string durability = "none";
  bool json = false;

  CLI::App app("Transactional throughput of kv and of its peers.");
  app.footer(list_of_engines());
  app.add_option("--engine", engine, "who is measured")->capture_default_str();
  app.add_option("--protocol", protocol, "how kv locks")->capture_default_str();
  app.add_option(
         "--compare", compare,
         "several, as ENGINE or kv:PROTOCOL or kv:PROTOCOL+HINT, in turn within each round; shares are of the first")
      ->delimiter(',');
  app.add_option("--workload", workload, "ycsb, or tpcc: new-order and payment on one warehouse")
      ->capture_default_str()
      ->check(CLI::IsMember({"ycsb", "tpcc"}));
  app.add_option("--threads", settings.threads)->capture_default_str()->check(CLI::Range(1, 10'000));
  app.add_option("--records", settings.records)->capture_default_str()->check(CLI::Range(1, 1 << 30));
  app.add_option("--ops", settings.ops, "operations of a transaction")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  app.add_option("--read", settings.read_percent, "per cent of the operations that read; the others overwrite")
      ->capture_default_str()
      ->check(CLI::Range(0, 100));
  app.add_option("--theta", settings.theta, "Zipf's exponent; 0 = uniform")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 0.9999));
  app.add_option("--value", settings.value_bytes, "bytes of a value")
      ->capture_default_str()
      ->check(CLI::Range(1, 1 << 20));
  app.add_option("--scan", settings.scan, "each transaction is one scan of so many keys")
      ->check(CLI::Range(1, 1'000'000));
  app.add_option("--durability", durability, "what a commit waits for: its log on disk, written, or none")
      ->capture_default_str()
      ->check(CLI::IsMember({"sync", "async", "none"}));
  app.add_option("--lock-timeout", settings.lock_timeout_ms,
                 "longest wait for a lock of kv, in ms; default: the protocol's, 50 for 2pl-timeout")
      ->check(CLI::Range(0.001, 3'600'000.0));
  app.add_option("--seconds", settings.seconds, "measured, a round")
      ->capture_default_str()
      ->check(CLI::Range(0.01, 86400.0));
  app.add_option("--warmup", settings.warmup, "seconds before each round")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 3600.0));
  app.add_option("--rounds", settings.rounds)->capture_default_str()->check(CLI::Range(1, 10'000));
  app.add_option("--seed", settings.seed)->capture_default_str();
  app.add_option(
      "--dir", settings.dir,
      "where engines with files keep them, in a folder of their own; default: the system's temporary folder");
  app.add_flag("--json", json, "everything that was measured, as JSON");
  CLI11_PARSE(app, argc, argv);
  settings.workload = workload == "tpcc" ? Workload::tpcc : Workload::ycsb;
  settings.durability = durability == "sync"    ? Durability::sync
                        : durability == "async" ? Durability::async
                                                : Durability::none;

  std::vector<Contestant> contestants;
  if (compare.empty()) compare.push_back(engine);
  for (const std::string& name : compare)
    for (const Contestant& contestant : contestants_of(name, protocol, settings)) contestants.push_back(contestant);
  const TemporaryFolder folder(settings.dir);
  settings.dir = folder.path();
  const auto records =
      run_contest(contestants, settings, [](const std::string& line) { std::cerr << line << std::endl; });
  std::cout << (json ? json_of(settings, records) : text_of(settings, records));
  for (const Record& record : records)
    if (record.failed()) return kFailed;
  return 0;
}

// report_bench.cc: how long a report of a long recording takes, and how much memory.
//
//   report_bench [--events N] [--actors N] [--keep DIR]
//
// Writes a recording of N events (default ten million) in a process of its own, then opens and renders it in this one.
// --keep leaves recording and page in DIR.
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include "engine/record/reader.h"
#include "engine/record/schema.h"
#include "reports/report.h"

namespace {

using namespace lockstep;

struct Settings {
  std::uint64_t events = 10'000'000;
  int actors = 32;
  std::string folder;
};

constexpr const char* kId = "0123456789ab";

/// Transactions of actors in turn: begin, lock a row, commit; every third lock waits for the actor before.
class Writer {
 public:
  Writer(const std::string& path, const Settings& settings)
      : settings_(settings),
        database_(path, sqlite::Database::Mode::create),
        event_(prepared(), "INSERT INTO event VALUES (?,?,?,?,?,?,?,?,?,?)"),
        other_(database_, "INSERT INTO event_other VALUES (?,?,?)") {}

  bool write() {
    for (std::uint64_t turn = 0; seq_ < settings_.events; ++turn) transaction(turn);
    finish();
    return !database_.failed();
  }

 private:
  sqlite::Database& prepared() {
    database_.run("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; BEGIN;");
    database_.run(
        fmt::format("PRAGMA application_id={}; PRAGMA user_version={};", record::kApplicationId, record::kSchemaVersion)
            .c_str());
    database_.run(record::kSchema);
    return database_;
  }

  void add(int actor, const char* kind, const char* verb, const std::string& object, const std::string& detail) {
    if (seq_ >= settings_.events) return;
    const auto step = static_cast<std::int64_t>(step_);
    event_.insert(static_cast<std::int64_t>(++seq_), at_ns_ += 700, std::int64_t{actor}, step, std::string_view(kind),
                  std::string_view(verb), object, detail, std::nullopt, std::string_view());
  }

  void operation(int actor, const char* verb, const std::string& object, int waits_for) {
    ++step_;
    add(actor, "request", verb, object, "");
    if (waits_for >= 0 && seq_ < settings_.events) {
      add(actor, "wait", verb, object, "exclusive lock");
      other_.insert(static_cast<std::int64_t>(seq_), std::int64_t{0}, std::int64_t{waits_for});
      at_ns_ += static_cast<std::int64_t>(step_ % 1000) * 50;
    }
    add(actor, "grant", verb, object, "");
  }

  void transaction(std::uint64_t turn) {
    const int actor = static_cast<int>(turn % static_cast<std::uint64_t>(settings_.actors));
    const int before = (actor + settings_.actors - 1) % settings_.actors;
    operation(actor, "begin", "", -1);
    operation(actor, "read_for_update", "account/" + std::to_string(turn * 7919 % 1000),
              turn % 3 == 0 && before != actor ? before : -1);
    operation(actor, "commit", "", -1);
  }

  void finish() {
    for (int i = 0; i < settings_.actors; ++i) {
      sqlite::Statement(database_, "INSERT INTO actor VALUES (?,?)").insert(std::int64_t{i}, fmt::format("T{}", i + 1));
    }
    sqlite::Statement(
        database_,
        "INSERT INTO run VALUES (?,'bench/long','A long run','kv','','2pl-detect','plain','threads','free','1',0,"
        "'clean','clean',1,'complete','','','','',?,0,0,1000.0,'2026-01-02T03:04:05Z','',?)")
        .insert(std::string_view(kId), static_cast<std::int64_t>(seq_ / 6), static_cast<std::int64_t>(seq_));
    database_.run(record::kSchemaIndexes);
    database_.run("COMMIT");
  }

  const Settings settings_;
  sqlite::Database database_;
  sqlite::Statement event_, other_;
  std::uint64_t seq_ = 0, step_ = 0;
  std::int64_t at_ns_ = 0;
};

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

bool write_in_a_child(const std::string& path, const Settings& settings) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(Writer(path, settings).write() ? 0 : 1);
  int status = 0;
  return child > 0 && ::waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int measure(const Settings& settings) {
  const std::string path = settings.folder + "/" + kId + "/run.sqlite";
  std::filesystem::create_directories(settings.folder + "/" + kId);
  std::filesystem::remove(path);
  if (!write_in_a_child(path, settings)) return fmt::print(stderr, "cannot write {}\n", path), 1;
  fmt::print("recording  {} events, {:.0f} MB\n", settings.events,
             static_cast<double>(std::filesystem::file_size(path)) / 1e6);

  const auto begin = std::chrono::steady_clock::now();
  reports::Report report;
  auto recording = reports::OpenRecording::open(path, [](auto, auto) { return HoldsUntilEnd::writes; });
  if (!recording) return fmt::print(stderr, "{}\n", recording.error().message), 1;
  report.recordings.push_back(std::move(*recording));
  const std::string page = reports::html_report(report, {.version = "bench", .nonce = "bench", .links = {}});
  const double render_s = seconds_since(begin);
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  fmt::print("page       {} spans, {:.0f} KB\n", report.recordings[0].spans.size(),
             static_cast<double>(page.size()) / 1e3);
  fmt::print("rendered   {:.2f} s, peak memory {:.0f} MB\n", render_s, static_cast<double>(used.ru_maxrss) / 1e3);
  std::ofstream(settings.folder + "/report.html", std::ios::binary) << page;
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  bool keep = false;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view option = argv[i];
    if (option == "--events") settings.events = std::strtoull(argv[i + 1], nullptr, 10);
    if (option == "--actors") settings.actors = std::atoi(argv[i + 1]);
    if (option == "--keep") settings.folder = argv[i + 1], keep = true;
  }
  if (settings.events == 0 || settings.actors < 1)
    return fmt::print(stderr, "report_bench [--events N] [--actors N] [--keep DIR]\n"), 2;
  if (!keep) {
    std::string name = (std::filesystem::temp_directory_path() / "report-bench-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) return 1;
    settings.folder = name;
  }
  const int code = measure(settings);
  if (!keep) std::filesystem::remove_all(settings.folder);
  return code;
}

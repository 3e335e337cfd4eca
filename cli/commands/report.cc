// report.cc: `lockstep report`: saved runs as files for people and programs. Never runs anything.
#include "reports/report.h"

#include <fmt/format.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "cli/args/exit_code.h"
#include "cli/args/nonce.h"
#include "cli/args/runs_folder.h"
#include "cli/commands/commands.h"
#include "cli/commands/program.h"
#include "cli/text/json.h"
#include "cli/text/text.h"
#include "cli/text/ticker.h"
#include "engine/base/suggest.h"
#include "engine/record/matrix.h"
#include "engine/store/backend.h"

namespace lockstep::cli {
namespace {

using reports::FormatInfo;

/// A file that grows under another name and gets its own when it is whole.
class Draft {
 public:
  explicit Draft(std::string path) : path_(std::move(path)), draft_(path_ + ".part") {
    file_ = std::fopen(draft_.c_str(), "wb");
    if (file_ == nullptr) error_ = errno;
  }
  ~Draft() {
    if (file_ != nullptr) std::fclose(file_);
    if (!kept_) std::remove(draft_.c_str());
  }
  Draft(const Draft&) = delete;
  Draft& operator=(const Draft&) = delete;

  void write(std::string_view text) {
    if (error_ == 0 && std::fwrite(text.data(), 1, text.size(), file_) != text.size()) error_ = errno;
    bytes_ += text.size();
  }
  /// Error text, or empty.
  std::string keep() {
    if (file_ != nullptr && std::fclose(file_) != 0 && error_ == 0) error_ = errno;
    file_ = nullptr;
    if (error_ == 0 && std::rename(draft_.c_str(), path_.c_str()) != 0) error_ = errno;
    kept_ = error_ == 0;
    return kept_ ? std::string() : fmt::format("cannot write {}: {}", path_, std::strerror(error_));
  }
  std::uint64_t bytes() const noexcept { return bytes_; }

 private:
  const std::string path_, draft_;
  std::FILE* file_ = nullptr;
  int error_ = 0;
  std::uint64_t bytes_ = 0;
  bool kept_ = false;
};

/// The formats that were asked for, in the order of the list; an error for people, or empty.
std::string read_formats(const Arguments& arguments, std::vector<const FormatInfo*>& wanted) {
  std::vector<std::string> names = arguments.listed("format");
  if (names.empty()) names = {"html"};
  for (const std::string& name : names) {
    const FormatInfo* info = reports::format_named(name);
    if (info == nullptr) {
      std::vector<std::string> all;
      for (const FormatInfo& each : reports::formats()) all.emplace_back(each.name);
      return unknown_name("format", name, all);
    }
    wanted.push_back(info);
  }
  return {};
}

Result<void> render(const FormatInfo& info, const reports::Report& report, const reports::Options& options,
                    const reports::Sink& sink) {
  switch (info.format) {
    case reports::Format::html:
      sink(reports::html_report(report, options));
      return {};
    case reports::Format::markdown:
      sink(reports::markdown_report(report));
      return {};
    case reports::Format::junit:
      sink(reports::junit_report(report));
      return {};
    case reports::Format::csv:
      return reports::csv_report(report, sink);
    case reports::Format::json:
      return reports::json_report(report, sink);
    case reports::Format::trace:
      return reports::trace_report(report, sink);
  }
  return {};
}

/// One invocation of the command.
class Reporting {
 public:
  explicit Reporting(Program& program)
      : program_(program), runs_folder_(lockstep::cli::runs_folder(program.arguments, "runs")) {}

  int run() {
    if (const std::string error = read_formats(program_.arguments, formats_); !error.empty()) return usage_error(error);
    if (int code = kAsExpected; !find_runs(code)) return code;
    if (int code = kAsExpected; !open_runs(code)) return code;
    if (program_.arguments.value("out") == "-") return write_to_stdout();
    return write_files();
  }

 private:
  bool find_one(const std::string& id, int& code) {
    const Result<std::string> path = record::find(runs_folder_, id);
    if (!path) {
      code = fail_with(
          Error{path.fault(),
                {},
                path.error().message + (program_.arguments.has("runs") ? "" : "; --runs names another folder")});
      return false;
    }
    paths_.push_back(*path);
    return true;
  }

  bool find_runs(int& code) {
    if (program_.arguments.has("baseline")) {
      report_.baseline = true;
      if (!find_one(program_.arguments.value("baseline"), code)) return false;
    }
    for (const std::string& id : program_.arguments.all("ID")) {
      if (!find_one(id, code)) return false;
    }
    if (!program_.arguments.has("ID")) {
      const auto all = record::list(runs_folder_);
      if (!all) {
        code = fail_with(all.error());
        return false;
      }
      if (all->empty()) {
        code = usage_error(fmt::format("no saved runs in {} (lockstep run NAME saves one; --runs names another folder)",
                                       runs_folder_));
        return false;
      }
      paths_.push_back(all->back().path);
    }
    return true;
  }

  bool open_runs(int& code) {
    for (const std::string& path : paths_) {
      if (program_.stopped()) {
        code = kInterrupted;
        return false;
      }
      Result<reports::OpenRecording> recording = reports::OpenRecording::open(path, holds_until_end);
      if (!recording) {
        complain(recording.error().message);
        damaged_ = true;
        continue;
      }
      if (!recording->wrong.empty()) {
        complain(recording->wrong);
        damaged_ = true;
      }
      report_.recordings.push_back(std::move(*recording));
    }
    if (!report_.recordings.empty()) return true;
    code = kInternal;
    return false;
  }

  int write_to_stdout() {
    if (formats_.size() > 1) return usage_error("--out - writes one format; several were asked for");
    reports::Options options{.version = kVersion, .nonce = chance_letters(), .links = {}};
    const auto written =
        render(*formats_.front(), report_, options, [this](std::string_view text) { program_.out.write(text); });
    return written ? ending() : fail_with(written.error());
  }

  /// Beside the recording for one run; in the folder of saved runs for several.
  std::filesystem::path out_folder() const {
    if (program_.arguments.has("out")) return program_.arguments.value("out");
    if (report_.recordings.size() == 1) return std::filesystem::path(report_.recordings.front().path).parent_path();
    return runs_folder_;
  }

  int write_files() {
    const std::filesystem::path folder = out_folder();
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    if (error)
      return fail_with(
          Error{Fault::permission, {}, fmt::format("cannot make {}: {}", folder.string(), error.message())});
    reports::Options options{.version = kVersion, .nonce = chance_letters(), .links = links_from(folder)};
    std::vector<ReportFile> files;
    Ticker ticker(!program_.quiet, "report", [this] { return doing(); });
    if (program_.arguments.has("cells")) {
      if (const std::string failed = write_cells(folder, options, files); !failed.empty()) {
        ticker.end();
        complain(failed);
        return kInternal;
      }
    }
    for (const FormatInfo* info : formats_) {
      const std::string path = (folder / info->file).string();
      Draft draft(path);
      const auto written = render(*info, report_, options, [&draft](std::string_view text) { draft.write(text); });
      if (!written) {
        ticker.end();
        return fail_with(written.error());
      }
      if (const std::string failed = draft.keep(); !failed.empty()) {
        ticker.end();
        complain(failed);
        return kInternal;
      }
      files.push_back({std::string(info->name), path, draft.bytes()});
    }
    ticker.end();
    tell(files);
    return ending();
  }

  std::string doing() const {
    const std::size_t done = cells_done_.load(std::memory_order_relaxed);
    return done == 0 ? "" : counted(done, "cell", "cells");
  }

  /// A page for each cell of the matrices, in the folder "cells" beside the report, and where each is. Cells whose
  /// recording is gone keep their command. What failed, for people; empty: nothing did.
  std::string write_cells(const std::filesystem::path& folder, reports::Options& options,
                          std::vector<ReportFile>& files) {
    std::error_code error;
    std::filesystem::create_directories(folder / "cells", error);
    if (error) return fmt::format("cannot make {}: {}", (folder / "cells").string(), error.message());
    for (const reports::OpenRecording& matrix : report_.recordings) {
      const auto document = matrix.run.documents.find(record::kMatrixDocument);
      if (document == matrix.run.documents.end()) continue;
      const Result<std::vector<record::MatrixCell>> cells = record::matrix_of(document->second);
      if (!cells) return cells.error().message;
      for (const record::MatrixCell& cell : *cells) {
        if (program_.stopped()) return {};
        if (cell.run.empty()) continue;
        const Result<std::string> found = record::find(runs_folder_, cell.run);
        if (!found) continue;
        Result<reports::OpenRecording> recording = reports::OpenRecording::open(*found, holds_until_end);
        if (!recording) continue;
        // By the name of its folder, which is an id whatever the matrix holds.
        const std::string name = "cells/" + std::filesystem::path(*found).parent_path().filename().string() + ".html";
        Draft draft((folder / name).string());
        reports::Report one;
        one.recordings.push_back(std::move(*recording));
        draft.write(reports::html_report(one, {.version = options.version, .nonce = options.nonce, .links = {}}));
        if (const std::string failed = draft.keep(); !failed.empty()) return failed;
        options.pages[cell.run] = name;
        files.push_back({"html", (folder / name).string(), draft.bytes()});
        cells_done_.fetch_add(1, std::memory_order_relaxed);
      }
    }
    if (options.pages.empty()) return "--cells: no matrix with saved runs is among these recordings";
    return {};
  }

  /// What lies beside the page: the recording, and the other formats that are being written.
  std::vector<std::vector<reports::Link>> links_from(const std::filesystem::path& folder) const {
    std::vector<std::vector<reports::Link>> all;
    for (const reports::OpenRecording& recording : report_.recordings) {
      std::error_code error;
      const std::filesystem::path here = std::filesystem::absolute(folder, error);
      const std::filesystem::path there = std::filesystem::absolute(recording.path, error).lexically_normal();
      std::vector<reports::Link>& links = all.emplace_back();
      links.push_back({"the recording (SQLite)", there.lexically_relative(here.lexically_normal()).string()});
      for (const FormatInfo* info : formats_) {
        if (info->format != reports::Format::html) links.push_back({std::string(info->what), std::string(info->file)});
      }
    }
    return all;
  }

  void tell(const std::vector<ReportFile>& files) {
    std::vector<std::string> ids;
    for (const reports::OpenRecording& recording : report_.recordings) ids.push_back(recording.run.id);
    if (program_.json) return program_.out.write(report_json(ids, files));
    // Of hundreds of cells one line is enough.
    const std::size_t cells = cells_done_.load(std::memory_order_relaxed);
    if (cells > 0)
      program_.out.write(
          program_.terminal.clean(fmt::format("{} in {}", counted(cells, "page", "pages"),
                                              std::filesystem::path(files.front().path).parent_path().string())) +
          "\n");
    for (std::size_t i = cells; i < files.size(); ++i)
      program_.out.write(program_.terminal.clean(files[i].path) + "\n");
  }

  int ending() const { return program_.stopped() ? kInterrupted : damaged_ ? kInternal : kAsExpected; }

  Program& program_;
  const std::string runs_folder_;
  std::vector<const FormatInfo*> formats_;
  std::vector<std::string> paths_;
  reports::Report report_;
  bool damaged_ = false;
  std::atomic<std::size_t> cells_done_{0};
};

int report(Program& program) { return Reporting(program).run(); }

std::vector<std::string> format_names() {
  std::vector<std::string> names;
  for (const FormatInfo& info : reports::formats()) names.emplace_back(info.name);
  return names;
}

}  // namespace

CommandSpec report_command() {
  return {
      .name = "report",
      .summary = "saved runs as one HTML page; also Markdown, CSV, JSON, JUnit, Chrome trace",
      .description =
          "Reads recordings and nothing else; never runs anything again. The page is one file that loads nothing from "
          "anywhere "
          "and "
          "can be read with scripts off: verdict, lesson, a player that steps through the run, lanes, the cycle of "
          "waits, aborts "
          "by "
          "cause, environment. Several runs stand side by side; with --baseline each is set against that one.\n\n"
          "Without ID, the latest saved run. Runs with more than 2,000 spans are shown in numbers; --format trace has "
          "every "
          "span. Of a recording that is cut short, what is left is shown, and the exit code is 4.\n\n"
          "Files are written beside the recording (report.html, report.md, events.csv, report.json, junit.xml, "
          "trace.json), for "
          "several runs into the folder of saved runs; --out names another folder, \"-\" is standard output.",
      .arguments = {{"ID", "a saved run; a unique beginning of its id is enough", false, Names::run, {}, true}},
      .options = {{"format", "LIST", "html (the default), md, csv, json, junit, trace: one or more, with commas",
                   Names::choices, format_names()},
                  {"baseline", "ID", "set the runs against this one", Names::run},
                  {"cells", "", "of a matrix: also a page for each cell, in the folder cells; the matrix leads there"},
                  {"out", "DIR", "where the files are written; \"-\": standard output", Names::folder},
                  {"runs", "DIR", "the folder of saved runs (LOCKSTEP_RUNS; default: lockstep-runs)", Names::folder},
                  {"json", "", "what was written, as JSON"}},
      .examples = {{"report", "The latest run as a page; prints where it is."},
                   {"report 7f3a --format html,trace --out pages", "The page, and every span for a trace viewer."},
                   {"report 7f3a 91c0", "Two runs side by side."},
                   {"report 91c0 --baseline 7f3a --format md --out -", "For a comment on a pull request."}},
      .run = report,
  };
}

}  // namespace lockstep::cli

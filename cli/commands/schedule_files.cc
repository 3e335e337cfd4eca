// schedule_files.cc: see schedule_files.h.
#include "cli/commands/schedule_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace lockstep::cli {
namespace {

constexpr std::uintmax_t kBytesMost = 256U << 20U;

Error cannot(Fault fault, const char* what, const std::string& path) {
  return {fault, {}, fmt::format("{} cannot be {}: {}", path, what, std::strerror(errno))};
}

}  // namespace

OptionSpec save_schedule_option() {
  return {"save-schedule", "FILE", "write the schedule as a text file that lockstep replay FILE takes", Names::file};
}

Result<void> save_schedule(const Scenario& scenario, const record::Run& run, OutputFile& file, const Dsns& dsn) {
  const Result<ScheduleFile> written = written_down(scenario, run, dsn);
  if (!written) return written.error();
  return file.keep(to_text(*written));
}

bool is_schedule_file(const std::string& name) {
  const auto is_digit = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  return !std::all_of(name.begin(), name.end(), is_digit);
}

Result<std::string> read_schedule(const std::string& path) {
  std::error_code none;
  if (const auto size = std::filesystem::file_size(path, none); !none && size > kBytesMost) {
    return Error{Fault::invalid, {}, fmt::format("{} is no schedule file: it has {} bytes", path, size)};
  }
  if (std::filesystem::is_directory(path, none)) {
    return Error{Fault::invalid, {}, fmt::format("{} is a folder, and neither a run nor a schedule file", path)};
  }
  std::ifstream file(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(file), {}};
  if (!file.is_open() || file.bad()) return cannot(Fault::invalid, "read", path);
  return text;
}

Result<ScheduleFile> load_schedule(const std::string& path) {
  const Result<std::string> text = read_schedule(path);
  if (!text) return text.error();
  Result<ScheduleFile> read = schedule_file_of(*text);
  if (!read) return Error{read.fault(), {}, fmt::format("{}: {}", path, read.error().message)};
  return read;
}

}  // namespace lockstep::cli

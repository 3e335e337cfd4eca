// kv_text.h: what `lockstep kv` prints.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cli/text/terminal.h"
#include "kv/log/inspect.h"

namespace lockstep::cli {

/// One transaction of a log.
struct LoggedTransaction {
  std::string file;
  std::uint64_t offset = 0;
  kv::Position position = 0;
  std::vector<std::pair<std::string, std::optional<std::string>>> writes;  ///< key, value; nullopt: erased
};

/// A line a file, then the verdict; `quiet`: the verdict alone.
std::string kv_verify_text(const kv::FolderReport& report, const Terminal& terminal, bool quiet);
/// A line a row, "key = value". `full`: no value is shortened.
std::string kv_rows_text(const kv::Contents& contents, const Terminal& terminal, bool full);
/// A line for its place, a line a write.
std::string kv_transaction_text(const LoggedTransaction& transaction, const Terminal& terminal, bool full);

// In json.cc.
std::string kv_verify_json(const kv::FolderReport& report);
std::string kv_rows_json(const kv::Contents& contents);
std::string kv_log_json(const std::vector<LoggedTransaction>& transactions, const std::optional<Error>& damage);

}  // namespace lockstep::cli

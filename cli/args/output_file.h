// output_file.h: a file that an option names, before there is anything to write. A file that cannot be written is
// refused at once. One for which nothing is written stays as it was.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "cli/args/arguments.h"
#include "kv/base/result.h"

namespace lockstep::cli {

/// The file at `path` as it grows beside it, as PATH.part-PID. It takes its place when it is whole, and is removed
/// otherwise. What is no regular file (/dev/stdout, a pipe), or lies in a folder that cannot be written to, is written
/// in place, at the end. Not thread-safe.
class OutputFile {
 public:
  explicit OutputFile(const std::string& path);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  /// Fault::io with the system's words when the file cannot be written.
  Result<void> ready() const;
  const std::string& path() const noexcept { return path_; }

  /// Writes `text`, which is all that the file will hold, and gives the file its name. Called once.
  Result<void> keep(std::string_view text);

 private:
  void open();
  void write(std::string_view text);
  void note_error();

  const std::string path_;
  std::string target_;  ///< what a symbolic link points to
  std::string draft_;   ///< empty: in place
  int fd_ = -1;
  int error_ = 0;
};

/// The file that `option` names, if it was given and can be written; no file when it was not given. Fault::invalid.
Result<std::unique_ptr<OutputFile>> file_asked_for(const Arguments& arguments, const std::string& option);

}  // namespace lockstep::cli

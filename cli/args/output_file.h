// output_file.h: a file that was asked for before there is anything to write: refused at once where it cannot be
// written, and left as it was where nothing comes of it.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "cli/args/arguments.h"
#include "kv/base/result.h"

namespace lockstep::cli {

/// What will be the file at `path`. Grows beside it, as PATH.part-PID, and takes its place when it is whole; is removed
/// when it never was. What is no regular file (/dev/stdout, a pipe), or lies in a folder that nobody may write, is
/// written in place, at the end. Not thread-safe.
class OutputFile {
 public:
  explicit OutputFile(const std::string& path);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  /// Fault::io when it cannot be written, with the system's words.
  Result<void> ready() const;
  const std::string& path() const noexcept { return path_; }

  /// Writes `text`, all that it will hold, and gives it its name. Once.
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

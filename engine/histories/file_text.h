// file_text.h: the text of a file, mapped where it can be, so that a history of gigabytes is not copied.
#pragma once

#include <string>
#include <string_view>

#include "kv/base/result.h"

namespace lockstep::histories {

/// The file must not shrink while this lives.
class FileText {
 public:
  /// Fault::io with the system's words.
  static Result<FileText> open(const std::string& path);

  FileText(FileText&& other) noexcept;
  FileText& operator=(FileText&& other) noexcept;
  ~FileText();

  std::string_view text() const noexcept { return mapped_ != nullptr ? std::string_view(mapped_, size_) : read_; }

 private:
  FileText() = default;

  const char* mapped_ = nullptr;
  std::size_t size_ = 0;
  std::string read_;  ///< of pipes and the like
};

}  // namespace lockstep::histories

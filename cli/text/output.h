// output.h: standard output and standard error, with the errors of writing seen.
//
// Not thread-safe; used from the main thread, a Progress also from a Ticker's (ticker.h).
#pragma once

#include <string>
#include <string_view>

namespace lockstep::cli {

/// A file descriptor that is written to. The first failure is kept; what follows it is dropped.
class Output {
 public:
  explicit Output(int fd) : fd_(fd) {}

  void write(std::string_view text);
  /// What is written from now on goes nowhere: another process of the same job speaks.
  void mute() noexcept { muted_ = true; }
  /// errno of the first failure; 0 when everything was written.
  int error() const noexcept { return error_; }
  /// The reader has gone (`| head -1`): nothing to complain about.
  bool reader_gone() const noexcept;

 private:
  const int fd_;
  int error_ = 0;
  bool muted_ = false;
};

/// A line on stderr that is written over and erased, on a terminal only.
class Progress {
 public:
  /// `wanted`: false for --quiet.
  explicit Progress(bool wanted);
  ~Progress() { erase(); }
  void show(std::string_view text);
  void erase();
  /// False: nothing is ever shown.
  bool is_live() const noexcept { return live_; }

 private:
  const bool live_;
  bool shown_ = false;
};

/// "lockstep: TEXT" on stderr, harmless and on one line.
void complain(std::string_view text);
/// From now on complaints are kept for the process that speaks for this one, and no progress is shown.
void keep_complaints();
/// The latest complaint that was kept; empty: none.
const std::string& kept_complaint();

}  // namespace lockstep::cli

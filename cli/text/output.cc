// output.cc: writes it all or says why not.
#include "cli/text/output.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>

#include "cli/text/terminal.h"
#include "cli/text/text.h"

namespace lockstep::cli {
namespace {

int write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return 0;
}

bool is_live_terminal() {
  const char* term = std::getenv("TERM");
  return ::isatty(STDERR_FILENO) == 1 && term != nullptr && std::string_view(term) != "dumb";
}

struct Kept {
  bool keeps = false;
  std::string latest;
};

Kept& kept_here() {
  static Kept kept;
  return kept;
}

}  // namespace

void Output::write(std::string_view text) {
  if (error_ == 0 && !muted_) error_ = write_all(fd_, text);
}

bool Output::reader_gone() const noexcept { return error_ == EPIPE; }

Progress::Progress(bool wanted) : live_(wanted && !kept_here().keeps && is_live_terminal()) {}

void Progress::show(std::string_view text) {
  if (!live_) return;
  const Terminal terminal = terminal_of(STDERR_FILENO, ColourWish::never);
  (void)write_all(STDERR_FILENO, "\r\x1b[K" + terminal.cut(terminal.clean(text), terminal.width - 1));
  shown_ = true;
}

void Progress::erase() {
  if (shown_) (void)write_all(STDERR_FILENO, "\r\x1b[K");
  shown_ = false;
}

void keep_complaints() { kept_here().keeps = true; }

const std::string& kept_complaint() { return kept_here().latest; }

void complain(std::string_view text) {
  if (kept_here().keeps) {
    kept_here().latest = text;
    return;
  }
  const Terminal terminal = terminal_of(STDERR_FILENO, ColourWish::never);
  (void)write_all(STDERR_FILENO, fmt::format("lockstep: {}\n", terminal.clean(text)));
}

}  // namespace lockstep::cli

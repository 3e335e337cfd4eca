// answers.cc: see answers.h.
#include "cli/commands/answers.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace lockstep::cli {
namespace {

constexpr int kLookEvery_ms = 100;  // for a ^C that came just before the wait

std::string trimmed(const std::string& text) {
  const std::size_t begin = text.find_first_not_of(" \t\r");
  if (begin == std::string::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

}  // namespace

bool Answers::read_line(std::string& line) {
  while (!program_.stopped()) {
    if (const std::size_t end = rest_.find('\n'); end != std::string::npos) {
      line = rest_.substr(0, end);
      rest_.erase(0, end + 1);
      return true;
    }
    pollfd input = {.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
    if (::poll(&input, 1, kLookEvery_ms) <= 0) continue;
    char buffer[512];
    const ssize_t got = ::read(STDIN_FILENO, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      // A last line needs no line feed.
      line = std::exchange(rest_, {});
      return !line.empty();
    }
    rest_.append(buffer, static_cast<std::size_t>(got));
  }
  return false;
}

std::optional<std::string> Answers::ask() {
  if (left_) return std::nullopt;
  program_.out.write(" > ");
  std::string line;
  const bool there = read_line(line);
  line = trimmed(line);
  if (!there) {
    program_.out.write("\n");
  } else if (::isatty(STDIN_FILENO) != 1) {
    program_.out.write(program_.terminal.clean(line) + "\n");
  }
  left_ = !there || line == "q";
  if (left_) return std::nullopt;
  return line;
}

}  // namespace lockstep::cli

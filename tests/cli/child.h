// child.h: the program as a child process, for tests of what only a whole process has: exit codes, signals, pipes.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace lockstep::cli {

/// A folder that is removed with all that is in it.
class ScratchFolder {
 public:
  ScratchFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "lockstep-cli-XXXXXX").string();
    path_ = ::mkdtemp(name.data()) == nullptr ? std::string() : name;
  }
  ~ScratchFolder() {
    std::error_code error;
    if (!path_.empty()) std::filesystem::remove_all(path_, error);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

struct Ended {
  int code = -1;  ///< exit code; -1 when a signal ended it
  int signal = 0;
  bool in_time = true;
  std::string out, err;
};

/// Seconds after which a program counts as one that hangs. A sanitizer makes it some ten times slower.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr int kPatience = 240;
#else
inline constexpr int kPatience = 60;
#endif

class Child {
 public:
  /// Starts the program with `arguments`. `environment` is added to a bare one without a terminal, a locale of UTF-8
  /// and no DSN. `stdout_path`: instead of a pipe.
  explicit Child(const std::vector<std::string>& arguments, std::map<std::string, std::string> environment = {},
                 const std::string& stdout_path = {}) {
    int out[2], err[2];
    if (::pipe(out) != 0 || ::pipe(err) != 0) std::abort();
    std::vector<std::string> words = {LOCKSTEP_PROGRAM};
    words.insert(words.end(), arguments.begin(), arguments.end());
    environment.emplace("LANG", "C.UTF-8");
    environment.emplace("PATH", "/usr/bin:/bin");
    environment.emplace("LOCKSTEP_RUNS", "/nonexistent/lockstep-runs");
    // Sanitizers are told by variables what to suppress.
    for (const char* name : {"TSAN_OPTIONS", "ASAN_OPTIONS", "UBSAN_OPTIONS", "TMPDIR", "XDG_CACHE_HOME", "HOME"}) {
      if (const char* value = std::getenv(name)) environment.emplace(name, value);
    }
    std::vector<std::string> variables;
    for (const auto& [name, value] : environment) variables.push_back(name + "=" + value);
    const auto pointers = [](std::vector<std::string>& texts) {
      std::vector<char*> all;
      for (std::string& text : texts) all.push_back(text.data());
      all.push_back(nullptr);
      return all;
    };
    const auto argv = pointers(words), envp = pointers(variables);
    pid_ = ::fork();
    if (pid_ == 0) {
      const int target = stdout_path.empty() ? out[1] : ::open(stdout_path.c_str(), O_WRONLY);
      ::dup2(::open("/dev/null", O_RDONLY), STDIN_FILENO);
      ::dup2(target, STDOUT_FILENO);
      ::dup2(err[1], STDERR_FILENO);
      for (const int fd : {out[0], out[1], err[0], err[1]}) ::close(fd);
      ::signal(SIGPIPE, SIG_DFL);
      ::execve(argv[0], argv.data(), envp.data());
      ::_exit(127);
    }
    ::close(out[1]);
    ::close(err[1]);
    out_ = out[0];
    err_ = err[0];
  }
  ~Child() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
    close_out();
    ::close(err_);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  pid_t pid() const { return pid_; }
  void send(int signal) const { ::kill(pid_, signal); }
  /// The reader goes away.
  void close_out() {
    if (out_ >= 0) ::close(out_);
    out_ = -1;
  }

  /// Reads until `enough` says so of what has come on stdout so far, or it ends, or `seconds` are over.
  void read_until(const std::function<bool(const std::string&)>& enough, int seconds = kPatience) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
    while (!enough(ended_.out) && (out_ >= 0 || !err_done_)) {
      pollfd fds[] = {{out_, POLLIN, 0}, {err_done_ ? -1 : err_, POLLIN, 0}};
      if (std::chrono::steady_clock::now() > until) {
        ended_.in_time = false;
        return;
      }
      if (::poll(fds, 2, 100) <= 0) continue;
      char buffer[4096];
      if (fds[0].revents != 0) {
        const ssize_t got = ::read(out_, buffer, sizeof buffer);
        if (got > 0) ended_.out.append(buffer, static_cast<std::size_t>(got));
        if (got <= 0) close_out();
      }
      if (fds[1].revents != 0) {
        const ssize_t got = ::read(err_, buffer, sizeof buffer);
        if (got > 0) ended_.err.append(buffer, static_cast<std::size_t>(got));
        if (got <= 0) err_done_ = true;
      }
    }
  }

  /// Reads until it has said this on stderr. False when it ended, or took too long, without.
  bool wait_for_error(const std::string& text) {
    const auto said = [&] { return ended_.err.find(text) != std::string::npos; };
    read_until([&](const std::string&) { return said(); });
    return said();
  }

  /// Waits for its end; kills it after `seconds`.
  Ended wait(int seconds = kPatience) {
    read_until([](const std::string&) { return false; }, seconds);
    if (!ended_.in_time) ::kill(pid_, SIGKILL);
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    if (WIFEXITED(status)) ended_.code = WEXITSTATUS(status);
    if (WIFSIGNALED(status)) ended_.signal = WTERMSIG(status);
    return ended_;
  }

 private:
  pid_t pid_ = -1;
  int out_ = -1, err_ = -1;
  bool err_done_ = false;
  Ended ended_;
};

inline Ended lockstep(const std::vector<std::string>& arguments, std::map<std::string, std::string> environment = {}) {
  return Child(arguments, std::move(environment)).wait();
}

}  // namespace lockstep::cli

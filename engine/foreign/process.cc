// process.cc: see process.h.
#include "engine/foreign/process.h"

#include <elf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <new>

extern char** environ;

namespace lockstep::foreign {
namespace {

namespace fs = std::filesystem;

constexpr const char* kLibrary = "liblockstep_preload.so";
constexpr int kFirstPassedOn = 500;  ///< descriptors that the program inherits, out of its way
constexpr Nanos kStartMost = std::chrono::seconds(10);
constexpr Nanos kLook = std::chrono::milliseconds(20);
constexpr int kNotStarted = 127;

Error invalid(std::string text) { return {Fault::invalid, {}, std::move(text)}; }
Error unavailable(const char* what) {
  return {Fault::unavailable, {}, fmt::format("{}: {}", what, std::strerror(errno))};
}

void futex_wake(std::atomic<std::uint32_t>& word) {
  ::syscall(SYS_futex, &word, FUTEX_WAKE, INT32_MAX, nullptr, nullptr, 0);
}

void futex_wait(std::atomic<std::uint32_t>& word, std::uint32_t value, Nanos most) {
  const timespec span{.tv_sec = most.count() / 1'000'000'000, .tv_nsec = most.count() % 1'000'000'000};
  ::syscall(SYS_futex, &word, FUTEX_WAIT, value, &span, nullptr, 0);
}

/// The libraries that the program asks for by itself: "libasan.so.8".
std::vector<std::string> libraries_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const auto read = [&file](std::uint64_t offset, void* to, std::size_t size) {
    file.clear();
    file.seekg(static_cast<std::streamoff>(offset));
    file.read(static_cast<char*>(to), static_cast<std::streamsize>(size));
    return static_cast<bool>(file);
  };
  Elf64_Ehdr head{};
  if (!read(0, &head, sizeof head)) return {};
  std::vector<Elf64_Phdr> parts(head.e_phnum);
  if (!read(head.e_phoff, parts.data(), parts.size() * sizeof(Elf64_Phdr))) return {};
  const auto in_file = [&parts](std::uint64_t address) -> std::uint64_t {
    for (const Elf64_Phdr& each : parts) {
      if (each.p_type == PT_LOAD && address >= each.p_vaddr && address < each.p_vaddr + each.p_filesz)
        return address - each.p_vaddr + each.p_offset;
    }
    return UINT64_MAX;
  };
  std::vector<std::uint64_t> names;
  std::uint64_t texts = UINT64_MAX;
  for (const Elf64_Phdr& each : parts) {
    if (each.p_type != PT_DYNAMIC) continue;
    for (std::uint64_t at = each.p_offset; at < each.p_offset + each.p_filesz; at += sizeof(Elf64_Dyn)) {
      Elf64_Dyn entry{};
      if (!read(at, &entry, sizeof entry) || entry.d_tag == DT_NULL) break;
      if (entry.d_tag == DT_NEEDED) names.push_back(entry.d_un.d_val);
      if (entry.d_tag == DT_STRTAB) texts = in_file(entry.d_un.d_ptr);
    }
  }
  std::vector<std::string> libraries;
  for (const std::uint64_t name : names) {
    file.clear();
    file.seekg(static_cast<std::streamoff>(texts + name));
    if (texts != UINT64_MAX && std::getline(file, libraries.emplace_back(), '\0').fail()) libraries.pop_back();
  }
  return libraries;
}

/// True when the file leaves this function to a library.
bool needs_function(const std::string& path, std::string_view function) {
  std::ifstream file(path, std::ios::binary);
  const auto read = [&file](std::uint64_t offset, auto& to) {
    file.clear();
    file.seekg(static_cast<std::streamoff>(offset));
    file.read(reinterpret_cast<char*>(to.data()), static_cast<std::streamsize>(to.size() * sizeof to[0]));
    return static_cast<bool>(file);
  };
  std::vector<Elf64_Ehdr> head(1);
  if (!read(0, head)) return false;
  std::vector<Elf64_Shdr> sections(head[0].e_shnum);
  if (!read(head[0].e_shoff, sections)) return false;
  for (const Elf64_Shdr& each : sections) {
    if (each.sh_type != SHT_DYNSYM || each.sh_link >= sections.size()) continue;
    std::vector<Elf64_Sym> symbols(each.sh_size / sizeof(Elf64_Sym));
    std::string names(sections[each.sh_link].sh_size, '\0');
    if (!read(each.sh_offset, symbols) || !read(sections[each.sh_link].sh_offset, names)) continue;
    for (const Elf64_Sym& symbol : symbols) {
      if (symbol.st_shndx == SHN_UNDEF && symbol.st_name < names.size() && names.c_str() + symbol.st_name == function)
        return true;
    }
  }
  return false;
}

/// Its runtime library wants to be the first of all that are loaded.
std::string address_sanitizer_of(const std::string& path) {
  for (std::string& each : libraries_of(path)) {
    if (each.starts_with("libasan.so")) return std::move(each) + ":";
  }
  return {};
}

/// Looking for leaks at the end of every run would stop all its threads by ptrace, and take longer than the run.
std::string options_of_sanitizer() {
  const char* const typed = std::getenv("ASAN_OPTIONS");
  return fmt::format("ASAN_OPTIONS=detect_leaks=0{}{}", typed == nullptr ? "" : ":", typed == nullptr ? "" : typed);
}

/// Why this file is no program that a library can be loaded into; empty: it is one.
std::string wrong_program(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  Elf64_Ehdr head{};
  file.read(reinterpret_cast<char*>(&head), sizeof head);
  if (file.gcount() >= 2 && std::memcmp(&head, "#!", 2) == 0) return "is a script: name its interpreter and the script";
  if (file.gcount() < static_cast<std::streamsize>(EI_NIDENT) || std::memcmp(head.e_ident, ELFMAG, SELFMAG) != 0)
    return "is no program";
#if defined(__x86_64__)
  constexpr Elf64_Half kMachine = EM_X86_64;
#elif defined(__aarch64__)
  constexpr Elf64_Half kMachine = EM_AARCH64;
#else
  constexpr Elf64_Half kMachine = EM_NONE;
#endif
  if (head.e_ident[EI_CLASS] != ELFCLASS64 || head.e_machine != kMachine) return "is a program of another machine";
  if (head.e_type != ET_EXEC && head.e_type != ET_DYN) return "is no program";
  for (int i = 0; i < head.e_phnum; ++i) {
    Elf64_Phdr part{};
    file.seekg(static_cast<std::streamoff>(head.e_phoff + static_cast<std::uint64_t>(i) * sizeof part));
    file.read(reinterpret_cast<char*>(&part), sizeof part);
    if (file && part.p_type == PT_INTERP) return {};
  }
  return head.e_type == ET_DYN && head.e_entry == 0 ? "is a library"
                                                    : "is statically linked, so no library can be loaded into it";
}

/// One for each program in turn, of those that this process may use.
int next_processor() {
  static std::atomic<int> given{0};
  cpu_set_t allowed;
  if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0) return -1;
  std::vector<int> processors;
  for (int i = 0; i < CPU_SETSIZE; ++i) {
    if (CPU_ISSET(static_cast<std::size_t>(i), &allowed)) processors.push_back(i);
  }
  if (processors.empty()) return -1;
  // Several searches that begin at a time begin on different ones.
  const int begin = std::max(::sched_getcpu(), 0) + given.fetch_add(1, std::memory_order_relaxed);
  return processors[static_cast<std::size_t>(begin) % processors.size()];
}

Error no_library() { return {Fault::unavailable, {}, fmt::format("{} is not beside lockstep", kLibrary)}; }

}  // namespace

bool waits_by_itself(const ProgramCall& call) { return needs_function(call.path, "syscall"); }

std::string library_path() {
  // Beside the program, where it is installed, and in a build.
  std::error_code error;
  const fs::path here = fs::read_symlink("/proc/self/exe", error).parent_path();
  for (const fs::path& folder : {here, here / "../lib/lockstep", here / "../cli"}) {
    const fs::path path = folder / kLibrary;
    if (fs::exists(path, error)) return fs::canonical(path, error).string();
  }
  return {};
}

std::vector<std::string> environment_of_control(const ProgramCall& call, const std::string& board) {
  return {fmt::format("{}={}", kBoardVariable, board),
          fmt::format("LD_PRELOAD={}{}", address_sanitizer_of(call.path), library_path()), options_of_sanitizer()};
}

std::string program_in_path(const std::string& name) {
  if (name.find('/') != std::string::npos) return name;
  const char* const path = std::getenv("PATH");
  std::string_view rest = path == nullptr ? "/usr/bin:/bin" : path;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find(':'), rest.size());
    std::string candidate = fmt::format("{}/{}", rest.substr(0, end), name);
    struct stat found{};
    if (::stat(candidate.c_str(), &found) == 0 && S_ISREG(found.st_mode) && ::access(candidate.c_str(), X_OK) == 0)
      return candidate;
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return {};
}

Result<ProgramCall> call_of(const std::vector<std::string>& words) {
  if (words.empty() || words.front().empty()) return invalid("no program is named behind --");
  const std::string& name = words.front();
  const std::string found = program_in_path(name);
  struct stat state{};
  if (found.empty() || ::stat(found.c_str(), &state) != 0) return invalid(fmt::format("no program \"{}\"", name));
  if (!S_ISREG(state.st_mode)) return invalid(fmt::format("{} is no file that can be run", name));
  if (::access(found.c_str(), X_OK) != 0) return invalid(fmt::format("{} may not be executed", name));
  if ((state.st_mode & (S_ISUID | S_ISGID)) != 0)
    return invalid(fmt::format("{} runs with rights of its own (setuid), so no library can be loaded into it", name));
  if (const std::string wrong = wrong_program(found); !wrong.empty()) return invalid(fmt::format("{} {}", name, wrong));
  for (const std::string& each : libraries_of(found)) {
    if (each.starts_with("libtsan.so")) {
      return invalid(
          fmt::format("{} is compiled with -fsanitize=thread, whose library cannot be loaded beside Lockstep's", name));
    }
  }
  std::error_code error;
  return ProgramCall{.words = words,
                     .path = fs::absolute(found, error).lexically_normal().string(),
                     .folder = fs::current_path(error).string()};
}

Result<std::unique_ptr<Process>> Process::start(const ProgramCall& call) {
  std::unique_ptr<Process> process(new Process);
  if (Result<void> opened = process->open_board(); !opened) return opened.error();
  if (Result<void> spawned = process->spawn(call); !spawned) return spawned.error();
  return process;
}

Result<std::unique_ptr<Process>> Process::await() {
  if (library_path().empty()) return no_library();
  std::unique_ptr<Process> process(new Process);
  if (Result<void> opened = process->open_board(); !opened) return opened.error();
  process->board_->debugged = true;
  return process;
}

std::string Process::board_path() const { return fmt::format("/proc/{}/fd/{}", ::getpid(), board_file_); }

Result<void> Process::open_board() {
  board_file_ = ::memfd_create("lockstep-board", MFD_CLOEXEC);
  output_file_ = ::memfd_create("lockstep-output", MFD_CLOEXEC);
  if (board_file_ < 0 || output_file_ < 0) return unavailable("no memory to share");
  ::fcntl(output_file_, F_SETFL, O_APPEND);
  if (::ftruncate(board_file_, sizeof(SharedBoard)) != 0) return unavailable("no memory to share");
  void* const place = ::mmap(nullptr, sizeof(SharedBoard), PROT_READ | PROT_WRITE, MAP_SHARED, board_file_, 0);
  if (place == MAP_FAILED) return unavailable("no memory to share");
  // Its pages are zero, and most of them are never looked at: only what begins with something else is written.
  board_ = static_cast<SharedBoard*>(place);
  new (&board_->model) PrimitiveModel;
  board_->version = kBoardVersion;
  board_->size = sizeof(SharedBoard);
  board_->identities = 1;
  board_->identity[0] = {};
  return {};
}

Result<void> Process::spawn(const ProgramCall& call) {
  if (library_path().empty()) return no_library();
  const int board_passed = ::fcntl(board_file_, F_DUPFD, kFirstPassedOn);
  const int output_passed = ::fcntl(output_file_, F_DUPFD, kFirstPassedOn);
  board_->output = output_passed;
  board_->processor = next_processor();
  std::vector<std::string> environment = environment_of_control(call, std::to_string(board_passed));
  for (char** each = environ; *each != nullptr; ++each) {
    const std::string_view text = *each;
    const bool is_ours =
        text.starts_with("LD_PRELOAD=") || text.starts_with("LOCKSTEP_") || text.starts_with("ASAN_OPTIONS=");
    if (!is_ours) environment.emplace_back(text);
  }
  std::vector<char*> words, variables;
  std::vector<std::string> typed = call.words;
  for (std::string& each : typed) words.push_back(each.data());
  for (std::string& each : environment) variables.push_back(each.data());
  words.push_back(nullptr);
  variables.push_back(nullptr);

  const pid_t parent = ::getpid();
  server_ = ::fork();
  if (server_ == 0) {
    // Between fork and exec: system calls alone.
    ::setsid();
    ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (::getppid() != parent) ::_exit(kNotStarted);
    // Where that is not allowed, addresses differ from one start of the program to the next, and only there.
    ::personality(ADDR_NO_RANDOMIZE);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    const int input = ::open("/dev/null", O_RDONLY);
    ::dup2(input, 0);
    ::dup2(output_passed, 1);
    ::dup2(output_passed, 2);
    if (input > 2) ::close(input);
    if (::chdir(call.folder.c_str()) == 0) ::execve(call.path.c_str(), words.data(), variables.data());
    board_->status = errno;
    ::_exit(kNotStarted);
  }
  ::close(board_passed);
  ::close(output_passed);
  if (server_ < 0) return unavailable("no process");

  const RealClock clock;
  const Nanos until = clock.now() + kStartMost;
  while (board_->ready.load(std::memory_order_acquire) == 0) {
    const std::uint32_t bell = board_->bell.load(std::memory_order_acquire);
    if (board_->refusal != Refusal::none) {
      return invalid(fmt::format("{} makes threads before its main begins; that is not supported", call.words.front()));
    }
    int status = 0;
    if (::waitpid(server_, &status, WNOHANG) == server_) {
      server_ = -1;
      if (WIFEXITED(status) && WEXITSTATUS(status) == kNotStarted && board_->status != 0)
        return invalid(fmt::format("{} cannot be started: {}", call.words.front(), std::strerror(board_->status)));
      const std::string said = output(200);
      return invalid(fmt::format("{} ended before its main began, so it was not controlled{}{}", call.words.front(),
                                 said.empty() ? "" : ": ", said.substr(0, said.find('\n'))));
    }
    if (clock.now() > until) return invalid(fmt::format("{} has not reached its main after 10 s", call.words.front()));
    futex_wait(board_->bell, bell, kLook);
  }
  return {};
}

Process::~Process() {
  if (server_ > 1) {
    ::kill(-server_, SIGKILL);
    ::kill(server_, SIGKILL);
    while (::waitpid(server_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  if (board_ != nullptr) ::munmap(board_, sizeof(SharedBoard));
  if (board_file_ >= 0) ::close(board_file_);
  if (output_file_ >= 0) ::close(output_file_);
}

void Process::begin(const std::vector<Choice>& planned) {
  if (output_file_ >= 0 && ::lseek(output_file_, 0, SEEK_END) > 0 && ::ftruncate(output_file_, 0) != 0) return;
  SharedBoard& board = *board_;
  board.model.reset();
  board.steps = 0;
  board.running = 0;
  board.stack_size = 0;
  board.before.clear();
  board.crash = CrashRecord{};
  board.waits_outside = board.from_outside = board.at_outside = false;
  board.refusal = Refusal::none;
  board.refused[0] = '\0';
  board.choices = 0;
  for (auto& turn : board.turn) turn.store(0, std::memory_order_relaxed);
  for (auto& handle : board.handles) handle = 0;
  board.planned = static_cast<std::uint32_t>(std::min<std::size_t>(planned.size(), kStepsMost));
  for (std::uint32_t i = 0; i < board.planned; ++i)
    board.plan[i] = static_cast<std::uint8_t>(planned[i].actor * 2 + (planned[i].timeout ? 1 : 0));
  heard_ = 0;
  board.asked.store(0, std::memory_order_relaxed);
  board.answered.store(0, std::memory_order_relaxed);
  refused_ = false;
  board.wanted.store(++runs_, std::memory_order_release);
  futex_wake(board.wanted);
}

Process::News Process::wait(Nanos most) {
  SharedBoard& board = *board_;
  const RealClock clock;
  const Nanos until = clock.now() + most;
  for (bool looked = false;; looked = true) {
    const std::uint32_t bell = board.bell.load(std::memory_order_acquire);
    if (board.debugged && board.arrived.load(std::memory_order_acquire) != arrived_) {
      ++arrived_;
      return News::arrived;
    }
    if (!board.debugged && board.ended.load(std::memory_order_acquire) == runs_) return News::ended;
    if (board.asked.load(std::memory_order_acquire) != heard_) {
      ++heard_;
      return News::asks;
    }
    if (board.refusal != Refusal::none && !refused_) {
      refused_ = true;
      return News::refused;
    }
    if (looked) {
      if (clock.now() >= until) return News::nothing;
      if (server_ > 1 && ::waitpid(server_, nullptr, WNOHANG) == server_) {
        server_ = -1;
        return News::lost;
      }
    }
    futex_wait(board.bell, bell, std::min(most, kLook));
  }
}

void Process::answer(const Choice& choice) {
  board_->answer = choice.actor * 2 + (choice.timeout ? 1 : 0);
  board_->answered.store(heard_, std::memory_order_release);
  futex_wake(board_->answered);
}

void Process::interrupt(int thread) {
  constexpr Nanos kMost = std::chrono::seconds(1);
  if (board_->run <= 1 || board_->kernel_ids[thread] <= 1) return;
  if (::syscall(SYS_tgkill, board_->run, board_->kernel_ids[thread], SIGTRAP) != 0) return;
  (void)wait(kMost);
}

void Process::end_run() {
  while (board_->ended.load(std::memory_order_acquire) != runs_) {
    // The server may not have forked it yet.
    if (const pid_t run = board_->run; run > 1) ::kill(run, SIGKILL);
    const std::uint32_t bell = board_->bell.load(std::memory_order_acquire);
    if (board_->ended.load(std::memory_order_acquire) == runs_) return;
    if (server_ <= 1 || ::kill(server_, 0) != 0) return;
    futex_wait(board_->bell, bell, kLook);
  }
}

std::string Process::output(std::size_t most) const {
  const off_t size = ::lseek(output_file_, 0, SEEK_END);
  if (size <= 0) return {};
  const auto length = std::min(most, static_cast<std::size_t>(size));
  std::string text(length, '\0');
  const ssize_t got = ::pread(output_file_, text.data(), length, size - static_cast<off_t>(length));
  text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return text;
}

}  // namespace lockstep::foreign

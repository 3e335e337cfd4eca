// names.cc: see names.h.
#include "engine/foreign/names.h"

#include <cxxabi.h>
#include <elf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <sstream>

extern char** environ;

namespace lockstep::foreign {

std::string thread_name(const SharedBoard& board, int index) {
  if (index <= 0) return index == 0 ? "main" : "nobody";
  const Identity& identity = board.identity[index];
  if (identity.parent == 0) return fmt::format("T{}", identity.nth);
  return fmt::format("{}.{}", thread_name(board, identity.parent), identity.nth);
}

bool know_threads(SharedBoard& board, const std::vector<std::string>& names) {
  std::uint32_t count = 0;
  for (const std::string& name : names) {
    if (count == kThreadsMost) return false;
    if (count == 0) {
      if (name != "main") return false;
      board.identity[count++] = {};
      continue;
    }
    const std::size_t dot = name.rfind('.');
    const std::string parent = dot == std::string::npos ? "main" : name.substr(0, dot);
    const std::string_view number = dot == std::string::npos ? std::string_view(name).substr(name.empty() ? 0 : 1)
                                                             : std::string_view(name).substr(dot + 1);
    const auto known = std::find(names.begin(), names.begin() + count, parent);
    Identity identity;
    const auto [rest, error] = std::from_chars(number.data(), number.data() + number.size(), identity.nth);
    if (known == names.begin() + count || error != std::errc() || rest != number.data() + number.size()) return false;
    identity.parent = static_cast<std::int8_t>(known - names.begin());
    board.identity[count++] = identity;
  }
  board.identities = std::max<std::uint32_t>(count, 1);
  return true;
}

/// A file, where its first byte would lie.
struct Symbols::Mapped {
  std::uint64_t from = 0, to = 0;  ///< of this part
  std::uint64_t offset = 0;        ///< of this part in the file
  std::string path;
};

struct Symbols::Table {
  struct Symbol {
    std::uint64_t address = 0, size = 0;
    bool is_code = false;
    std::string name;
  };
  std::vector<Elf64_Phdr> parts;
  std::vector<Symbol> symbols;  ///< by address

  const Symbol* at(std::uint64_t address, bool is_code) const {
    auto after = std::upper_bound(symbols.begin(), symbols.end(), address,
                                  [](std::uint64_t wanted, const Symbol& each) { return wanted < each.address; });
    while (after != symbols.begin()) {
      --after;
      if (after->is_code != is_code) continue;
      return address < after->address + std::max<std::uint64_t>(after->size, 1) ? &*after : nullptr;
    }
    return nullptr;
  }
  /// The address that the file itself gives to what lies at this offset of it.
  std::uint64_t address_of(std::uint64_t offset) const {
    // Two parts may share a page of the file: the later one is meant where it has begun.
    for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
      constexpr std::uint64_t kPage = 4096;
      if (part->p_type == PT_LOAD && offset >= part->p_offset / kPage * kPage)
        return offset - part->p_offset + part->p_vaddr;
    }
    return offset;
  }
};

namespace {

std::string demangled(const char* name) {
  if (std::strncmp(name, "_Z", 2) != 0) return name;  // "c" alone is the type char
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> plain(abi::__cxa_demangle(name, nullptr, nullptr, &status), std::free);
  return status == 0 && plain ? std::string(plain.get()) : std::string(name);
}

template <class T>
std::vector<T> read_array(std::ifstream& file, std::uint64_t offset, std::uint64_t bytes) {
  constexpr std::uint64_t kMost = 512U << 20U;
  if (bytes > kMost) return {};
  std::vector<T> array(bytes / sizeof(T));
  file.seekg(static_cast<std::streamoff>(offset));
  file.read(reinterpret_cast<char*>(array.data()), static_cast<std::streamsize>(array.size() * sizeof(T)));
  if (!file) array.clear();
  file.clear();
  return array;
}

}  // namespace

Symbols::Symbols(int pid) {
  std::ifstream maps(fmt::format("/proc/{}/maps", pid));
  for (std::string line; std::getline(maps, line);) {
    Mapped part;
    std::istringstream words(line);
    std::string range, rights, device, inode;
    words >> range >> rights >> std::hex >> part.offset >> device >> inode >> std::ws;
    std::getline(words, part.path);
    const std::size_t dash = range.find('-');
    if (dash == std::string::npos) continue;
    std::from_chars(range.data(), range.data() + dash, part.from, 16);
    std::from_chars(range.data() + dash + 1, range.data() + range.size(), part.to, 16);
    // What follows a file's data without a file of its own is its variables that begin as zero.
    const bool goes_on =
        part.path.empty() && !files_.empty() && files_.back().to == part.from && files_.back().path.starts_with('/');
    if (goes_on) {
      part.path = files_.back().path;
      part.offset = files_.back().offset + (files_.back().to - files_.back().from);
    }
    files_.push_back(std::move(part));
  }
}

Symbols::~Symbols() = default;

const Symbols::Mapped* Symbols::mapped(std::uint64_t address) const {
  for (const Mapped& each : files_) {
    if (address >= each.from && address < each.to) return each.path.starts_with('/') ? &each : nullptr;
  }
  return nullptr;
}

Symbols::Table& Symbols::table(const Mapped& mapped) {
  const auto [known, fresh] = tables_.try_emplace(mapped.path);
  Table& table = known->second;
  if (!fresh) return table;
  std::ifstream file(mapped.path, std::ios::binary);
  const auto heads = read_array<Elf64_Ehdr>(file, 0, sizeof(Elf64_Ehdr));
  if (heads.empty() || std::memcmp(heads[0].e_ident, ELFMAG, SELFMAG) != 0) return table;
  const Elf64_Ehdr& head = heads[0];
  table.parts = read_array<Elf64_Phdr>(file, head.e_phoff, head.e_phnum * sizeof(Elf64_Phdr));
  const auto sections = read_array<Elf64_Shdr>(file, head.e_shoff, head.e_shnum * sizeof(Elf64_Shdr));
  for (const Elf64_Shdr& section : sections) {
    if ((section.sh_type != SHT_SYMTAB && section.sh_type != SHT_DYNSYM) || section.sh_link >= sections.size())
      continue;
    const auto symbols = read_array<Elf64_Sym>(file, section.sh_offset, section.sh_size);
    const Elf64_Shdr& texts = sections[section.sh_link];
    auto names = read_array<char>(file, texts.sh_offset, texts.sh_size);
    if (names.empty()) continue;
    names.back() = '\0';
    for (const Elf64_Sym& symbol : symbols) {
      const int type = ELF64_ST_TYPE(symbol.st_info);
      const bool wanted = type == STT_OBJECT || type == STT_FUNC;
      if (!wanted || symbol.st_shndx == SHN_UNDEF || symbol.st_name >= names.size()) continue;
      table.symbols.push_back({symbol.st_value, symbol.st_size, type == STT_FUNC, &names[symbol.st_name]});
    }
  }
  std::stable_sort(table.symbols.begin(), table.symbols.end(),
                   [](const Table::Symbol& a, const Table::Symbol& b) { return a.address < b.address; });
  return table;
}

std::optional<std::string> Symbols::variable(std::uint64_t address) {
  const Mapped* const file = mapped(address);
  if (file == nullptr) return std::nullopt;
  Table& known = table(*file);
  const std::uint64_t in_file = known.address_of(file->offset + (address - file->from));
  const Table::Symbol* const symbol = known.at(in_file, false);
  if (symbol == nullptr) return std::nullopt;
  const std::string name = demangled(symbol->name.c_str());
  const std::uint64_t beyond = in_file - symbol->address;
  return beyond == 0 ? name : fmt::format("{}+{}", name, beyond);
}

std::string Symbols::function(std::uint64_t address) {
  const Mapped* const file = mapped(address);
  if (file == nullptr || address == 0) return {};
  Table& known = table(*file);
  // What calls returns behind its call.
  const Table::Symbol* const symbol = known.at(known.address_of(file->offset + (address - 1 - file->from)), true);
  return symbol == nullptr ? std::string() : demangled(symbol->name.c_str());
}

std::optional<std::pair<std::string, std::uint64_t>> Symbols::place_in_file(std::uint64_t address) {
  const Mapped* const file = mapped(address);
  if (file == nullptr) return std::nullopt;
  return std::pair(file->path, table(*file).address_of(file->offset + (address - file->from)));
}

std::string answer_of(const std::vector<std::string>& words) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return {};
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
  ::posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
  std::vector<std::string> copy = words;
  std::vector<char*> arguments;
  for (std::string& each : copy) arguments.push_back(each.data());
  arguments.push_back(nullptr);
  pid_t process = -1;
  const int failed = ::posix_spawnp(&process, arguments[0], &actions, nullptr, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  std::string text;
  if (failed == 0) {
    char buffer[4096];
    for (ssize_t got = 0; (got = ::read(ends[0], buffer, sizeof buffer)) > 0;)
      text.append(buffer, static_cast<std::size_t>(got));
    int status = 0;
    ::waitpid(process, &status, 0);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) text.clear();
  }
  ::close(ends[0]);
  return text;
}

std::vector<std::string> lines_of(Symbols& symbols, const std::vector<std::uint64_t>& callers) {
  std::vector<std::string> lines(callers.size());
  std::map<std::string, std::vector<std::size_t>> by_file;
  std::vector<std::uint64_t> places(callers.size());
  for (std::size_t i = 0; i < callers.size(); ++i) {
    if (callers[i] == 0) continue;
    const auto place = symbols.place_in_file(callers[i] - 1);
    if (!place) continue;
    places[i] = place->second;
    by_file[place->first].push_back(i);
  }
  for (const auto& [path, those] : by_file) {
    std::vector<std::string> words{"addr2line", "-e", path};
    for (const std::size_t i : those) words.push_back(fmt::format("{:#x}", places[i]));
    std::istringstream answer(answer_of(words));
    for (const std::size_t i : those) {
      std::string line;
      if (!std::getline(answer, line)) break;
      line = line.substr(0, line.find(" ("));
      if (!line.starts_with("?") && !line.ends_with(":?") && !line.ends_with(":0"))
        lines[i] = line.substr(line.rfind('/') + 1);
    }
  }
  return lines;
}

}  // namespace lockstep::foreign

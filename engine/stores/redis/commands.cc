// commands.cc: texts into commands and back, and the commands that a scenario may not send.
#include "engine/stores/redis/commands.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>

namespace lockstep::redis {
namespace {

constexpr std::string_view kBlanks = " \t\r\n";

struct RefusedCommand {
  std::string_view name, why;
};

constexpr std::string_view kLeaves = "it leaves the database that the run has for itself";
constexpr std::string_view kConnection = "it changes what comes back on the session's connection";
constexpr std::string_view kServer = "it is about the server and not about keys";
constexpr std::string_view kWaits = "it waits in the server, which does not tell for whom";

constexpr auto kRefused = std::to_array<RefusedCommand>({
    {"SELECT", kLeaves},         {"SWAPDB", kLeaves},        {"MOVE", kLeaves},
    {"FLUSHALL", kLeaves},       {"AUTH", kConnection},      {"HELLO", kConnection},
    {"RESET", kConnection},      {"QUIT", kConnection},      {"CLIENT", kConnection},
    {"MONITOR", kConnection},    {"SUBSCRIBE", kConnection}, {"PSUBSCRIBE", kConnection},
    {"SSUBSCRIBE", kConnection}, {"SYNC", kConnection},      {"PSYNC", kConnection},
    {"ASKING", kConnection},     {"READONLY", kConnection},  {"READWRITE", kConnection},
    {"SHUTDOWN", kServer},       {"CONFIG", kServer},        {"DEBUG", kServer},
    {"REPLICAOF", kServer},      {"SLAVEOF", kServer},       {"FAILOVER", kServer},
    {"CLUSTER", kServer},        {"SAVE", kServer},          {"BGSAVE", kServer},
    {"BGREWRITEAOF", kServer},   {"ACL", kServer},           {"MODULE", kServer},
    {"BLPOP", kWaits},           {"BRPOP", kWaits},          {"BLMOVE", kWaits},
    {"BRPOPLPUSH", kWaits},      {"BLMPOP", kWaits},         {"BZPOPMIN", kWaits},
    {"BZPOPMAX", kWaits},        {"BZMPOP", kWaits},         {"WAIT", kWaits},
    {"WAITAOF", kWaits},
});

constexpr auto kOnlyRead = std::to_array<std::string_view>({
    "GET",   "MGET",    "EXISTS", "TTL",      "PTTL",  "TYPE",      "STRLEN", "WATCH",  "UNWATCH",
    "MULTI", "DISCARD", "KEYS",   "DBSIZE",   "TIME",  "PING",      "HGET",   "HMGET",  "HGETALL",
    "HLEN",  "LLEN",    "LRANGE", "SMEMBERS", "SCARD", "SISMEMBER", "ZRANGE", "ZSCORE", "ZCARD",
});

bool is_blank(char c) { return kBlanks.find(c) != std::string_view::npos; }

/// What follows a backslash in "…"; moves `at` behind it.
char escaped_in(std::string_view text, std::size_t& at) {
  const char c = text[at++];
  switch (c) {
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case 'x': {
      unsigned char byte = 0;
      const char* const digits = text.data() + at;
      if (at + 2 > text.size() || std::from_chars(digits, digits + 2, byte, 16).ptr != digits + 2) return c;
      at += 2;
      return static_cast<char>(byte);
    }
    default:
      return c;
  }
}

/// The part of a word that stands in quotes; false when they are never closed.
bool take_quoted(std::string_view text, std::size_t& at, std::string& word) {
  const char quote = text[at++];
  while (at < text.size()) {
    const char c = text[at++];
    if (c == quote) return true;
    if (c != '\\' || at == text.size() || (quote == '\'' && text[at] != '\'')) {
      word += c;
    } else {
      word += escaped_in(text, at);
    }
  }
  return false;
}

std::string argument_as_typed(const std::string& argument) {
  const bool is_plain = !argument.empty() && std::all_of(argument.begin(), argument.end(), [](char c) {
    return std::isgraph(static_cast<unsigned char>(c)) != 0 && c != '"' && c != '\'' && c != '\\' && c != ';';
  });
  if (is_plain) return argument;
  std::string text = "\"";
  for (const char c : argument) {
    if (c == '"' || c == '\\') {
      text += '\\';
      text += c;
    } else if (c == '\n') {
      text += "\\n";
    } else if (static_cast<unsigned char>(c) < ' ') {
      text += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      text += c;
    }
  }
  return text + '"';
}

}  // namespace

std::string text_of(const RedisCommand& command) {
  std::string text;
  for (const std::string& each : command) {
    if (!text.empty()) text += ' ';
    text += argument_as_typed(each);
  }
  return text;
}

std::string text_of(const std::vector<RedisCommand>& commands) {
  std::string text;
  for (const RedisCommand& each : commands) {
    if (!text.empty()) text += "; ";
    text += text_of(each);
  }
  return text;
}

Result<RedisCommand> command_in(std::string_view text) {
  RedisCommand command;
  for (std::size_t at = 0; at < text.size();) {
    if (is_blank(text[at])) {
      ++at;
      continue;
    }
    std::string& word = command.emplace_back();
    while (at < text.size() && !is_blank(text[at])) {
      if (text[at] != '"' && text[at] != '\'') {
        word += text[at++];
      } else if (!take_quoted(text, at, word)) {
        return Error{Fault::invalid, {}, fmt::format("a quote is never closed: {}", text)};
      }
    }
  }
  if (command.empty()) return Error{Fault::invalid, {}, "there is no command in the text"};
  return command;
}

std::string name_of(const RedisCommand& command) {
  std::string name = command.empty() ? std::string() : command.front();
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::toupper(c); });
  return name;
}

std::optional<std::string> why_refused(const RedisCommand& command) {
  const std::string name = name_of(command);
  const auto* const found =
      std::find_if(kRefused.begin(), kRefused.end(), [&name](const RefusedCommand& each) { return each.name == name; });
  if (found != kRefused.end()) return fmt::format("{}: {}", name, found->why);
  const bool reads_stream = name == "XREAD" || name == "XREADGROUP";
  const bool blocks = reads_stream && std::any_of(command.begin(), command.end(), [](const std::string& each) {
                        return name_of(RedisCommand{each}) == "BLOCK";
                      });
  return blocks ? std::optional(fmt::format("{} with BLOCK: {}", name, kWaits)) : std::nullopt;
}

bool only_reads(const RedisCommand& command) {
  return std::find(kOnlyRead.begin(), kOnlyRead.end(), name_of(command)) != kOnlyRead.end();
}

}  // namespace lockstep::redis

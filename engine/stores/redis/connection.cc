// connection.cc: DSNs, connecting, bytes out and in.
#include "engine/stores/redis/connection.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <hiredis.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>

namespace lockstep::redis {
namespace {

/// "%2F" and its like; nullopt when one is cut off.
std::optional<std::string> percent_decoded(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      plain += text[i];
      continue;
    }
    unsigned char byte = 0;
    if (i + 2 >= text.size()) return std::nullopt;
    const char* const digits = text.data() + i + 1;
    if (std::from_chars(digits, digits + 2, byte, 16).ptr != digits + 2) return std::nullopt;
    plain += static_cast<char>(byte);
    i += 2;
  }
  return plain;
}

bool put_decoded(std::string& where, std::string_view encoded) {
  auto plain = percent_decoded(encoded);
  if (plain) where = std::move(*plain);
  return plain.has_value();
}

bool put_number(int& where, std::string_view digits, int least, int most) {
  int number = 0;
  const auto [rest, wrong] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (wrong != std::errc() || rest != digits.data() + digits.size() || number < least || number > most) return false;
  where = number;
  return true;
}

Error no_dsn(std::string_view why) {
  return {Fault::invalid, {}, fmt::format("not a DSN of Redis ({}): redis://USER:PASSWORD@HOST:PORT/DATABASE", why)};
}

constexpr int kPortMost = 65535, kDatabaseMost = 1'000'000;

struct ErrorWord {
  std::string_view word;
  Fault fault;
};

constexpr auto kErrorWords = std::to_array<ErrorWord>({
    {"NOAUTH", Fault::permission},
    {"WRONGPASS", Fault::permission},
    {"NOPERM", Fault::permission},
    {"DENIED", Fault::permission},
    {"READONLY", Fault::unsupported},
    {"MOVED", Fault::unsupported},
    {"ASK", Fault::unsupported},
    {"CROSSSLOT", Fault::unsupported},
    {"OOM", Fault::disk_full},
    {"MISCONF", Fault::io},
    {"LOADING", Fault::unavailable},
    {"MASTERDOWN", Fault::unavailable},
    {"CLUSTERDOWN", Fault::unavailable},
    {"BUSY", Fault::unavailable},
});

RedisAnswer answer_of(const redisReply& reply) {
  using Kind = RedisAnswer::Kind;
  RedisAnswer answer;
  switch (reply.type) {
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS:
      answer.kind = Kind::text;
      answer.text.assign(reply.str, static_cast<std::size_t>(reply.len));
      break;
    case REDIS_REPLY_ERROR:
      answer.kind = Kind::error;
      answer.text.assign(reply.str, static_cast<std::size_t>(reply.len));
      break;
    case REDIS_REPLY_INTEGER:
      answer.kind = Kind::number;
      answer.number = reply.integer;
      break;
    case REDIS_REPLY_ARRAY:
      answer.kind = Kind::list;
      for (std::size_t i = 0; i < reply.elements; ++i) answer.items.push_back(answer_of(*reply.element[i]));
      break;
    default:
      break;
  }
  return answer;
}

void append_to(std::string& bytes, const RedisCommand& command) {
  bytes += fmt::format("*{}\r\n", command.size());
  for (const std::string& each : command) {
    bytes += fmt::format("${}\r\n", each.size());
    bytes += each;
    bytes += "\r\n";
  }
}

Error refused_at_start(const RedisDsn& dsn, const RedisAnswer& said) {
  const Error error = error_of(said);
  return Error{error.fault == Fault::permission ? Fault::permission : Fault::unavailable, error.code,
               fmt::format("no connection to Redis at {}: {}", dsn.where(), said.text)};
}

}  // namespace

Result<RedisDsn> RedisDsn::parse(const std::string& text) {
  constexpr std::string_view kByHost = "redis://", kBySocket = "unix://", kDatabase = "db=";
  RedisDsn dsn;
  std::string_view rest = text;
  if (rest.starts_with(kBySocket)) {
    rest.remove_prefix(kBySocket.size());
    const std::size_t question = rest.find('?');
    if (!put_decoded(dsn.socket_, rest.substr(0, question))) return no_dsn("a % without two digits");
    if (!dsn.socket_.starts_with('/')) return no_dsn("unix:// needs an absolute path");
    if (question == std::string_view::npos) return dsn;
    rest.remove_prefix(question + 1);
    if (!rest.starts_with(kDatabase)) return no_dsn("the one option of unix:// is db");
    if (!put_number(dsn.database_, rest.substr(kDatabase.size()), 0, kDatabaseMost))
      return no_dsn("the database is no number");
    return dsn;
  }
  if (!rest.starts_with(kByHost)) return no_dsn("it does not begin with redis:// or unix://");
  rest.remove_prefix(kByHost.size());
  const std::size_t slash = rest.find('/');
  std::string_view address = rest.substr(0, slash);
  if (slash != std::string_view::npos && slash + 1 < rest.size() &&
      !put_number(dsn.database_, rest.substr(slash + 1), 0, kDatabaseMost)) {
    return no_dsn("the database is no number");
  }
  if (const std::size_t at = address.rfind('@'); at != std::string_view::npos) {
    const std::string_view login = address.substr(0, at);
    address.remove_prefix(at + 1);
    const std::size_t colon = login.find(':');
    const bool is_whole = put_decoded(dsn.user_, login.substr(0, colon)) &&
                          (colon == std::string_view::npos || put_decoded(dsn.password_, login.substr(colon + 1)));
    if (!is_whole) return no_dsn("a % without two digits");
  }
  const bool is_ipv6 = address.starts_with('[');
  const std::size_t end = is_ipv6 ? address.find(']') : address.rfind(':');
  if (is_ipv6 && end == std::string_view::npos) return no_dsn("the host has no closing ]");
  const std::string_view host = is_ipv6 ? address.substr(1, end - 1) : address.substr(0, end);
  std::string_view port = end == std::string_view::npos ? std::string_view() : address.substr(end + 1);
  if (is_ipv6 && port.starts_with(':')) port.remove_prefix(1);
  if (!port.empty() && !put_number(dsn.port_, port, 1, kPortMost)) return no_dsn("the port is no number");
  if (!host.empty() && !put_decoded(dsn.host_, host)) return no_dsn("a % without two digits");
  return dsn;
}

std::string RedisDsn::without_password() const {
  if (!socket_.empty()) return fmt::format("unix://{}?db={}", socket_, database_);
  const bool is_ipv6 = host_.find(':') != std::string::npos;
  return fmt::format("redis://{}{}{}{}{}:{}/{}", user_, user_.empty() ? "" : "@", is_ipv6 ? "[" : "", host_,
                     is_ipv6 ? "]" : "", port_, database_);
}

std::string RedisDsn::where() const {
  const std::string place =
      socket_.empty() ? fmt::format("host {}, port {}", host_, port_) : fmt::format("socket {}", socket_);
  return fmt::format("{}, database {}{}{}", place, database_, user_.empty() ? "" : ", as user ", user_);
}

std::optional<std::string> RedisAnswer::value() const {
  if (kind == Kind::text) return text;
  if (kind == Kind::number) return std::to_string(number);
  return std::nullopt;
}

Error error_of(const RedisAnswer& answer) {
  const std::string word = answer.text.substr(0, answer.text.find(' '));
  const auto* const known = std::find_if(kErrorWords.begin(), kErrorWords.end(),
                                         [&word](const ErrorWord& each) { return each.word == word; });
  // Of the server's other errors nearly all say that the request itself is wrong: syntax, types, values.
  return Error{known == kErrorWords.end() ? Fault::invalid : known->fault, word, answer.text};
}

RedisConnection::RedisConnection(redisContext* context, std::string where)
    : context_(context), socket_(context->fd), where_(std::move(where)) {
  ::fcntl(socket_, F_SETFL, ::fcntl(socket_, F_GETFL) | O_NONBLOCK);
}

RedisConnection::~RedisConnection() { ::redisFree(context_); }

Result<std::unique_ptr<RedisConnection>> RedisConnection::open(const RedisDsn& dsn, Nanos connect_max) {
  const auto micros = std::chrono::ceil<std::chrono::microseconds>(std::min(connect_max, Nanos(std::chrono::hours(1))));
  const timeval limit{.tv_sec = micros.count() / 1'000'000, .tv_usec = micros.count() % 1'000'000};
  redisContext* const context = dsn.socket().empty() ? ::redisConnectWithTimeout(dsn.host().c_str(), dsn.port(), limit)
                                                     : ::redisConnectUnixWithTimeout(dsn.socket().c_str(), limit);
  if (context == nullptr) return Error{Fault::internal, {}, "no memory for a connection to Redis"};
  if (context->err != 0) {
    Error error{Fault::unavailable, {}, fmt::format("no connection to Redis at {}: {}", dsn.where(), context->errstr)};
    ::redisFree(context);
    return error;
  }
  std::unique_ptr<RedisConnection> connection(new RedisConnection(context, dsn.where()));
  std::vector<RedisCommand> first;
  if (!dsn.password().empty()) {
    first.push_back({"AUTH"});
    if (!dsn.user().empty()) first.back().push_back(dsn.user());
    first.back().push_back(dsn.password());
  }
  first.push_back({"SELECT", std::to_string(dsn.database())});
  const auto answers = connection->ask(first, connect_max);
  if (!answers) return answers.error();
  for (const RedisAnswer& each : *answers) {
    if (each.is_error()) return refused_at_start(dsn, each);
  }
  return connection;
}

void RedisConnection::send(const std::vector<RedisCommand>& commands) {
  answers_.clear();
  unsent_.clear();
  sent_ = 0;
  expected_ = commands.size();
  for (const RedisCommand& each : commands) append_to(unsent_, each);
}

void RedisConnection::lose(const std::string& why) {
  failure_ = Error{Fault::unavailable, {}, fmt::format("the connection to Redis at {} is lost: {}", where_, why)};
}

/// False when the socket is full, or lost.
bool RedisConnection::write_out() {
  while (sent_ < unsent_.size()) {
    const ssize_t wrote = ::send(socket_, unsent_.data() + sent_, unsent_.size() - sent_, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (wrote >= 0) {
      sent_ += static_cast<std::size_t>(wrote);
    } else if (errno != EINTR) {
      if (errno != EAGAIN && errno != EWOULDBLOCK) lose(std::strerror(errno));
      return false;
    }
  }
  return true;
}

/// Takes what has come. False when that was nothing, or the connection is lost.
bool RedisConnection::read_in() {
  std::array<char, 16384> bytes;
  const ssize_t got = ::recv(socket_, bytes.data(), bytes.size(), MSG_DONTWAIT);
  if (got < 0) {
    if (errno == EINTR) return true;
    if (errno != EAGAIN && errno != EWOULDBLOCK) lose(std::strerror(errno));
    return false;
  }
  if (got == 0) {
    lose("the server has closed it");
    return false;
  }
  ::redisReaderFeed(context_->reader, bytes.data(), static_cast<std::size_t>(got));
  for (;;) {
    void* reply = nullptr;
    if (::redisReaderGetReply(context_->reader, &reply) != REDIS_OK) {
      lose(context_->reader->errstr);
      return false;
    }
    if (reply == nullptr) return true;
    answers_.push_back(answer_of(*static_cast<redisReply*>(reply)));
    ::freeReplyObject(reply);
  }
}

bool RedisConnection::move() {
  if (failure_) return true;
  const bool is_out = write_out();
  while (!failure_ && answers_.size() < expected_ && read_in()) {
  }
  return failure_.has_value() || (is_out && answers_.size() >= expected_);
}

short RedisConnection::events() const noexcept {
  return static_cast<short>(sent_ < unsent_.size() ? POLLIN | POLLOUT : POLLIN);
}

Result<std::vector<RedisAnswer>> RedisConnection::ask(const std::vector<RedisCommand>& commands, Nanos most) {
  const auto deadline = std::chrono::steady_clock::now() + std::min(most, Nanos(std::chrono::hours(1)));
  send(commands);
  while (!move()) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
    pollfd descriptor{socket_, events(), 0};
    if (left > 0 && ::poll(&descriptor, 1, static_cast<int>(left)) >= 0) continue;
    lose("the server does not answer");
  }
  if (failure_) return *failure_;
  return std::move(answers_);
}

bool RedisConnection::is_sound() const noexcept {
  char byte = 0;
  const ssize_t got = ::recv(socket_, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return !failure_ && got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

void RedisConnection::shut() noexcept { ::shutdown(socket_, SHUT_RDWR); }

int RedisConnection::server_pid() const noexcept {
  ucred peer{};
  socklen_t size = sizeof peer;
  sockaddr_storage address{};
  socklen_t address_size = sizeof address;
  if (::getpeername(socket_, reinterpret_cast<sockaddr*>(&address), &address_size) != 0) return 0;
  if (address.ss_family != AF_UNIX) return 0;
  return ::getsockopt(socket_, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 ? peer.pid : 0;
}

}  // namespace lockstep::redis

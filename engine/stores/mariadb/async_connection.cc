// async_connection.cc: the calls of a statement, one after the other.
#include "engine/stores/mariadb/async_connection.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>

namespace lockstep::mariadb {

void AsyncMariaConnection::send(std::string sql) {
  sql_ = std::move(sql);
  answers_.clear();
  failure_.reset();
  failure_number_ = 0;
  begin_stage(Stage::query);
}

void AsyncMariaConnection::begin_stage(Stage stage) {
  stage_ = stage;
  switch (stage) {
    case Stage::query:
      awaits_ = ::mysql_real_query_start(&status_, get(), sql_.data(), sql_.size());
      return;
    case Stage::rows:
      awaits_ = ::mysql_store_result_start(&rows_, get());
      return;
    case Stage::next:
      awaits_ = ::mysql_next_result_start(&status_, get());
      return;
    case Stage::done:
      awaits_ = 0;
  }
}

void AsyncMariaConnection::go_on(int ready) {
  switch (stage_) {
    case Stage::query:
      awaits_ = ::mysql_real_query_cont(&status_, get(), ready);
      return;
    case Stage::rows:
      awaits_ = ::mysql_store_result_cont(&rows_, get(), ready);
      return;
    case Stage::next:
      awaits_ = ::mysql_next_result_cont(&status_, get(), ready);
      return;
    case Stage::done:
      return;
  }
}

void AsyncMariaConnection::stage_ended() {
  const bool failed = stage_ == Stage::rows ? rows_ == nullptr && ::mysql_errno(get()) != 0 : status_ > 0;
  if (failed) {
    failure_ = error_in(get());
    failure_number_ = ::mysql_errno(get());
    return begin_stage(Stage::done);
  }
  if (stage_ == Stage::next && status_ < 0) return begin_stage(Stage::done);
  if (stage_ != Stage::rows) return begin_stage(Stage::rows);
  answers_.push_back(answer_of(get(), rows_));
  ::mysql_free_result(std::exchange(rows_, nullptr));
  begin_stage(::mysql_more_results(get()) != 0 ? Stage::next : Stage::done);
}

short AsyncMariaConnection::events() const noexcept {
  short events = 0;
  if ((awaits_ & MYSQL_WAIT_READ) != 0) events |= POLLIN;
  if ((awaits_ & MYSQL_WAIT_WRITE) != 0) events |= POLLOUT;
  return events;
}

bool AsyncMariaConnection::move() {
  while (stage_ != Stage::done) {
    if (awaits_ == 0) {
      stage_ended();
      continue;
    }
    pollfd descriptor{socket(), events(), 0};
    if (::poll(&descriptor, 1, 0) <= 0) return false;
    int ready = 0;
    if ((descriptor.revents & ~POLLOUT) != 0) ready |= MYSQL_WAIT_READ;
    if ((descriptor.revents & POLLOUT) != 0) ready |= MYSQL_WAIT_WRITE;
    // A broken socket is ready for all, so the call goes on and finds out.
    go_on((ready & awaits_) != 0 ? ready & awaits_ : awaits_);
  }
  return true;
}

bool AsyncMariaConnection::is_sound() const noexcept {
  char byte = 0;
  const ssize_t got = ::recv(socket(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

}  // namespace lockstep::mariadb

// files.cc: pipes, sockets and what else a thread may wait at: it stands before them as before a lock, and others go
// on.
//
// A *channel* is a way through a pipe, a pair of sockets or an eventfd that this process has made: only its threads can
// change what is in it, so it is a thing like a semaphore. Everything else that a thread may wait at is *outside*: what
// comes there, and when, nobody here decides. A step there has no other place among the steps (kEverybody).
#include "engine/foreign/preload/files.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "engine/foreign/preload/control.h"
#include "engine/foreign/preload/file_locks.h"
#include "engine/foreign/preload/signals.h"

namespace lockstep::foreign {
namespace {

constexpr int kFilesMost = 1024;      ///< descriptors above are outside
constexpr int kChannelsMost = 128;    ///< in a run; more are outside
constexpr std::size_t kPiece = 4096;  ///< PIPE_BUF: as much goes into a pipe that poll calls writable
constexpr int kLookOutside_ms = 50;

struct Channel {
  std::uint64_t key = 0;
  int reader = -1, writer = -1;  ///< one descriptor of each end
};

Channel channels[kChannelsMost];
int channel_count = 0;
std::uint8_t way_in[kFilesMost];   ///< the channel that is read there, and 1 more; 0: none
std::uint8_t way_out[kFilesMost];  ///< that is written there
std::uint8_t made[kThreadsMost];   ///< by each thread

/// What a thread stands before, in its own frame.
struct Awaited {
  pollfd* files = nullptr;
  nfds_t count = 0;
  bool outside = false;
};
Awaited awaited[kThreadsMost];

using Poll = int(pollfd*, nfds_t, int);

Poll* real_poll() noexcept {
  static auto* const next = next_function<Poll>("poll");
  return next;
}

bool is_ready(int file, short events) noexcept {
  if (file < 0) return true;  // the other end is closed: no call waits
  pollfd one{.fd = file, .events = events, .revents = 0};
  return real_poll()(&one, 1, 0) > 0;
}

Channel* channel_at(const std::uint8_t (&ways)[kFilesMost], int file) noexcept {
  return file >= 0 && file < kFilesMost && ways[file] != 0 ? &channels[ways[file] - 1] : nullptr;
}

bool is_at_files(const ThreadState& thread) noexcept {
  const Act verb = thread.operation.verb;
  return thread.place == ThreadState::Place::at_gate &&
         (verb == Act::take_in || verb == Act::give_out || verb == Act::look_out);
}

/// A pipe, a socket or something of the kernel's that has a state: not what is always ready.
bool may_wait(int file) noexcept {
  struct stat state{};
  if (::fstat(file, &state) != 0) return false;
  return S_ISFIFO(state.st_mode) || S_ISSOCK(state.st_mode) || (state.st_mode & S_IFMT) == 0;
}

/// The begin of a thing's name: which of those that this thread has made.
std::uint64_t next_key(FileKind kind) noexcept {
  return kFilesAddress | static_cast<std::uint64_t>(kind) << 24U | static_cast<std::uint64_t>(self) << 16U |
         static_cast<std::uint64_t>(++made[self]) << 1U;
}

void open_channel(std::uint64_t key, int reader, int writer) noexcept {
  if (channel_count == kChannelsMost || reader >= kFilesMost || writer >= kFilesMost) return;
  channels[channel_count++] = {.key = key, .reader = reader, .writer = writer};
  way_in[reader] = way_out[writer] = static_cast<std::uint8_t>(channel_count);
}

void touch_ends(const Channel& channel, bool was_readable, bool was_writable) noexcept {
  Touches& touches = touches_now();
  touches.add({.object = channel.key,
               .touch = TouchKind::changes,
               .closed_before = !was_readable,
               .closed_after = !is_ready(channel.reader, POLLIN)});
  touches.add({.object = channel.key,
               .touch = TouchKind::changes,
               .facet = 1,
               .closed_before = !was_writable,
               .closed_after = !is_ready(channel.writer, POLLOUT)});
}

/// Another descriptor of the same end, when this one goes.
int other_end(const std::uint8_t (&ways)[kFilesMost], int file, std::uint8_t way) noexcept {
  for (int i = 0; i < kFilesMost; ++i) {
    if (i != file && ways[i] == way) return i;
  }
  return -1;
}

void forget_end(std::uint8_t (&ways)[kFilesMost], int Channel::* end, int file) noexcept {
  Channel* const channel = channel_at(ways, file);
  if (channel == nullptr) return;
  const std::uint8_t way = ways[file];
  ways[file] = 0;
  if (channel->*end == file) channel->*end = other_end(ways, file, way);
}

/// What close() does to channels, around the real one.
template <class Close>
int close_file(int file, const Close& close) noexcept {
  Channel* const ends[] = {channel_at(way_in, file), channel_at(way_out, file)};
  bool readable[2]{}, writable[2]{};
  for (int i = 0; i < 2; ++i) {
    if (ends[i] == nullptr) continue;
    readable[i] = is_ready(ends[i]->reader, POLLIN);
    writable[i] = is_ready(ends[i]->writer, POLLOUT);
  }
  if (file >= 0 && file < kFilesMost) {
    forget_end(way_in, &Channel::reader, file);
    forget_end(way_out, &Channel::writer, file);
  }
  const std::uint64_t locked = file_locked_by(file);
  const int failed = close();
  if (locked != 0) give_file_lock_back(file, locked);
  for (int i = 0; i < 2; ++i) {
    if (ends[i] != nullptr) touch_ends(*ends[i], readable[i], writable[i]);
  }
  return failed;
}

void copy_ways(int from, int to) noexcept {
  if (from < 0 || to < 0 || from >= kFilesMost || to >= kFilesMost) return;
  way_in[to] = way_in[from];
  way_out[to] = way_out[from];
}

/// Stands before the file until the call would not wait. A call that does not wait at all is a step, too.
class AtFile {
 public:
  AtFile(int file, bool writes, FileCall call, bool tries, std::uint64_t caller) noexcept
      : channel_(channel_at(writes ? way_out : way_in, file)) {
    if (channel_ == nullptr && (board->model.is_alone() || !may_wait(file))) return;
    tries = tries || (::fcntl(file, F_GETFL) & O_NONBLOCK) != 0;
    pollfd one{.fd = file, .events = static_cast<short>(writes ? POLLOUT : POLLIN), .revents = 0};
    awaited[self] = {.files = &one, .count = 1, .outside = channel_ == nullptr};
    const Operation operation{
        .verb = writes ? Act::give_out : Act::take_in,
        .patience = tries ? Persistence::tries : Persistence::waits,
        .call = call,
        .object = channel_ != nullptr ? channel_->key : kFilesAddress | static_cast<unsigned>(file),
        .caller = caller};
    (void)stand_before(operation);
    has_passed_ = board->model.thread(self).operation.argument == 1;
  }
  ~AtFile() {
    if (channel_ == nullptr || !has_passed_) return;
    const int error = errno;
    touch_ends(*channel_, true, true);  // what was before is known already
    errno = error;
  }
  AtFile(const AtFile&) = delete;
  AtFile& operator=(const AtFile&) = delete;

 private:
  Channel* const channel_;
  bool has_passed_ = false;  ///< it was ready
};

/// poll and its like. `most`: in virtual nanoseconds; below 0: for ever.
void stand_before_any(pollfd* files, nfds_t count, std::int64_t most, FileCall call, std::uint64_t caller) noexcept {
  if (count == 0 && most >= 0) {  // a sleep
    (void)stand_before({.verb = Act::sleep, .deadline = most, .caller = caller});
    return;
  }
  bool outside = count == 0;
  for (nfds_t i = 0; i < count; ++i) {
    outside = outside || (channel_at(way_in, files[i].fd) == nullptr && channel_at(way_out, files[i].fd) == nullptr);
  }
  awaited[self] = {.files = files, .count = count, .outside = outside};
  (void)stand_before({.verb = Act::look_out,
                      .patience = most < 0    ? Persistence::waits
                                  : most == 0 ? Persistence::tries
                                              : Persistence::timed,
                      .call = call,
                      .object = kFilesAddress | (count > 0 ? static_cast<unsigned>(files[0].fd) : 0U),
                      .deadline = most > 0 ? board->model.now() + most : 0,
                      .caller = caller});
}

std::int64_t nanoseconds(const timespec* span) noexcept {
  return span == nullptr ? -1 : span->tv_sec * 1'000'000'000 + span->tv_nsec;
}

constexpr std::int64_t kMilli = 1'000'000;

}  // namespace

void look_at_files() noexcept {
  for (int i = 0; i < kThreadsMost; ++i) {
    ThreadState& thread = board->model.thread(i);
    if (!is_at_files(thread)) continue;
    Operation& operation = thread.operation;
    const Awaited& at = awaited[i];
    operation.argument = real_poll()(at.files, at.count, 0) > 0 ? 1 : 0;
    operation.mutex = kOutside;
    if (at.outside || operation.verb == Act::look_out) continue;
    const Channel* const channel = channel_at(operation.verb == Act::give_out ? way_out : way_in, at.files[0].fd);
    if (channel == nullptr) continue;
    operation.mutex =
        (is_ready(channel->reader, POLLIN) ? kReadable : 0) | (is_ready(channel->writer, POLLOUT) ? kWritable : 0);
  }
}

bool wait_for_outside() noexcept {
  pollfd files[256];
  nfds_t count = 0;
  bool is_awaited = false;
  for (int i = 0; i < kThreadsMost; ++i) {
    if (!is_at_files(board->model.thread(i)) || !awaited[i].outside) continue;
    is_awaited = true;
    for (nfds_t f = 0; f < awaited[i].count && count < sizeof files / sizeof *files; ++f)
      files[count++] = awaited[i].files[f];
  }
  if (!is_awaited && !may_signal_come() && !may_file_lock_come()) return false;
  board->waits_outside = true;
  while (real_poll()(files, count, kLookOutside_ms) <= 0 && !has_signal_come() && !has_file_lock_come()) {
  }
  board->waits_outside = false;
  board->from_outside = true;
  return true;
}

}  // namespace lockstep::foreign

using namespace lockstep::foreign;

#define LOCKSTEP_AT_FILE(NAME, TYPE, FILE, WRITES, CALL, TRIES, ...) \
  static auto* const next = next_function<TYPE>(#NAME);              \
  if (!is_controlled()) return next(__VA_ARGS__);                    \
  const AtFile at(FILE, WRITES, CALL, TRIES, LOCKSTEP_CALLER);       \
  return next(__VA_ARGS__)

// -- in --

LOCKSTEP_EXPORTED ssize_t read(int file, void* to, std::size_t size) {
  LOCKSTEP_AT_FILE(read, ssize_t(int, void*, std::size_t), file, false, FileCall::read, false, file, to, size);
}

LOCKSTEP_EXPORTED ssize_t __read_chk(int file, void* to, std::size_t size, std::size_t room) {
  LOCKSTEP_AT_FILE(__read_chk, ssize_t(int, void*, std::size_t, std::size_t), file, false, FileCall::read, false, file,
                   to, size, room);
}

LOCKSTEP_EXPORTED ssize_t readv(int file, const iovec* parts, int count) {
  LOCKSTEP_AT_FILE(readv, ssize_t(int, const iovec*, int), file, false, FileCall::read, false, file, parts, count);
}

LOCKSTEP_EXPORTED ssize_t recv(int file, void* to, std::size_t size, int flags) {
  LOCKSTEP_AT_FILE(recv, ssize_t(int, void*, std::size_t, int), file, false, FileCall::recv,
                   (flags & MSG_DONTWAIT) != 0, file, to, size, flags);
}

LOCKSTEP_EXPORTED ssize_t __recv_chk(int file, void* to, std::size_t size, std::size_t room, int flags) {
  LOCKSTEP_AT_FILE(__recv_chk, ssize_t(int, void*, std::size_t, std::size_t, int), file, false, FileCall::recv,
                   (flags & MSG_DONTWAIT) != 0, file, to, size, room, flags);
}

LOCKSTEP_EXPORTED ssize_t recvfrom(int file, void* to, std::size_t size, int flags, sockaddr* from, socklen_t* length) {
  LOCKSTEP_AT_FILE(recvfrom, ssize_t(int, void*, std::size_t, int, sockaddr*, socklen_t*), file, false, FileCall::recv,
                   (flags & MSG_DONTWAIT) != 0, file, to, size, flags, from, length);
}

LOCKSTEP_EXPORTED ssize_t recvmsg(int file, msghdr* message, int flags) {
  LOCKSTEP_AT_FILE(recvmsg, ssize_t(int, msghdr*, int), file, false, FileCall::recv, (flags & MSG_DONTWAIT) != 0, file,
                   message, flags);
}

LOCKSTEP_EXPORTED int accept(int file, sockaddr* from, socklen_t* length) {
  LOCKSTEP_AT_FILE(accept, int(int, sockaddr*, socklen_t*), file, false, FileCall::accept, false, file, from, length);
}

LOCKSTEP_EXPORTED int accept4(int file, sockaddr* from, socklen_t* length, int flags) {
  LOCKSTEP_AT_FILE(accept4, int(int, sockaddr*, socklen_t*, int), file, false, FileCall::accept, false, file, from,
                   length, flags);
}

LOCKSTEP_EXPORTED int eventfd_read(int file, eventfd_t* value) {
  return read(file, value, sizeof *value) == static_cast<ssize_t>(sizeof *value) ? 0 : -1;
}

// -- out --

LOCKSTEP_EXPORTED ssize_t write(int file, const void* from, std::size_t size) {
  static auto* const next = next_function<ssize_t(int, const void*, std::size_t)>("write");
  if (!is_controlled()) return next(file, from, size);
  const bool is_long = size > kPiece && channel_at(way_out, file) != nullptr;
  if (!is_long) {
    const AtFile at(file, true, FileCall::write, false, LOCKSTEP_CALLER);
    return next(file, from, size);
  }
  // A long one would wait in the middle, with nobody to make room.
  std::size_t done = 0;
  while (done < size) {
    const AtFile at(file, true, FileCall::write, false, LOCKSTEP_CALLER);
    const std::size_t piece = size - done < kPiece ? size - done : kPiece;
    const ssize_t got = next(file, static_cast<const char*>(from) + done, piece);
    if (got < 0) return done > 0 ? static_cast<ssize_t>(done) : got;
    done += static_cast<std::size_t>(got);
  }
  return static_cast<ssize_t>(done);
}

LOCKSTEP_EXPORTED ssize_t writev(int file, const iovec* parts, int count) {
  LOCKSTEP_AT_FILE(writev, ssize_t(int, const iovec*, int), file, true, FileCall::write, false, file, parts, count);
}

LOCKSTEP_EXPORTED ssize_t send(int file, const void* from, std::size_t size, int flags) {
  LOCKSTEP_AT_FILE(send, ssize_t(int, const void*, std::size_t, int), file, true, FileCall::send,
                   (flags & MSG_DONTWAIT) != 0, file, from, size, flags);
}

LOCKSTEP_EXPORTED ssize_t sendto(int file, const void* from, std::size_t size, int flags, const sockaddr* to,
                                 socklen_t length) {
  LOCKSTEP_AT_FILE(sendto, ssize_t(int, const void*, std::size_t, int, const sockaddr*, socklen_t), file, true,
                   FileCall::send, (flags & MSG_DONTWAIT) != 0, file, from, size, flags, to, length);
}

LOCKSTEP_EXPORTED ssize_t sendmsg(int file, const msghdr* message, int flags) {
  LOCKSTEP_AT_FILE(sendmsg, ssize_t(int, const msghdr*, int), file, true, FileCall::send, (flags & MSG_DONTWAIT) != 0,
                   file, message, flags);
}

LOCKSTEP_EXPORTED int eventfd_write(int file, eventfd_t value) {
  return write(file, &value, sizeof value) == static_cast<ssize_t>(sizeof value) ? 0 : -1;
}

// -- several --

LOCKSTEP_EXPORTED int poll(pollfd* files, nfds_t count, int most) {
  if (!is_controlled() || board->model.is_alone()) return real_poll()(files, count, most);
  stand_before_any(files, count, most < 0 ? -1 : most * kMilli, FileCall::poll, LOCKSTEP_CALLER);
  return real_poll()(files, count, 0);
}

LOCKSTEP_EXPORTED int __poll_chk(pollfd* files, nfds_t count, int most, std::size_t) {
  return poll(files, count, most);
}

LOCKSTEP_EXPORTED int ppoll(pollfd* files, nfds_t count, const timespec* most, const sigset_t* mask) {
  static auto* const next = next_function<int(pollfd*, nfds_t, const timespec*, const sigset_t*)>("ppoll");
  if (!is_controlled() || board->model.is_alone()) return next(files, count, most, mask);
  stand_before_any(files, count, nanoseconds(most), FileCall::poll, LOCKSTEP_CALLER);
  constexpr timespec kNow{};
  return next(files, count, &kNow, mask);
}

LOCKSTEP_EXPORTED int select(int count, fd_set* in, fd_set* out, fd_set* strange, timeval* most) {
  static auto* const next = next_function<int(int, fd_set*, fd_set*, fd_set*, timeval*)>("select");
  if (!is_controlled() || board->model.is_alone()) return next(count, in, out, strange, most);
  pollfd files[FD_SETSIZE];
  nfds_t used = 0;
  for (int file = 0; file < count && file < FD_SETSIZE; ++file) {
    int events = in != nullptr && FD_ISSET(file, in) ? POLLIN : 0;
    if (out != nullptr && FD_ISSET(file, out)) events |= POLLOUT;
    if (strange != nullptr && FD_ISSET(file, strange)) events |= POLLPRI;
    if (events != 0) files[used++] = {.fd = file, .events = static_cast<short>(events), .revents = 0};
  }
  const std::int64_t span = most == nullptr ? -1 : most->tv_sec * 1'000'000'000 + most->tv_usec * 1000;
  stand_before_any(files, used, span, FileCall::select, LOCKSTEP_CALLER);
  timeval now{};
  return next(count, in, out, strange, &now);
}

LOCKSTEP_EXPORTED int epoll_wait(int file, epoll_event* events, int count, int most) {
  static auto* const next = next_function<int(int, epoll_event*, int, int)>("epoll_wait");
  if (!is_controlled() || board->model.is_alone()) return next(file, events, count, most);
  pollfd one{.fd = file, .events = POLLIN, .revents = 0};
  stand_before_any(&one, 1, most < 0 ? -1 : most * kMilli, FileCall::epoll_wait, LOCKSTEP_CALLER);
  return next(file, events, count, 0);
}

LOCKSTEP_EXPORTED int epoll_pwait(int file, epoll_event* events, int count, int most, const sigset_t* mask) {
  static auto* const next = next_function<int(int, epoll_event*, int, int, const sigset_t*)>("epoll_pwait");
  if (!is_controlled() || board->model.is_alone()) return next(file, events, count, most, mask);
  pollfd one{.fd = file, .events = POLLIN, .revents = 0};
  stand_before_any(&one, 1, most < 0 ? -1 : most * kMilli, FileCall::epoll_wait, LOCKSTEP_CALLER);
  return next(file, events, count, 0, mask);
}

// -- what channels there are --

LOCKSTEP_EXPORTED int pipe2(int ends[2], int flags) noexcept {
  static auto* const next = next_function<int(int*, int)>("pipe2");
  const int failed = next(ends, flags);
  if (failed == 0 && is_controlled()) open_channel(next_key(FileKind::pipe), ends[0], ends[1]);
  return failed;
}

LOCKSTEP_EXPORTED int pipe(int ends[2]) noexcept { return pipe2(ends, 0); }

LOCKSTEP_EXPORTED int socketpair(int domain, int type, int protocol, int ends[2]) noexcept {
  static auto* const next = next_function<int(int, int, int, int*)>("socketpair");
  const int failed = next(domain, type, protocol, ends);
  if (failed == 0 && is_controlled()) {
    const std::uint64_t key = next_key(FileKind::sockets);
    open_channel(key, ends[0], ends[1]);
    open_channel(key | 1U, ends[1], ends[0]);
  }
  return failed;
}

LOCKSTEP_EXPORTED int eventfd(unsigned int value, int flags) noexcept {
  static auto* const next = next_function<int(unsigned int, int)>("eventfd");
  const int file = next(value, flags);
  if (file >= 0 && is_controlled()) open_channel(next_key(FileKind::event), file, file);
  return file;
}

LOCKSTEP_EXPORTED int dup(int file) noexcept {
  static auto* const next = next_function<int(int)>("dup");
  const int copy = next(file);
  if (is_controlled()) copy_ways(file, copy);
  return copy;
}

LOCKSTEP_EXPORTED int dup3(int file, int to, int flags) noexcept {
  static auto* const next = next_function<int(int, int, int)>("dup3");
  if (!is_controlled() || file == to) return next(file, to, flags);
  const int copy = close_file(to, [&] { return next(file, to, flags); });
  copy_ways(file, copy);
  return copy;
}

LOCKSTEP_EXPORTED int dup2(int file, int to) noexcept {
  static auto* const next = next_function<int(int, int)>("dup2");
  if (!is_controlled() || file == to) return next(file, to);
  const int copy = close_file(to, [&] { return next(file, to); });
  copy_ways(file, copy);
  return copy;
}

LOCKSTEP_EXPORTED int close(int file) {
  static auto* const next = next_function<int(int)>("close");
  if (!is_controlled()) return next(file);
  return close_file(file, [&] { return next(file); });
}

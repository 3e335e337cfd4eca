// postgres_failure_test.cc: what a run is told when the server cannot be reached, refuses, or dies in the middle: on
// servers of the tests' own, with real kill -9.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <fstream>

#include "engine/stores/postgres/connection.h"
#include "engine/stores/postgres/session.h"
#include "tests/engine/stores/postgres/postgres_client.h"

namespace lockstep {
namespace {

using postgres::start_private_cluster;
using postgres_testing::Client;
using postgres_testing::eventually;
using postgres_testing::open_backend;
using postgres_testing::open_client;
using testing::HasSubstr;
using testing::Not;
using namespace std::chrono_literals;

int server_pid(Client& client) { return dynamic_cast<postgres::PostgresSession&>(client.session()).server_pid(); }

/// True when the process has closed its sockets: gone, or a zombie that nobody waits for.
bool has_ended(int pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(file, text);  // fails, and does not throw, when the process ends meanwhile
  return text.empty() || text.find(") Z ") != std::string::npos;
}

/// The parameter: whether the sessions block (libpqxx) or not (libpq).
class PostgresFailure : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    if (!postgres_testing::has_server_programs()) GTEST_SKIP() << "skipped: no PostgreSQL server is installed";
    auto cluster = start_private_cluster({.settings = {"max_connections=12"}});
    ASSERT_TRUE(cluster) << cluster.error().message;
    cluster_ = std::move(cluster).value();
    BackendOptions options;
    options.protocol = "read-committed";
    options.dsn = cluster_->dsn();
    options.blocking = GetParam();
    backend_ = open_backend(options);
    ASSERT_NE(backend_, nullptr);
    ASSERT_TRUE(backend_->set_up({{"a", "1"}}, {}));
    t1_ = open_client(*backend_, 0);
    t2_ = open_client(*backend_, 1);
    ASSERT_FALSE(t1_->fault({.verb = Verb::begin}));
    ASSERT_FALSE(t1_->fault({.verb = Verb::write, .key = "a", .value = "10"}));
    const auto monitor = backend_->query("select pg_backend_pid()");
    ASSERT_TRUE(monitor) << monitor.error().message;
    sessions_ = {server_pid(*t1_), server_pid(*t2_), std::stoi((*monitor)[0][0].value_or("0"))};
  }
  /// Kills the server and waits for the processes of its sessions, which end by themselves when they notice.
  void kill_server() {
    ::kill(cluster_->server_pid(), SIGKILL);
    ASSERT_TRUE(eventually([this] { return !cluster_->alive(); }));
    for (const int pid : sessions_) ASSERT_TRUE(eventually([pid] { return has_ended(pid); }));
  }
  /// Commits while T1's server process is stopped, so that the request leaves and no answer comes; then kills the
  /// process.
  const Pending& commit_and_lose_the_answer() {
    const int pid = server_pid(*t1_);
    ::kill(pid, SIGSTOP);
    const auto before = unread_bytes();
    t1_->start({.verb = Verb::commit});
    EXPECT_TRUE(eventually([&] { return unread_bytes() > before; })) << "the commit did not leave";
    EXPECT_FALSE(t1_->finished());
    ::kill(pid, SIGKILL);
    ::kill(cluster_->server_pid(), SIGKILL);
    return t1_->end();
  }

  std::unique_ptr<server::PrivateServer> cluster_;
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<Client> t1_, t2_;

 private:
  std::vector<int> sessions_;  ///< the server's processes of both clients and of the monitor

  /// What this process has written to its sockets and nobody has read yet.
  static int unread_bytes() {
    int sum = 0;
    for (int fd = 3; fd < 100; ++fd) {
      int unread = 0;
      if (::ioctl(fd, SIOCOUTQ, &unread) == 0) sum += unread;
    }
    return sum;
  }
};

INSTANTIATE_TEST_SUITE_P(Kinds, PostgresFailure, testing::Values(false, true),
                         [](const auto& info) { return info.param ? "Libpqxx" : "Libpq"; });

TEST_P(PostgresFailure, AServerKilledInMidStatementIsUnavailable) {
  // Outside a transaction: whether the write took effect cannot be known. Inside one it did not.
  t2_->start({.verb = Verb::execute, .key = "update kv set v = '11' where k = 'a'"});
  t2_->blocked();
  kill_server();
  EXPECT_EQ(t2_->end().error->fault, Fault::outcome_unknown) << t2_->pending().error->message;
  EXPECT_EQ(t1_->fault({.verb = Verb::read, .key = "a"}), Fault::unavailable) << t1_->pending().error->message;
  EXPECT_FALSE(is_retry_safe(t1_->pending().error->fault));
  EXPECT_FALSE(t1_->session().in_transaction());
  EXPECT_EQ(t1_->fault({.verb = Verb::begin}), Fault::unavailable);
  EXPECT_FALSE(t1_->fault({.verb = Verb::abort}));
  EXPECT_EQ(backend_->final_state().fault(), Fault::unavailable);
  EXPECT_EQ(backend_->query("select 1").fault(), Fault::unavailable);
}

TEST_P(PostgresFailure, AWaitInsideATransactionThatLosesTheServerIsUnavailable) {
  ASSERT_FALSE(t2_->fault({.verb = Verb::begin}));
  t2_->start({.verb = Verb::write, .key = "a", .value = "11"});
  t2_->blocked();
  kill_server();
  EXPECT_EQ(t2_->end().error->fault, Fault::unavailable) << t2_->pending().error->message;
}

TEST_P(PostgresFailure, ACommitWhoseAnswerIsLostIsUnknown) {
  const Pending& done = commit_and_lose_the_answer();
  ASSERT_TRUE(done.error);
  EXPECT_EQ(done.error->fault, Fault::outcome_unknown) << done.error->message;
  EXPECT_THAT(done.error->message, HasSubstr("unknown"));
  EXPECT_FALSE(is_retry_safe(done.error->fault));
  EXPECT_FALSE(t1_->session().in_transaction());
}

TEST_P(PostgresFailure, ACommitOnAConnectionLostBeforeIsNotInDoubt) {
  const int pid = server_pid(*t1_);
  ::kill(pid, SIGKILL);
  kill_server();
  EXPECT_EQ(t1_->fault({.verb = Verb::commit}), Fault::unavailable) << t1_->pending().error->message;
}

TEST_P(PostgresFailure, ASessionThatAnAdministratorEndsSaysSo) {
  const std::string pid = std::to_string(server_pid(*t1_));
  ASSERT_TRUE(backend_->query("select pg_terminate_backend(" + pid + ")"));
  ASSERT_TRUE(
      eventually([&] { return backend_->query("select 1 from pg_stat_activity where pid = " + pid)->empty(); }));
  EXPECT_EQ(t1_->fault({.verb = Verb::commit}), Fault::unavailable);
  EXPECT_EQ(t1_->pending().error->code, "57P01");
  EXPECT_EQ((*backend_->final_state())[0].second, "1");
}

TEST_P(PostgresFailure, NoSessionMoreThanTheServerAllows) {
  std::vector<std::unique_ptr<Session>> sessions;
  std::optional<Error> error;
  while (!error && sessions.size() < 20) {
    auto session = backend_->open_session(2, "T3");
    if (session)
      sessions.push_back(std::move(session).value());
    else
      error = session.error();
  }
  ASSERT_TRUE(error);
  EXPECT_EQ(error->fault, Fault::unavailable) << error->message;
}

/// What opening gives, and how long it took.
std::pair<Error, std::chrono::milliseconds> open_fails(const std::string& dsn, bool blocking,
                                                       Nanos connect_timeout = 20s) {
  BackendOptions options;
  options.protocol = "serializable";
  options.dsn = dsn;
  options.blocking = blocking;
  options.connect_timeout = connect_timeout;
  const auto begin = std::chrono::steady_clock::now();
  auto backend = backend_postgres().open(options);
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begin);
  EXPECT_FALSE(backend);
  return {backend ? Error{} : backend.error(), took};
}

class PostgresConnect : public testing::TestWithParam<bool> {};

INSTANTIATE_TEST_SUITE_P(Kinds, PostgresConnect, testing::Values(false, true),
                         [](const auto& info) { return info.param ? "Libpqxx" : "Libpq"; });

TEST_P(PostgresConnect, ToAClosedPortSaysWhatWasTried) {
  const auto [error, took] = open_fails("postgresql://bob:secret@127.0.0.1:1/shop", GetParam());
  EXPECT_EQ(error.fault, Fault::unavailable);
  EXPECT_THAT(error.message, HasSubstr("host \"127.0.0.1\" port 1 as user \"bob\" to database \"shop\""));
  EXPECT_THAT(error.message, Not(HasSubstr("secret")));
  EXPECT_LT(took, 5s);
}

TEST_P(PostgresConnect, ToAMissingSocketSaysWhatWasTried) {
  const auto [error, took] = open_fails("host=/nonexistent dbname=shop user=bob", GetParam());
  EXPECT_EQ(error.fault, Fault::unavailable);
  EXPECT_THAT(error.message, HasSubstr("/nonexistent"));
}

TEST_P(PostgresConnect, ToSomebodyWhoNeverAnswersEndsAtTheLimit) {
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  ASSERT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(listener, 8), 0);
  ASSERT_EQ(::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size), 0);
  const auto [error, took] =
      open_fails("host=127.0.0.1 user=bob port=" + std::to_string(ntohs(address.sin_port)), GetParam(), 300ms);
  EXPECT_EQ(error.fault, Fault::unavailable);
  EXPECT_THAT(error.message, HasSubstr("no answer within 300 ms"));
  EXPECT_GE(took, 299ms);
  EXPECT_LT(took, 5s);
  ::close(listener);
}

TEST_P(PostgresConnect, WithABadDsnIsInvalidAndDoesNotRepeatIt) {
  for (const char* dsn : {"postgresql://bob:secret@[::1:5432/shop", "host=x secret", "passwort=secret"}) {
    const auto [error, took] = open_fails(dsn, GetParam());
    EXPECT_EQ(error.fault, Fault::invalid) << dsn;
    EXPECT_THAT(error.message, Not(HasSubstr("secret")));
  }
}

/// A private server that asks for passwords, and a user who may do nothing.
TEST_P(PostgresConnect, WithAWrongPasswordIsUnavailableAndWithoutRightsIsForbidden) {
  if (!postgres_testing::has_server_programs()) GTEST_SKIP() << "skipped: no PostgreSQL server is installed";
  auto cluster = start_private_cluster();
  ASSERT_TRUE(cluster) << cluster.error().message;
  const auto dsn = postgres::Dsn::parse((*cluster)->dsn());
  auto admin = postgres::connect(*dsn, "test", 5s);
  ASSERT_TRUE(admin) << admin.error().message;
  ASSERT_TRUE(postgres::ask(admin->get(), "create user bob password 'secret'", {}, 5s));
  std::ofstream((*cluster)->folder() + "/data/pg_hba.conf")
      << "local all postgres trust\nlocal all all scram-sha-256\n";
  ASSERT_TRUE(postgres::ask(admin->get(), "select pg_reload_conf()", {}, 5s));

  const std::string base = "host='" + (*cluster)->folder() + "/s' port=5432 user=bob dbname=postgres password=";
  // The new rules hold once the server has read them; until then the wrong password is not asked for.
  Error error;
  ASSERT_TRUE(eventually([&] {
    error = open_fails(base + "wrong", GetParam()).first;
    return error.fault == Fault::unavailable;
  }));
  EXPECT_THAT(error.message, HasSubstr("user \"bob\""));
  EXPECT_THAT(error.message, Not(HasSubstr("wrong")));

  EXPECT_EQ(open_fails(base + "secret", GetParam()).first.fault, Fault::permission);

  // With the right to make schemas the run works, though bob may not set deadlock_timeout.
  ASSERT_TRUE(postgres::ask(admin->get(), "grant create on database postgres to bob", {}, 5s));
  BackendOptions options;
  options.protocol = "serializable";
  options.dsn = base + "secret";
  options.blocking = GetParam();
  const auto backend = open_backend(options);
  ASSERT_NE(backend, nullptr);
  ASSERT_TRUE(backend->set_up({{"a", "1"}}, {}));
  auto client = open_client(*backend, 0);
  EXPECT_FALSE(client->fault({.verb = Verb::begin}));
  EXPECT_EQ(client->read("a"), "1");
  const auto environment = backend->environment();
  const std::map<std::string, std::string> facts(environment.begin(), environment.end());
  EXPECT_THAT(facts.at("deadlock_timeout"), HasSubstr("not allowed"));
}

TEST_P(PostgresConnect, DropsTheSchemasOfDeadRunsAndOnlyThose) {
  const std::string dsn = postgres_testing::test_dsn();
  if (dsn.empty()) GTEST_SKIP() << "skipped: no PostgreSQL server is installed and LOCKSTEP_TEST_DSN is not set";
  BackendOptions options;
  options.protocol = "serializable";
  options.dsn = dsn;
  options.blocking = GetParam();
  const auto living = open_backend(options);
  ASSERT_NE(living, nullptr);
  // Of this process alone: others use the same server.
  const std::string stale = fmt::format("lockstep_1_{:08x}", ::getpid());
  const auto made = living->query(fmt::format("create schema {0}; create table {0}.kv (k text);", stale));
  ASSERT_TRUE(made) << made.error().message;
  const auto next = open_backend(options);
  ASSERT_NE(next, nullptr);
  // Another process that opens its store at this moment may be the one that drops it.
  EXPECT_TRUE(eventually(
      [&] { return next->query(fmt::format("select 1 from pg_namespace where nspname = '{}'", stale))->empty(); }));
  EXPECT_TRUE(living->final_state());
}

}  // namespace
}  // namespace lockstep

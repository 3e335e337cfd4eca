// clients.h: clients of a store that one thread steps, so that a test decides the schedule.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kv/store.h"
#include "kv/sync_facade.h"
#include "tests/kv/log/faulty_files.h"

namespace lockstep::kv::testing {

/// What a variable of the environment asks for: more rounds, another seed.
inline std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
  const char* const text = std::getenv(variable);
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

/// Counts how often it is woken, possibly by the thread of a log.
class CountingWaiter final : public Waiter {
 public:
  void wake() noexcept override { ++wakes; }
  std::atomic<int> wakes{0};
};

/// Behind the name of a protocol: a store with a data folder on a disk in memory, whose commits do not wait.
inline constexpr std::string_view kOnDisk = "-on-disk";

inline std::string_view protocol_of(std::string_view param) {
  return param.substr(0, param.size() - (param.ends_with(kOnDisk) ? kOnDisk.size() : 0));
}

inline std::unique_ptr<Store> open_store(std::string_view protocol, Options options = {}) {
  options.protocol = protocol_of(protocol);
  if (protocol.ends_with(kOnDisk)) {
    static FaultyFiles disk;
    static int stores = 0;
    options.path = fmt::format("/data-{}", ++stores);
    options.files = &disk;
    options.durability = Durability::async;
  }
  Result<std::unique_ptr<Store>> store = Store::open(options);
  EXPECT_TRUE(store.ok()) << store.error().message;
  return std::move(store).value();
}

/// Every key that the tests use: what a transaction claims under the banker unless it says otherwise.
inline const std::vector<std::string>& usual_claims() {
  static const std::vector<std::string> claims = {"a", "b", "c", "d", "e", "x", "y", "z"};
  return claims;
}

/// One transaction whose operations are begun and then, after a wake-up, attempted again.
class Client {
 public:
  Client(Store& store, std::string label, std::vector<std::string> claims = usual_claims(),
         Isolation isolation = Isolation::protocol)
      : store_(&store), label_(std::move(label)), claims_(std::move(claims)), isolation_(isolation) {
    begin();
  }

  void begin(TxnId first_attempt = 0) {
    txn = store_->begin(
        {.label = label_, .tag = 7, .claims = claims_, .first_attempt = first_attempt, .isolation = isolation_});
  }

  // "ok", "yes VALUE", "no", rows, "waits" or the name of a fault.
  std::string read(std::string key) {
    return run([this, key](Waiter& w) {
      Attempt<bool> a = txn.read(key, value_, w);
      return found(a, value_);
    });
  }
  std::string read_for_update(std::string key) {
    return run([this, key](Waiter& w) {
      Attempt<bool> a = txn.read_for_update(key, value_, w);
      return found(a, value_);
    });
  }
  std::string write(std::string key, std::string value) {
    return run([this, key, value](Waiter& w) { return done(txn.write(key, value, w)); });
  }
  std::string insert(std::string key, std::string value) {
    return run([this, key, value](Waiter& w) { return done(txn.insert(key, value, w)); });
  }
  std::string write_if(std::string key, std::string expected, std::string value) {
    return run([=, this](Waiter& w) { return found(txn.write_if(key, expected, value, w), ""); });
  }
  std::string erase(std::string key) {
    return run([this, key](Waiter& w) { return found(txn.erase(key, w), ""); });
  }
  std::string scan(std::string from, std::string to, std::size_t limit = 100) {
    return run([=, this](Waiter& w) {
      const Attempt<void> a = txn.scan(from, to, limit, rows_, w);
      return listed(a);
    });
  }
  std::string scan_for_update(std::string from, std::string to, std::size_t limit = 100) {
    return run([=, this](Waiter& w) {
      const Attempt<void> a = txn.scan_for_update(from, to, limit, rows_, w);
      return listed(a);
    });
  }
  std::string commit() {
    return run([this](Waiter& w) { return done(txn.commit(w)); });
  }

  bool is_woken() const { return waits_ && waiter_->wakes == 1; }
  bool waits() const { return waits_; }
  int wakes() const { return waiter_->wakes; }
  /// Attempts the pending operation again; it must have been woken, or its wait cancelled.
  std::string again() {
    // Otherwise the store still knows the waiter: it must stay.
    if (!waits_ || (waiter_->wakes == 0 && !cancelled_)) {
      ADD_FAILURE() << label_ << (waits_ ? " has not been woken" : " does not wait");
      return "not woken";
    }
    return run(pending_);
  }
  void cancel(Fault why) {
    cancelled_ = true;
    txn.cancel_wait(why);
  }

  const std::string& message() const { return message_; }

  Transaction txn;

 private:
  using Call = std::function<std::optional<std::string>(Waiter&)>;

  std::string run(Call call) {
    waiter_ = std::make_unique<CountingWaiter>();  // a new one each time: ASan tells when an old one is woken
    const std::optional<std::string> answer = call(*waiter_);
    waits_ = !answer.has_value();
    cancelled_ = false;
    pending_ = std::move(call);
    EXPECT_TRUE(waits_ || waiter_->wakes == 0) << label_ << " was answered and woken";
    return answer.value_or("waits");
  }

  std::string fault(const Error& error) {
    message_ = error.message;
    return std::string(lockstep::name_of(error.fault));
  }
  std::optional<std::string> found(const Attempt<bool>& a, const std::string& value) {
    if (!a) return std::nullopt;
    if (!a->ok()) return fault(a->error());
    return **a ? "yes " + value : std::string("no");
  }
  std::optional<std::string> done(const Attempt<void>& a) {
    if (!a) return std::nullopt;
    return a->ok() ? std::string("ok") : fault(a->error());
  }
  std::optional<std::string> listed(const Attempt<void>& a) {
    if (!a) return std::nullopt;
    if (!a->ok()) return fault(a->error());
    std::string text;
    for (const Row& row : rows_) text += fmt::format("{}{}={}", text.empty() ? "" : " ", row.key, row.value);
    return text;
  }

  Store* store_;
  std::string label_;
  std::vector<std::string> claims_;
  Isolation isolation_;
  std::unique_ptr<CountingWaiter> waiter_ = std::make_unique<CountingWaiter>();
  Call pending_;
  bool waits_ = false;
  bool cancelled_ = false;
  std::string value_;
  std::string message_;
  std::vector<Row> rows_;
};

/// Commits `rows` in one transaction of its own. Nobody may be in its way: it fails rather than wait.
inline void load(Store& store, const std::vector<Row>& rows) {
  CountingWaiter waiter;
  Transaction txn = store.begin({.label = "load", .claims_all = true});
  for (const Row& row : rows) {
    const Attempt<void> written = txn.write(row.key, row.value, waiter);
    ASSERT_TRUE(written && written->ok()) << "somebody is in the way of " << row.key;
  }
  ASSERT_TRUE(txn.commit(waiter)->ok());
}

/// What a new transaction finds. The same.
inline std::vector<Row> contents(Store& store) {
  CountingWaiter waiter;
  Transaction txn = store.begin({.label = "contents", .claims_all = true});
  std::vector<Row> rows;
  const Attempt<void> scanned = txn.scan("", "", 1'000'000, rows, waiter);
  EXPECT_TRUE(scanned && scanned->ok()) << "somebody still has a lock";
  txn.abort();
  return rows;
}

/// A transaction that writes one row, or erases it if `value` is empty.
inline void commit_row(Store& store, const std::string& key, const std::string& value) {
  SyncTransaction txn(store.begin());
  if (value.empty()) {
    ASSERT_TRUE(txn.erase(key).ok());
  } else {
    ASSERT_TRUE(txn.write(key, value).ok());
  }
  ASSERT_TRUE(txn.commit().ok());
}

inline std::vector<std::string> protocol_names() {
  std::vector<std::string> names;
  for (const ProtocolInfo& info : protocols()) names.emplace_back(info.name);
  return names;
}

inline std::vector<std::string> protocol_names_on_disk() {
  std::vector<std::string> names = protocol_names();
  for (std::string& name : names) name += kOnDisk;
  return names;
}

inline bool is_serializable(std::string_view protocol) {
  for (const ProtocolInfo& info : protocols())
    if (info.name == protocol) return info.serializable;
  return false;
}

/// "2pl-detect" as a name that gtest accepts.
inline std::string test_name(const ::testing::TestParamInfo<std::string>& info) {
  std::string name = info.param;
  for (char& c : name)
    if (c == '-') c = '_';
  return name;
}

/// For a suite over every protocol of the build.
#define LOCKSTEP_EVERY_PROTOCOL(Suite)                                                                       \
  INSTANTIATE_TEST_SUITE_P(Protocols, Suite, ::testing::ValuesIn(::lockstep::kv::testing::protocol_names()), \
                           ::lockstep::kv::testing::test_name)

}  // namespace lockstep::kv::testing

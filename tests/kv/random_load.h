// random_load.h: threads that append, erase, scan and roll back at random, and the history of it for engine/check.
//
// The keys k/0, k/1 … hold lists, as text. Whoever erases one leaves its list in the key's grave g/0, g/1 …, where its
// next creator finds it; what is done to graves is not part of the history.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <random>
#include <sstream>
#include <thread>

#include "engine/check/history.h"
#include "kv/sync_facade.h"

namespace lockstep::kv::testing {

/// What a load asks of a store: kv itself, or one with a planted fault. One thread.
class Session {
 public:
  virtual ~Session() = default;
  virtual void begin(const std::vector<std::string>& claims, bool retry) = 0;
  virtual Result<bool> read(KeyView key, std::string& value) = 0;
  virtual Result<bool> read_for_update(KeyView key, std::string& value) = 0;
  virtual Result<void> write(KeyView key, std::string_view value) = 0;
  virtual Result<void> insert(KeyView key, std::string_view value) = 0;
  virtual Result<bool> write_if(KeyView key, std::string_view expected, std::string_view value) = 0;
  virtual Result<bool> erase(KeyView key) = 0;
  virtual Result<void> scan(KeyView from, KeyView to, std::size_t limit, std::vector<Row>& rows) = 0;
  virtual Result<void> scan_for_update(KeyView from, KeyView to, std::size_t limit, std::vector<Row>& rows) = 0;
  virtual Result<void> savepoint(std::string_view name) = 0;
  virtual Result<void> rollback_to(std::string_view name) = 0;
  virtual Result<void> commit() = 0;
  virtual void abort() = 0;
};

/// kv itself.
class StoreSession : public Session {
 public:
  explicit StoreSession(Store& store, TxnOptions options = {}) : store_(store), options_(options) {}

  void begin(const std::vector<std::string>& claims, bool retry) override {
    // Every second transaction names its keys, which are then fetched ahead; the others may lock any.
    options_.claims_all = begun_++ % 2 == 1;
    options_.claims = options_.claims_all ? std::span<const std::string>() : std::span(claims);
    options_.first_attempt = retry ? first_attempt_ : 0;
    txn_.emplace(store_.begin(options_));
    if (!retry) first_attempt_ = txn_->id();
  }
  Result<bool> read(KeyView key, std::string& value) override { return txn_->read(key, value); }
  Result<bool> read_for_update(KeyView key, std::string& value) override { return txn_->read_for_update(key, value); }
  Result<void> write(KeyView key, std::string_view value) override { return txn_->write(key, value); }
  Result<void> insert(KeyView key, std::string_view value) override { return txn_->insert(key, value); }
  Result<bool> write_if(KeyView key, std::string_view expected, std::string_view value) override {
    return txn_->write_if(key, expected, value);
  }
  Result<bool> erase(KeyView key) override { return txn_->erase(key); }
  Result<void> scan(KeyView from, KeyView to, std::size_t limit, std::vector<Row>& rows) override {
    return txn_->scan(from, to, limit, rows);
  }
  Result<void> scan_for_update(KeyView from, KeyView to, std::size_t limit, std::vector<Row>& rows) override {
    return txn_->scan_for_update(from, to, limit, rows);
  }
  Result<void> savepoint(std::string_view name) override { return txn_->savepoint(name); }
  Result<void> rollback_to(std::string_view name) override { return txn_->rollback_to(name); }
  Result<void> commit() override { return txn_->commit(); }
  void abort() override { txn_->abort(); }

 protected:
  Store& store_;
  TxnOptions options_;
  std::optional<SyncTransaction> txn_;
  TxnId first_attempt_ = 0;
  std::size_t begun_ = 0;
};

struct LoadSettings {
  std::uint64_t seed = 1;
  int threads = 3;
  int transactions = 60;  ///< of each thread, aborted ones included
  std::size_t keys = 6;
  /// Every write is preceded by a read_for_update of its key: without it read committed loses updates, as it may.
  bool locks_before_it_writes = false;
};

/// One thread's part of the load.
class LoadClient {
 public:
  LoadClient(Session& session, const LoadSettings& settings, int thread)
      : session_(session),
        settings_(settings),
        thread_(thread),
        random_(settings.seed * 100 + static_cast<std::uint64_t>(thread)) {}

  std::vector<check::Transaction> run() {
    bool retry = false;
    for (int i = 0; i < settings_.transactions; ++i) retry = !run_one(i, retry);
    return std::move(done_);
  }

  static std::string key(std::size_t i) { return fmt::format("k/{}", i); }
  static std::string grave(std::size_t i) { return fmt::format("g/{}", i); }
  static check::List list_of(const std::string& text) {
    std::istringstream words(text);
    check::List list;
    for (check::Element element = 0; words >> element;) list.push_back(element);
    return list;
  }

 private:
  using Operation = check::Operation;
  enum Kind { read, append, append_if, toggle, scan, undone_append, kKinds };
  struct Step {
    Kind kind;
    std::size_t key;
  };

  bool run_one(int number, bool retry) {
    std::vector<Step> steps(1 + random_() % 5);
    for (Step& step : steps) step = {static_cast<Kind>(random_() % kKinds), random_() % settings_.keys};
    check::Transaction& record = done_.emplace_back();
    record.name = fmt::format("T{}.{}", thread_, number);
    record.began_at = now();
    session_.begin(claims_of(steps), retry);
    Result<void> result;
    for (std::size_t i = 0; result.ok() && i < steps.size(); ++i) {
      result = perform(steps[i], record.operations);
      if (random_() % 3 == 0) std::this_thread::yield();
    }
    const bool changes_its_mind = result.ok() && random_() % 20 == 0;
    if (result.ok() && !changes_its_mind) result = session_.commit();
    const bool committed = result.ok() && !changes_its_mind;
    if (!committed) session_.abort();
    record.ended_at = now();
    record.end = committed ? check::Transaction::End::committed : check::Transaction::End::aborted;
    if (!result.ok() && !is_retry_safe(result.fault())) ADD_FAILURE() << record.name << ": " << result.error().message;
    return result.ok();
  }

  std::vector<std::string> claims_of(const std::vector<Step>& steps) const {
    std::vector<std::string> claims;
    for (const Step& step : steps) {
      claims.push_back(key(step.key)), claims.push_back(grave(step.key));
      for (std::size_t i = 0; step.kind == scan && i < settings_.keys; ++i) claims.push_back(key(i));
    }
    return claims;
  }

  Result<void> perform(const Step& step, std::vector<Operation>& record) {
    switch (step.kind) {
      case read:
        return look(step.key, random_() % 3 == 0, record).ok() ? Result<void>() : failed_;
      case append:
      case append_if:
        return write(step, record);
      case toggle: {
        const Result<bool> there = look(step.key, locks(), record);
        if (!there.ok()) return failed_;
        return *there ? erase(step.key, record) : create(step.key, record);
      }
      case scan:
        return scan_some(record);
      case undone_append: {
        if (Result<void> made = session_.savepoint("s"); !made.ok()) return made;
        const std::size_t first = record.size();
        if (Result<void> written = write(step, record); !written.ok()) return written;
        for (std::size_t i = first; i < record.size(); ++i) record[i].undone = record[i].element != 0;
        return session_.rollback_to("s");
      }
      case kKinds:
        break;
    }
    return Fault::internal;
  }

  bool locks() { return settings_.locks_before_it_writes || random_() % 2 == 0; }

  /// Reads a key into `list_` and `text_`, on record; whether it is there.
  Result<bool> look(std::size_t i, bool for_update, std::vector<Operation>& record) {
    const Result<bool> found = for_update ? session_.read_for_update(key(i), text_) : session_.read(key(i), text_);
    if (!found.ok()) return failed_ = found.error(), found;
    list_ = *found ? list_of(text_) : check::List();
    record.push_back({*found ? Operation::Kind::read : Operation::Kind::absent, key(i), list_, 0, false});
    return found;
  }

  Result<void> write(const Step& step, std::vector<Operation>& record) {
    const Result<bool> there = look(step.key, locks(), record);
    if (!there.ok()) return failed_;
    if (!*there) return create(step.key, record);
    const check::Element element = next();
    const std::string longer = fmt::format("{} {}", text_, element);
    if (step.kind == append_if) {
      const Result<bool> written = session_.write_if(key(step.key), text_, longer);
      if (!written.ok()) return written.error();
      if (!*written) return {};
    } else if (Result<void> written = session_.write(key(step.key), longer); !written.ok()) {
      return written;
    }
    record.push_back({Operation::Kind::append, key(step.key), {}, element, false});
    return {};
  }

  Result<void> create(std::size_t i, std::vector<Operation>& record) {
    std::string before;
    const Result<bool> buried = locks() ? session_.read_for_update(grave(i), before) : session_.read(grave(i), before);
    if (!buried.ok()) return buried.error();
    const check::Element element = next();
    const std::string list = *buried ? fmt::format("{} {}", before, element) : std::to_string(element);
    const Result<void> made = random_() % 2 == 0 ? session_.insert(key(i), list) : session_.write(key(i), list);
    if (!made.ok() && made.fault() == Fault::constraint) return {};
    if (made.ok()) record.push_back({Operation::Kind::append, key(i), {}, element, false});
    return made;
  }

  Result<void> erase(std::size_t i, std::vector<Operation>& record) {
    const check::Element element = next();
    const std::string list = fmt::format("{} {}", text_, element);
    const Result<bool> erased = session_.erase(key(i));
    if (!erased.ok()) return erased.error();
    if (!*erased) return {};
    record.push_back({Operation::Kind::erase, key(i), {}, element, false});
    return session_.write(grave(i), list);
  }

  Result<void> scan_some(std::vector<Operation>& record) {
    const std::size_t first = random_() % settings_.keys;
    const std::size_t limit = random_() % 2 == 0 ? 1 + random_() % 3 : settings_.keys + 1;
    std::vector<Row> rows;
    const Result<void> scanned = random_() % 4 == 0 ? session_.scan_for_update(key(first), "k0", limit, rows)
                                                    : session_.scan(key(first), "k0", limit, rows);
    if (!scanned.ok()) return scanned;
    // A scan that stopped at its limit has seen nothing behind its last row.
    for (std::size_t i = first; i < settings_.keys; ++i) {
      if (rows.size() == limit && key(i) > rows.back().key) break;
      const auto row = std::find_if(rows.begin(), rows.end(), [&](const Row& r) { return r.key == key(i); });
      if (row == rows.end())
        record.push_back({Operation::Kind::absent, key(i), {}, 0, false});
      else
        record.push_back({Operation::Kind::read, key(i), list_of(row->value), 0, false});
    }
    return {};
  }

  check::Element next() { return (static_cast<check::Element>(thread_) + 1) * 1'000'000 + ++last_; }
  static std::int64_t now() { return std::chrono::steady_clock::now().time_since_epoch().count(); }

  Session& session_;
  const LoadSettings& settings_;
  const int thread_;
  std::mt19937_64 random_;
  std::vector<check::Transaction> done_;
  std::string text_;
  check::List list_;
  Error failed_;
  check::Element last_ = 0;
};

/// Runs the load on sessions made by `open` and returns what happened.
inline check::History run_load(const LoadSettings& settings, const std::function<std::unique_ptr<Session>()>& open) {
  std::vector<std::vector<check::Transaction>> parts(static_cast<std::size_t>(settings.threads));
  std::vector<std::thread> threads;
  for (int i = 0; i < settings.threads; ++i)
    threads.emplace_back([&, i] {
      const std::unique_ptr<Session> session = open();
      parts[static_cast<std::size_t>(i)] = LoadClient(*session, settings, i).run();
    });
  for (std::thread& thread : threads) thread.join();
  check::History history;
  for (auto& part : parts) std::move(part.begin(), part.end(), std::back_inserter(history.transactions));
  const std::unique_ptr<Session> session = open();
  std::vector<std::string> claims;
  for (std::size_t i = 0; i < settings.keys; ++i)
    claims.push_back(LoadClient::key(i)), claims.push_back(LoadClient::grave(i));
  session->begin(claims, false);
  for (std::size_t i = 0; i < settings.keys; ++i) {
    std::string text;
    const Result<bool> there = session->read(LoadClient::key(i), text);
    EXPECT_TRUE(there.ok() && (*there || session->read(LoadClient::grave(i), text).ok()));
    history.final[LoadClient::key(i)] = LoadClient::list_of(text);
  }
  session->abort();
  return history;
}

}  // namespace lockstep::kv::testing

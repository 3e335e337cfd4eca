// moving_rows_test.cc: rows that come, go and move while other threads look, under every protocol. What a transaction
// that has committed was told must be of one moment: that a key is not there as much as that it is.
//
// Each load runs for a fraction of a second. LOCKSTEP_ROUNDS=n says instead how many transactions each thread that
// looks tries; LOCKSTEP_SEED=n begins with that seed (the schedule is the machine's).
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <random>
#include <thread>

#include "tests/kv/clients.h"

namespace lockstep::kv::testing {
namespace {

/// A thread's own part of a load: tries transactions, each once.
class MovingRowsClient {
 public:
  using Body = std::function<Result<void>(SyncTransaction&)>;

  MovingRowsClient(Store& store, std::vector<std::string> claims, std::uint64_t seed)
      : random(seed), store_(store), claims_(std::move(claims)) {}

  /// True when it has committed. A retry keeps the age of the first attempt: protocols that look at it let it through.
  bool attempt(const Body& body) {
    SyncTransaction txn(store_.begin({.claims = claims_, .first_attempt = first_attempt_}));
    if (first_attempt_ == 0) first_attempt_ = txn.id();
    Result<void> done = body(txn);
    if (done.ok()) done = txn.commit();
    if (done.ok()) first_attempt_ = 0;
    if (!done.ok() && !is_retry_safe(done.fault())) ADD_FAILURE() << done.error().message;
    return done.ok();
  }

  std::size_t below(std::size_t n) { return random() % n; }
  bool one_in(std::size_t n) { return below(n) == 0; }

  std::mt19937_64 random;

 private:
  Store& store_;
  const std::vector<std::string> claims_;
  TxnId first_attempt_ = 0;
};

Result<void> read_all(SyncTransaction& txn, const std::vector<std::string>& keys, std::size_t count) {
  std::string value;
  for (std::size_t i = 0; i < count; ++i)
    if (const Result<bool> found = txn.read(keys[i], value); !found.ok()) return found.error();
  return {};
}

/// One way or the other, so that every path to an absent row is taken.
Result<void> put(SyncTransaction& txn, bool insert, KeyView key, std::string_view value) {
  return insert ? txn.insert(key, value) : txn.write(key, value);
}

Result<void> take_out(SyncTransaction& txn, KeyView key) {
  const Result<bool> erased = txn.erase(key);
  return erased.ok() ? Result<void>() : erased.error();
}

/// When a load has run long enough: after a fraction of a second, or after as many rounds as were asked for.
class Deadline {
 public:
  bool is_over(std::uint64_t rounds_done) const {
    if (rounds_ > 0) return rounds_done >= rounds_;
    return rounds_done > 0 && std::chrono::steady_clock::now() >= end_;
  }

 private:
  const std::uint64_t rounds_ = number_from("LOCKSTEP_ROUNDS", 0);
  const std::chrono::steady_clock::time_point end_ = std::chrono::steady_clock::now() + std::chrono::milliseconds(200);
};

class MovingRows : public ::testing::TestWithParam<std::string> {
 protected:
  using Part = std::function<void(MovingRowsClient&)>;

  void TearDown() override {
    if (!IsSkipped()) fmt::print("[          ] {} looks committed\n", committed_.load());
  }

  /// The banker goes through all that is held for each lock, and claims cost it too.
  bool is_slow() const { return GetParam() == "2pl-banker"; }
  std::string key(std::size_t i) const { return fmt::format("m/{:05}", i); }

  /// `rows` rows between the first and the last key of a load.
  void fill(std::size_t rows) {
    const Nanos patience = GetParam() == "2pl-timeout" ? Nanos(std::chrono::milliseconds(2)) : kNever;
    store_ = open_store(GetParam(), {.lock_timeout = patience});
    keys_.clear();
    std::vector<Row> load_rows;
    for (std::size_t i = 0; i < rows; ++i) {
      keys_.push_back(key(i));
      load_rows.push_back({keys_.back(), "row"});
    }
    load(*store_, load_rows);
  }
  std::vector<std::string> claims(std::vector<std::string> more) const {
    more.insert(more.end(), keys_.begin(), keys_.end());
    return more;
  }

  /// Runs every `change` again and again while every `look` runs for a while, each in a thread of its own.
  void run(const std::vector<Part>& changes, const std::vector<Part>& looks, const std::vector<std::string>& names) {
    const std::uint64_t seed = number_from("LOCKSTEP_SEED", 1);
    SCOPED_TRACE(fmt::format("LOCKSTEP_SEED={}", seed));
    const Deadline deadline;
    std::atomic<std::size_t> looking{looks.size()};
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < changes.size(); ++i)
      threads.emplace_back([&, i] {
        MovingRowsClient client(*store_, names, seed * 100 + i);
        while (looking.load() > 0) {
          changes[i](client);
          if (client.one_in(64)) std::this_thread::yield();
        }
      });
    for (std::size_t i = 0; i < looks.size(); ++i)
      threads.emplace_back([&, i] {
        MovingRowsClient client(*store_, claims(names), seed * 100 + 50 + i);
        for (std::uint64_t done = 0; !HasFailure() && !deadline.is_over(done); ++done) looks[i](client);
        looking.fetch_sub(1);
      });
    for (std::thread& thread : threads) thread.join();
    EXPECT_TRUE(store_->locks().empty());
  }

  std::unique_ptr<Store> store_;
  std::vector<std::string> keys_;
  std::atomic<std::uint64_t> committed_{0};
};

// "m" is there exactly when "a" is odd. A third transaction writes "m" and thinks better of it.
TEST_P(MovingRows, ARowIsThereExactlyWhenAnotherSaysSo) {
  const std::size_t rows = is_slow() ? 50 : 2000;
  fill(rows);
  load(*store_, {{"a", "0"}});
  const auto change = [](MovingRowsClient& client) {
    client.attempt([&](SyncTransaction& txn) -> Result<void> {
      std::string text;
      const Result<bool> found = txn.read_for_update("a", text);
      if (!found.ok()) return found.error();
      const int a = std::stoi(text);
      const bool row_first = client.one_in(2);
      const auto change_row = [&] {
        return a % 2 == 0 ? put(txn, client.one_in(2), "m", "there") : take_out(txn, "m");
      };
      if (row_first)
        if (Result<void> done = change_row(); !done.ok()) return done;
      if (Result<void> done = txn.write("a", std::to_string(a + 1)); !done.ok()) return done;
      return row_first ? Result<void>() : change_row();
    });
  };
  const auto waver = [](MovingRowsClient& client) {
    client.attempt([&](SyncTransaction& txn) -> Result<void> {
      if (Result<void> done = txn.savepoint("s"); !done.ok()) return done;
      if (Result<void> done = txn.write("m", "a mistake"); !done.ok()) return done;
      return txn.rollback_to("s");
    });
  };
  const auto look = [this, rows](MovingRowsClient& client) {
    // Much to check after the row and before the other one is where a check in two parts fails.
    const bool far = client.one_in(2);
    const std::size_t between = far ? rows : client.below(10);
    const std::size_t behind = client.one_in(4) ? client.below(rows) : 0;
    const bool row_first = far || client.one_in(2);
    bool there = false;
    std::string a;
    std::string m;
    const bool committed = client.attempt([&](SyncTransaction& txn) -> Result<void> {
      for (const bool row : {row_first, !row_first}) {
        const Result<bool> found = row ? txn.read("m", m) : txn.read("a", a);
        if (!found.ok()) return found.error();
        if (row) there = *found;
        if (Result<void> done = read_all(txn, keys_, row == row_first ? between : behind); !done.ok()) return done;
      }
      return {};
    });
    if (!committed) return;
    ++committed_;
    EXPECT_EQ(there, std::stoi(a) % 2 == 1) << "a = " << a << (there ? ", m = " + m : ", and m is not there");
  };
  run({change, waver}, {look}, {"a", "m"});
  run({change}, {look}, {"a", "m"});
}

// One row moves between the first and the last key; scans pass all between.
TEST_P(MovingRows, AFullScanSeesTheRowThatMovesOnce) {
  for (const std::size_t rows : {3, 100, 3000}) {
    if (is_slow() && rows > 100) break;
    SCOPED_TRACE(fmt::format("{} rows", rows));
    fill(rows);
    load(*store_, {{"a", "moves"}});
    const auto change = [](MovingRowsClient& client) {
      client.attempt([&](SyncTransaction& txn) -> Result<void> {
        std::string value;
        const Result<bool> at_a = txn.read_for_update("a", value);
        if (!at_a.ok()) return at_a.error();
        const char* const from = *at_a ? "a" : "z";
        const char* const to = *at_a ? "z" : "a";
        const bool out_first = client.one_in(2);
        if (out_first)
          if (Result<void> done = take_out(txn, from); !done.ok()) return done;
        if (Result<void> done = put(txn, client.one_in(2), to, "moves"); !done.ok()) return done;
        return out_first ? Result<void>() : take_out(txn, from);
      });
    };
    const auto look = [this, rows](MovingRowsClient& client) {
      std::vector<Row> seen;
      const bool for_update = client.one_in(8);
      const bool committed = client.attempt([&](SyncTransaction& txn) {
        return for_update ? txn.scan_for_update("", "", 1'000'000, seen) : txn.scan("", "", 1'000'000, seen);
      });
      if (!committed) return;
      ++committed_;
      EXPECT_EQ(seen.size(), rows + 1);
    };
    run({change}, {look}, {"a", "z"});
  }
}

// The row that moves, for a transaction that asks for both keys.
TEST_P(MovingRows, OneOfTwoKeysIsThere) {
  fill(100);
  load(*store_, {{"a", "moves"}});
  const auto change = [](MovingRowsClient& client) {
    client.attempt([&](SyncTransaction& txn) -> Result<void> {
      const Result<bool> was_at_a = txn.erase("a");
      if (!was_at_a.ok()) return was_at_a.error();
      if (!*was_at_a)
        if (Result<void> done = take_out(txn, "z"); !done.ok()) return done;
      return put(txn, client.one_in(2), *was_at_a ? "z" : "a", "moves");
    });
  };
  const auto look = [this](MovingRowsClient& client) {
    int there = 0;
    const bool a_first = client.one_in(2);
    const std::size_t between = client.below(100);
    const bool committed = client.attempt([&](SyncTransaction& txn) -> Result<void> {
      std::string value;
      there = 0;
      for (const bool first : {true, false}) {
        const Result<bool> found = txn.read(first == a_first ? "a" : "z", value);
        if (!found.ok()) return found.error();
        there += *found ? 1 : 0;
        if (Result<void> done = read_all(txn, keys_, between); !done.ok()) return done;
      }
      return {};
    });
    if (!committed) return;
    ++committed_;
    EXPECT_EQ(there, 1);
  };
  run({change}, {look}, {"a", "z"});
}

// A queue: rows are taken out at its front and put in at its end, and "head" names the first. Scans stop at a limit.
TEST_P(MovingRows, TheFirstRowOfAQueueIsItsHead) {
  fill(200);
  load(*store_, {{"head", "10000000"}, {"q/10000000", "0"}, {"q/10000001", "0"}});
  std::vector<std::string> queue{"head"};
  for (int i = 0; i < 4; ++i) queue.push_back(fmt::format("q/1000000{}", i));
  const auto change = [](MovingRowsClient& client) {
    client.attempt([&](SyncTransaction& txn) -> Result<void> {
      std::string head;
      const Result<bool> found = txn.read_for_update("head", head);
      if (!found.ok()) return found.error();
      // Four keys in turn, so that they come back.
      const int at = std::stoi(head) - 10'000'000;
      const auto slot = [](int i) { return fmt::format("q/{}", 10'000'000 + (i & 3)); };
      if ((at & 3) == 2) {  // it begins anew: both rows go to the front
        if (Result<void> done = take_out(txn, slot(at)); !done.ok()) return done;
        if (Result<void> done = take_out(txn, slot(at + 1)); !done.ok()) return done;
        if (Result<void> done = put(txn, client.one_in(2), slot(0), "0"); !done.ok()) return done;
        if (Result<void> done = put(txn, client.one_in(2), slot(1), "0"); !done.ok()) return done;
        return txn.write("head", "10000000");
      }
      if (Result<void> done = put(txn, client.one_in(2), slot(at + 2), "0"); !done.ok()) return done;
      if (Result<void> done = take_out(txn, slot(at)); !done.ok()) return done;
      return txn.write("head", std::to_string(10'000'000 + at + 1));
    });
  };
  const auto look = [this](MovingRowsClient& client) {
    std::vector<Row> first;
    std::string head;
    const std::size_t between = client.below(200);
    const bool head_first = client.one_in(2);
    const bool committed = client.attempt([&](SyncTransaction& txn) -> Result<void> {
      for (const bool is_head : {head_first, !head_first}) {
        if (is_head) {
          const Result<bool> found = txn.read("head", head);
          if (!found.ok()) return found.error();
        } else if (Result<void> done = txn.scan("q/", "q0", 1, first); !done.ok()) {
          return done;
        }
        if (Result<void> done = read_all(txn, keys_, between); !done.ok()) return done;
      }
      return {};
    });
    if (!committed) return;
    ++committed_;
    ASSERT_EQ(first.size(), 1u);
    EXPECT_EQ(first[0].key, "q/" + head);
  };
  run({change}, {look}, queue);
}

// Write skew on what is not there: each puts a row in when it sees none, by a scan or by asking for the other's key.
TEST_P(MovingRows, OnlyOneFindsThePlaceEmpty) {
  if (!is_serializable(GetParam())) GTEST_SKIP() << GetParam() << " does not promise it";
  fill(50);
  const std::vector<std::string> places = {"p/1", "p/2"};
  const auto enter = [&](std::size_t mine) {
    return [&, mine](MovingRowsClient& client) {
      const bool by_scan = client.one_in(2);
      const std::size_t between = client.below(50);
      bool taken = true;
      const bool committed = client.attempt([&](SyncTransaction& txn) -> Result<void> {
        std::string value;
        std::vector<Row> rows;
        if (by_scan) {
          if (Result<void> done = txn.scan("p/", "p0", client.one_in(2) ? 1 : 100, rows); !done.ok()) return done;
          taken = !rows.empty();
        } else {
          const Result<bool> found = txn.read(places[1 - mine], value);
          if (!found.ok()) return found.error();
          taken = *found;
        }
        if (Result<void> done = read_all(txn, keys_, between); !done.ok()) return done;
        return taken ? Result<void>() : txn.write(places[mine], "taken");
      });
      if (committed) ++committed_;
    };
  };
  const auto clear = [&](MovingRowsClient& client) {
    std::vector<Row> rows;
    const bool committed = client.attempt([&](SyncTransaction& txn) -> Result<void> {
      if (Result<void> done = txn.scan("p/", "p0", 100, rows); !done.ok()) return done;
      for (const Row& row : rows)
        if (Result<void> done = take_out(txn, row.key); !done.ok()) return done;
      return {};
    });
    if (committed) {
      EXPECT_LE(rows.size(), 1u) << "both found the place empty";
    }
  };
  run({clear}, {enter(0), enter(1)}, places);
}

/// Two threads that go on together, spinning: what they do next they do at once.
class MeetingPoint {
 public:
  void arrive() {
    const int round = round_.load();
    if (arrived_.fetch_add(1) == 1) {
      arrived_.store(0);
      round_.fetch_add(1);
      return;
    }
    for (int spins = 1; round_.load() == round; ++spins)
      if (spins % 4096 == 0) std::this_thread::yield();
  }

 private:
  std::atomic<int> round_{0};
  std::atomic<int> arrived_{0};
};

// Each reads both rows and takes one: nothing but their commits overlaps, so two of them meet in the middle of one.
TEST_P(MovingRows, OfTwoThatCommitAtOnceNeitherMissesTheOther) {
  if (!is_serializable(GetParam())) GTEST_SKIP() << GetParam() << " does not promise it";
  fill(0);
  const std::vector<std::string> seats = {"s/1", "s/2"};
  const Deadline deadline;
  MeetingPoint point;
  std::atomic<bool> over{false};
  const auto take_one = [&](std::size_t mine) {
    MovingRowsClient client(*store_, seats, number_from("LOCKSTEP_SEED", 1) + mine);
    for (std::uint64_t round = 0; !over; ++round) {
      if (mine == 0) {
        // In every other round the rows are there.
        std::vector<Row> rows;
        for (const std::string& seat : seats)
          if (round % 2 == 0) rows.push_back({seat, "free"});
        load(*store_, rows);
      }
      point.arrive();
      const bool committed = client.attempt([&](SyncTransaction& txn) -> Result<void> {
        std::string value;
        bool taken = false;
        for (const std::string& seat : seats) {
          const Result<bool> found = txn.read(seat, value);
          if (!found.ok()) return found.error();
          taken |= *found && value == "taken";
        }
        return taken ? Result<void>() : txn.write(seats[mine], "taken");
      });
      if (committed) ++committed_;
      point.arrive();
      if (mine == 0) {
        int taken = 0;
        for (const Row& row : contents(*store_)) taken += row.value == "taken" ? 1 : 0;
        EXPECT_LE(taken, 1) << "round " << round;
        EXPECT_TRUE(client.attempt([&](SyncTransaction& txn) -> Result<void> {
          for (const std::string& seat : seats)
            if (Result<void> done = take_out(txn, seat); !done.ok()) return done;
          return {};
        }));
        over = HasFailure() || deadline.is_over(round + 1);
      }
      point.arrive();
    }
  };
  std::thread other(take_one, 1);
  take_one(0);
  other.join();
}

LOCKSTEP_EVERY_PROTOCOL(MovingRows);

}  // namespace
}  // namespace lockstep::kv::testing

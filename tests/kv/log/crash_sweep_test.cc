// crash_sweep_test.cc: short runs on a disk that loses power, or fails, at every single step.
//
// One client, so that the state after each commit is known: a recovered store must be in the state after some commit,
// all of it and nothing else, and with sync not before the last one that was acknowledged.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <map>
#include <random>
#include <thread>

#include "kv/log/recovery.h"
#include "kv/sync_facade.h"
#include "tests/kv/clients.h"
#include "tests/kv/log/faulty_files.h"

namespace lockstep::kv::testing {
namespace {

using State = std::map<std::string, std::string>;

class MapRestorer final : public Restorer {
 public:
  Result<void> put(KeyView key, std::string_view value) override {
    state[std::string(key)] = value;
    return {};
  }
  Result<void> erase(KeyView key) override {
    state.erase(std::string(key));
    return {};
  }
  State state;
};

/// A load whose every state is known. Transaction i sets "n" to i and changes some other keys.
class Script {
 public:
  Script(unsigned seed, int transactions) {
    std::mt19937 random(seed);
    State state;
    states_.push_back(state);
    for (int i = 1; i <= transactions; ++i) {
      std::vector<std::pair<std::string, std::string>> writes = {{"n", std::to_string(i)}};
      const unsigned count = random() % 4;
      for (unsigned k = 0; k < count; ++k) {
        const std::string key = fmt::format("key {}", random() % 12);
        const bool erase = random() % 4 == 0;
        // Now and then longer than some blocks.
        const std::size_t length = random() % 8 == 0 ? 1500 : random() % 60;
        writes.emplace_back(key, erase ? "" : fmt::format("{}:{}", i, std::string(length, 'v')));
      }
      for (const auto& [key, value] : writes) {
        if (value.empty())
          state.erase(key);
        else
          state[key] = value;
      }
      transactions_.push_back(std::move(writes));
      states_.push_back(state);
    }
  }

  int size() const { return static_cast<int>(transactions_.size()); }
  const State& after(int transactions) const { return states_[static_cast<std::size_t>(transactions)]; }

  Result<void> run(Store& store, int number) const {
    SyncTransaction txn(store.begin({.claims_all = true}));
    for (const auto& [key, value] : transactions_[static_cast<std::size_t>(number) - 1]) {
      if (value.empty()) {
        if (Result<bool> done = txn.erase(key); !done.ok()) return done.error();
      } else if (Result<void> done = txn.write(key, value); !done.ok()) {
        return done;
      }
    }
    return txn.commit();
  }

 private:
  std::vector<std::vector<std::pair<std::string, std::string>>> transactions_;
  std::vector<State> states_;
};

/// Which commit a recovered state is; -1 and a failure when it is none.
int number_of(const State& state, const Script& script) {
  const auto n = state.find("n");
  const int number = n == state.end() ? 0 : std::stoi(n->second);
  if (number > script.size() || state != script.after(number)) {
    ADD_FAILURE() << "the state after recovery is none of the run's; it says to be number " << number;
    return -1;
  }
  return number;
}

struct Recovered {
  int number = -1;
  State state;
};

Recovered recover_on(FaultyFiles& files, const Script& script) {
  MapRestorer restorer;
  const Result<OpenFolder> open = recover(files, kFolder, restorer);
  if (!open.ok()) {
    ADD_FAILURE() << open.error().message;
    return {};
  }
  return {number_of(restorer.state, script), restorer.state};
}

Options options_for(FaultyFiles& files, std::string_view protocol, Durability durability) {
  Options options;
  options.protocol = protocol;
  options.path = kFolder;
  options.durability = durability;
  options.files = &files;
  options.log_limits.segment_bytes = 1024;  // so that a short run has segments and checkpoints
  options.log_limits.checkpoint_bytes = 2048;
  options.log_limits.async_delay = Nanos(0);
  return options;
}

/// Waits until the writer has caught up or stopped, so that a run without syncs has more than one group too.
void let_settle(Store& store) {
  for (LogStatus status = *store.log_status(); !status.stopped && status.settled < status.last;
       status = *store.log_status())
    std::this_thread::yield();
}

struct Image {
  std::unique_ptr<FaultyFiles> disk;
  int acknowledged = 0;
  std::string what;
};

struct Sweep {
  std::string protocol;
  Durability durability;
};

class CrashSweep : public ::testing::TestWithParam<Sweep> {
 protected:
  /// A run that takes images after every step.
  std::vector<Image> images_of(const Script& script, unsigned seed) {
    return images_of(script, [seed](const FaultyFiles& files, std::size_t step, int acknowledged) {
      std::vector<Image> images;
      for (const Loss loss : kLosses)
        images.push_back({files.image(loss, seed + static_cast<unsigned>(step)), acknowledged,
                          fmt::format("step {}, loss {}", step, static_cast<int>(loss))});
      return images;
    });
  }
  /// What the next process finds when this one is killed after each step.
  std::vector<Image> kills_of(const Script& script) {
    return images_of(script, [](const FaultyFiles& files, std::size_t step, int acknowledged) {
      std::vector<Image> kill;
      kill.push_back({files.killed(), acknowledged, fmt::format("killed after step {}", step)});
      return kill;
    });
  }
  bool is_sync() const { return GetParam().durability == Durability::sync; }

 private:
  using Take = std::function<std::vector<Image>(const FaultyFiles& files, std::size_t step, int acknowledged)>;

  std::vector<Image> images_of(const Script& script, const Take& take) {
    FaultyFiles files;
    std::vector<Image> images;
    std::atomic<int> acknowledged{0};
    files.after_step = [&](std::size_t step) {
      for (Image& image : take(files, step, acknowledged.load())) images.push_back(std::move(image));
    };
    auto store = Store::open(options_for(files, GetParam().protocol, GetParam().durability));
    EXPECT_TRUE(store.ok()) << store.error().message;
    for (int i = 1; i <= script.size(); ++i) {
      const Result<void> done = script.run(**store, i);
      EXPECT_TRUE(done.ok()) << done.error().message;
      acknowledged = i;
      if (i % 3 == 0) let_settle(**store);
    }
    while ((*store)->log_status()->checkpoint == 0) std::this_thread::yield();
    EXPECT_TRUE((*store)->close().ok());
    return images;
  }
};

TEST_P(CrashSweep, KeepsWhatWasAcknowledgedAtEveryStep) {
  constexpr int kTransactions = 40;
  std::size_t crashes = 0;
  for (unsigned seed = 1; seed <= 8; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    const Script script(seed, kTransactions);
    const std::vector<Image> images = images_of(script, seed);
    for (std::size_t i = 0; i < images.size(); ++i) {
      const Image& image = images[i];
      SCOPED_TRACE(image.what);
      const Recovered first = recover_on(*image.disk, script);
      ++crashes;
      ASSERT_GE(first.number, is_sync() ? image.acknowledged : 0);
      // What recovery showed is on disk: a second crash takes nothing of it away.
      const Recovered second = recover_on(*image.disk->crash(kLosses[i % std::size(kLosses)], seed), script);
      ++crashes;
      ASSERT_EQ(first.state, second.state);
    }
  }
  fmt::print("[          ] {} crashes survived\n", crashes);
}

TEST_P(CrashSweep, SurvivesCrashesDuringRecovery) {
  const Script script(11, 30);
  const std::vector<Image> images = images_of(script, 11);
  std::size_t crashes = 0;
  for (std::size_t i = 0; i < images.size(); i += 17) {
    const Image& image = images[i];
    SCOPED_TRACE(image.what);
    std::vector<std::unique_ptr<FaultyFiles>> again;
    image.disk->after_step = [&](std::size_t step) {
      for (const Loss loss : kLosses) again.push_back(image.disk->image(loss, static_cast<unsigned>(step)));
    };
    (void)recover_on(*image.disk, script);
    for (const auto& disk : again) {
      ASSERT_GE(recover_on(*disk, script).number, is_sync() ? image.acknowledged : 0);
      ++crashes;
    }
  }
  fmt::print("[          ] {} crashes survived\n", crashes);
}

// The process is killed, the next one recovers what the cache shows, and the power fails meanwhile. What recovery
// builds on may not be on the disk yet, such as the name of a checkpoint.
TEST_P(CrashSweep, SurvivesPowerFailuresDuringRecoveryFromAKill) {
  std::size_t crashes = 0;
  for (unsigned seed = 51; seed <= 54; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    const Script script(seed, 30);
    const std::vector<Image> kills = kills_of(script);
    for (const Image& kill : kills) {
      SCOPED_TRACE(kill.what);
      std::vector<std::unique_ptr<FaultyFiles>> images;
      kill.disk->after_step = [&](std::size_t step) {
        for (const Loss loss : kLosses) images.push_back(kill.disk->image(loss, seed + static_cast<unsigned>(step)));
      };
      ASSERT_GE(recover_on(*kill.disk, script).number, is_sync() ? kill.acknowledged : 0);
      for (const auto& disk : images) {
        ASSERT_GE(recover_on(*disk, script).number, is_sync() ? kill.acknowledged : 0);
        ++crashes;
      }
    }
  }
  fmt::print("[          ] {} crashes survived\n", crashes);
}

// A recovered store goes on: the positions and files that it makes then must fit those that were there.
TEST_P(CrashSweep, GoesOnAfterEveryCrash) {
  const Script script(21, 40);
  FaultyFiles first;
  std::unique_ptr<FaultyFiles> disk;
  FaultyFiles* files = &first;
  std::mt19937 random(21);
  int number = 0;
  for (int round = 0; number < script.size(); ++round) {
    SCOPED_TRACE(fmt::format("round {}", round));
    std::unique_ptr<FaultyFiles> next;
    int acknowledged = number;
    {
      auto store = Store::open(options_for(*files, GetParam().protocol, GetParam().durability));
      ASSERT_TRUE(store.ok()) << store.error().message;
      const int upto = std::min<int>(script.size(), number + 1 + static_cast<int>(random() % 4));
      for (; acknowledged < upto; ++acknowledged) ASSERT_TRUE(script.run(**store, acknowledged + 1).ok());
      if (!is_sync() && random() % 4 != 0) {
        ASSERT_TRUE((*store)->close().ok());
      }
      next = files->crash(kLosses[random() % std::size(kLosses)], static_cast<unsigned>(random()));
    }
    const Recovered recovered = recover_on(*next, script);
    ASSERT_GE(recovered.number, is_sync() ? acknowledged : 0);
    number = recovered.number;
    disk = std::move(next);
    files = disk.get();
  }
}

// One step fails, the rest of the disk works: as a bad block does, and a disk that is full for a moment.
TEST_P(CrashSweep, StopsAtAFailureOfAnyStep) {
  const Script script(31, 25);
  std::size_t stopped_runs = 0;
  for (std::size_t step = 0; step < 400; ++step) {
    SCOPED_TRACE(fmt::format("step {} fails", step));
    FaultyFiles files;
    files.fail_step = step;
    int acknowledged = 0;
    {
      auto store = Store::open(options_for(files, GetParam().protocol, GetParam().durability));
      if (store.ok()) {
        bool stopped = false;
        for (int i = 1; i <= script.size(); ++i) {
          const Result<void> done = script.run(**store, i);
          if (done.ok()) {
            ASSERT_FALSE(stopped) << "a commit succeeded after the log had stopped";
            acknowledged = i;
          } else {
            ASSERT_TRUE(done.fault() == Fault::outcome_unknown || done.fault() == Fault::io);
            ASSERT_NE(done.error().message.find("/data"), std::string::npos) << done.error().message;
            stopped = true;
          }
          let_settle(**store);
        }
        if (stopped) {
          ++stopped_runs;
          EXPECT_FALSE((*store)->close().ok());
          EXPECT_EQ((*store)->log_status()->stopped->fault, Fault::io);
        }
      } else {
        ASSERT_EQ(store.fault(), Fault::io);
      }
    }
    if (files.steps() <= step) break;  // the run was over before
    files.fail_step = ~std::size_t{0};
    for (const Loss loss : kLosses) {
      SCOPED_TRACE(fmt::format("loss {}", static_cast<int>(loss)));
      const auto after = files.crash(loss, static_cast<unsigned>(step));
      ASSERT_GE(recover_on(*after, script).number, is_sync() ? acknowledged : 0);
    }
    // Without a reboot the cache shows more than the disk holds; what is recovered then must be safe from there on.
    const Recovered first = recover_on(files, script);
    ASSERT_GE(first.number, is_sync() ? acknowledged : 0);
    ASSERT_EQ(recover_on(*files.crash(Loss::all, 1), script).state, first.state);
  }
  EXPECT_GT(stopped_runs, 20u);
}

TEST_P(CrashSweep, StopsWhenTheDiskIsFull) {
  const Script script(41, 30);
  std::size_t stopped_runs = 0;
  for (std::size_t capacity = 0; capacity < 20'000; capacity += 397) {
    SCOPED_TRACE(fmt::format("capacity {}", capacity));
    FaultyFiles files;
    files.capacity = capacity;
    int acknowledged = 0;
    {
      auto store = Store::open(options_for(files, GetParam().protocol, GetParam().durability));
      if (!store.ok()) {
        ASSERT_EQ(store.fault(), Fault::disk_full) << store.error().message;
      } else {
        Result<void> done;
        for (int i = 1; done.ok() && i <= script.size(); ++i) {
          done = script.run(**store, i);
          if (done.ok()) acknowledged = i;
          let_settle(**store);
        }
        stopped_runs += done.ok() ? 0 : 1;
        if (!done.ok()) {
          ASSERT_NE(done.error().message.find("No space left"), std::string::npos) << done.error().message;
          // Reads go on.
          SyncTransaction reader((*store)->begin({.claims_all = true}));
          std::string value;
          EXPECT_TRUE(reader.read("n", value).ok());
          EXPECT_EQ(reader.commit().fault(), Fault::disk_full);
        }
      }
    }
    files.capacity = ~std::size_t{0};
    ASSERT_GE(recover_on(files, script).number, is_sync() ? acknowledged : 0);
  }
  EXPECT_GT(stopped_runs, 5u);
}

INSTANTIATE_TEST_SUITE_P(Stores, CrashSweep,
                         ::testing::Values(Sweep{"occ", Durability::sync}, Sweep{"2pl-detect", Durability::async},
                                           Sweep{"snapshot", Durability::none}),
                         [](const auto& info) {
                           return test_name({info.param.protocol, 0}) + "_" +
                                  std::string(lockstep::kv::name_of(info.param.durability));
                         });

}  // namespace
}  // namespace lockstep::kv::testing

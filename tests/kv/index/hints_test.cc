// hints_test.cc: what hints find against what the index finds, whatever was named and whatever is asked for.
#include "kv/index/hints.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <string>
#include <vector>

namespace lockstep::kv::testing {
namespace {

struct Cell {
  std::atomic<int> value{0};
};

class HintsTest : public ::testing::Test {
 protected:
  static std::string key_of(std::size_t number) { return fmt::format("key/{:04}", number); }

  Epochs epochs_;
  Index<Cell> index_{epochs_};
  Epochs::Pin pin_{epochs_};
  Hints<Cell> hints_{index_};
};

TEST_F(HintsTest, KnowTheKeysThatWereNamed) {
  for (std::size_t i = 0; i < 100; ++i) index_.find_or_add(key_of(i));
  const std::vector<std::string> names = {key_of(5), key_of(70), "none", key_of(6)};
  hints_.fetch(std::span<const std::string>(names));
  for (const std::string& name : names) {
    EXPECT_EQ(hints_.known(name).record, index_.find(name)) << name;
    EXPECT_EQ(hints_.known(name).record, index_.find(name)) << name << ", again";
    EXPECT_EQ(hints_.known(name).hash, hash_of(name));
  }
  EXPECT_EQ(hints_.known(key_of(7)).record, nullptr);
  EXPECT_EQ(hints_.find(key_of(7)).record, index_.find(key_of(7)));
  hints_.clear();
  EXPECT_EQ(hints_.known(key_of(5)).record, nullptr);
}

TEST_F(HintsTest, FindWhatTheIndexFindsInAnyOrder) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  std::mt19937_64 random(seed);
  for (std::size_t i = 0; i < 500; ++i) index_.find_or_add(key_of(2 * i));
  for (int round = 0; round < 300; ++round) {
    std::vector<std::string> names(random() % 300);  // also more than are fetched
    for (std::string& name : names) name = key_of(random() % 1000);
    const std::vector<KeyView> views(names.begin(), names.end());
    hints_.fetch(std::span<const KeyView>(views));
    const bool in_order = random() % 2 == 0;
    for (std::size_t i = 0; i < names.size(); ++i) {
      const std::string& asked = in_order && random() % 8 != 0 ? names[i] : key_of(random() % 1000);
      ASSERT_EQ(hints_.find(asked).record, index_.find(asked)) << asked;
      ASSERT_EQ(hints_.find(asked).hash, hash_of(asked)) << asked;
    }
  }
}

}  // namespace
}  // namespace lockstep::kv::testing

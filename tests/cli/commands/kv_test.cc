// kv_test.cc: `lockstep kv` as people and scripts meet it.
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "kv/sync_facade.h"
#include "tests/cli/child.h"

namespace lockstep::cli {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

class KvCommand : public testing::Test {
 protected:
  void SetUp() override {
    store_ = kv::Store::open({.protocol = "occ", .path = folder_}).value();
    commit("alice", "100");
    commit(std::string("\x01\xff\\", 3), std::string(300, 'v'));
    commit("alice", "90");
    commit("bob", "10");
    erase("bob");
  }
  void commit(const std::string& key, const std::string& value) {
    kv::SyncTransaction txn(store_->begin());
    ASSERT_TRUE(txn.write(key, value).ok());
    ASSERT_TRUE(txn.commit().ok());
  }
  void erase(const std::string& key) {
    kv::SyncTransaction txn(store_->begin());
    ASSERT_TRUE(txn.erase(key).ok());
    ASSERT_TRUE(txn.commit().ok());
  }
  std::string log() const { return folder_ + "/log-00000000000000000001"; }
  void spoil(std::streamoff offset) {
    std::fstream file(log(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(offset);
    file.put('!');
  }

  ScratchFolder scratch_;
  const std::string folder_ = scratch_.path() + "/store";
  std::unique_ptr<kv::Store> store_;
};

TEST_F(KvCommand, VerifiesAStoreInUseAndAClosedOne) {
  Ended ended = Child({"kv", "verify", folder_}).wait();
  EXPECT_EQ(ended.code, 0) << ended.err;
  EXPECT_THAT(ended.out, AllOf(HasSubstr("log-00000000000000000001"), HasSubstr("1 to 5"), HasSubstr("5 commits"),
                               HasSubstr("INTACT"), HasSubstr("in use or not closed in order")));
  store_.reset();
  ended = Child({"kv", "verify", folder_ + "/", "--quiet"}).wait();
  EXPECT_EQ(ended.code, 0) << ended.err;
  EXPECT_EQ(ended.out, " INTACT  5 commits, closed in order\n");
}

TEST_F(KvCommand, DumpsRowsAndLog) {
  Ended ended = Child({"kv", "dump", folder_}).wait();
  EXPECT_EQ(ended.code, 0) << ended.err;
  EXPECT_EQ(ended.out, "\\x01\\xff\\\\ = " + std::string(200, 'v') + "… (300 bytes)\nalice = 90\n");
  ended = Child({"kv", "dump", folder_, "--full"}).wait();
  EXPECT_THAT(ended.out, HasSubstr(std::string(300, 'v')));
  ended = Child({"kv", "dump", folder_, "--log"}).wait();
  EXPECT_THAT(ended.out, StartsWith("1   log-00000000000000000001 at 40\n  alice = 100\n2 "));
  EXPECT_THAT(ended.out, HasSubstr("\n  bob erased\n"));
}

TEST_F(KvCommand, GivesJson) {
  Ended ended = Child({"kv", "dump", folder_, "--json"}).wait();
  auto json = nlohmann::json::parse(ended.out);
  EXPECT_EQ(json["schema"], 1);
  EXPECT_EQ(json["position"], 5);
  EXPECT_EQ(json["rows"][0]["key_hex"], "01ff5c");
  EXPECT_EQ(json["rows"][1]["key"], "alice");
  EXPECT_EQ(json["rows"][1]["value"], "90");
  json = nlohmann::json::parse(Child({"kv", "dump", folder_, "--log", "--json"}).wait().out);
  EXPECT_EQ(json["commits"].size(), 5u);
  EXPECT_EQ(json["commits"][4]["writes"][0]["erased"], true);
  json = nlohmann::json::parse(Child({"kv", "verify", folder_, "--json"}).wait().out);
  EXPECT_EQ(json["intact"], true);
  EXPECT_EQ(json["commits"], 5);
}

TEST_F(KvCommand, NamesTheDamageAndItsPlace) {
  store_.reset();
  spoil(80);
  Ended ended = Child({"kv", "verify", folder_}, {{"COLUMNS", "400"}}).wait();
  EXPECT_EQ(ended.code, 1);
  EXPECT_THAT(ended.out, AllOf(HasSubstr("DAMAGED"), HasSubstr(log() + " is damaged at offset 40")));
  ended = Child({"kv", "verify", folder_, "--json"}).wait();
  EXPECT_EQ(ended.code, 1);
  EXPECT_EQ(nlohmann::json::parse(ended.out)["intact"], false);
  ended = Child({"kv", "dump", folder_}).wait();
  EXPECT_EQ(ended.code, 1);
  EXPECT_EQ(ended.out, "");
  EXPECT_THAT(ended.err, HasSubstr("is damaged at offset 40"));
  ended = Child({"kv", "dump", folder_, "--log"}).wait();
  EXPECT_EQ(ended.code, 1);
  EXPECT_THAT(ended.err, HasSubstr("is damaged at offset 40"));
}

TEST_F(KvCommand, SaysWhatIsNoStore) {
  for (const std::string& folder : {scratch_.path(), scratch_.path() + "/nowhere", log()}) {
    const Ended ended = Child({"kv", "verify", folder}).wait();
    EXPECT_EQ(ended.code, 2) << folder;
    EXPECT_THAT(ended.err, HasSubstr(folder));
  }
  EXPECT_THAT(Child({"kv", "verfy", folder_}).wait().err, HasSubstr("did you mean \"verify\"?"));
  EXPECT_EQ(Child({"kv", "verify", folder_, "--log"}).wait().code, 2);
  EXPECT_EQ(Child({"kv", "verify"}).wait().code, 2);
}

}  // namespace
}  // namespace lockstep::cli

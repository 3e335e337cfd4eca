// pack_test.cc: bytes between the ranks of a job, and a rank that is alone.
#include "engine/ranks/pack.h"

#include <gtest/gtest.h>

#include <vector>

#include "engine/ranks/ranks.h"

namespace lockstep {
namespace {

/// Not inlined: g++ 12 takes the short texts in a moved string for its bounds (-Warray-bounds).
[[gnu::noinline]] std::string taken_from(Packer& packer) { return packer.take(); }

TEST(RankPack, GivesBackWhatWasPut) {
  const std::string text("nul \0 and all", 13);
  Packer packer;
  packer.put(std::uint64_t{1} << 60U).put(text).put(-2.5).put(true).put("");
  const std::string bytes = taken_from(packer);
  Unpacker from(bytes);
  EXPECT_EQ(from.get<std::uint64_t>(), std::uint64_t{1} << 60U);
  EXPECT_EQ(from.text(), text);
  EXPECT_EQ(from.get<double>(), -2.5);
  EXPECT_TRUE(from.get<bool>());
  EXPECT_EQ(from.text(), "");
  EXPECT_TRUE(from.at_end());
  EXPECT_TRUE(from.ok());
}

TEST(RankPack, TellsOfBytesThatAreCutOff) {
  Packer packer;
  packer.put("some text");
  const std::string bytes = taken_from(packer);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const std::vector<char> cut(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
    Unpacker from(std::string_view(cut.data(), cut.size()));
    EXPECT_EQ(from.text(), "") << size;
    EXPECT_FALSE(from.ok()) << size;
  }
}

TEST(Ranks, OneThatIsAloneDecidesByItself) {
  const std::unique_ptr<Ranks> ranks = alone();
  EXPECT_TRUE(ranks->leads());
  EXPECT_FALSE(ranks->are_several());
  const RankAnswer answer = ranks->ask(
      "mine", [](const RankPieces& pieces) { return *pieces.at(0) + " of " + std::to_string(pieces.size()); });
  EXPECT_EQ(answer.text, "mine of 1");
  EXPECT_FALSE(answer.stopped);
  EXPECT_TRUE(ranks->leave({}));
  EXPECT_EQ(ranks->lost(), "");
}

}  // namespace
}  // namespace lockstep

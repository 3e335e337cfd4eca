// dsns_test.cc: which store a DSN is meant for.
#include "engine/store/dsns.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "engine/store/backend.h"

namespace lockstep {
namespace {

/// A store of this build that has servers, and such DSNs.
const BackendKind& with_servers() {
  for (const BackendKind& kind : backends()) {
    if (kind.traits.dsn && kind.traits.dsn->fits("host=db1 port=5432")) return kind;
  }
  ADD_FAILURE() << "no store of this build has servers";
  return default_backend();
}

/// A store that this build does not have, whose DSNs begin with "other:".
BackendKind another() {
  BackendKind kind = with_servers();
  kind.name = "other";
  kind.traits.dsn->fits = [](const std::string& text) { return text.starts_with("other:"); };
  return kind;
}

std::string named(const std::string& dsn) { return std::string(with_servers().name) + "=" + dsn; }

TEST(Dsns, APlainOneIsForTheStoreThatItFits) {
  EXPECT_EQ(Dsns("host=db1 port=5432").of(with_servers()), "host=db1 port=5432");
  EXPECT_EQ(Dsns("no DSN at all").of(with_servers()), "no DSN at all") << "the store says what is wrong with it";
  EXPECT_EQ(Dsns().of(with_servers()), "");
  EXPECT_EQ(Dsns("host=db1").of(default_backend()), "") << default_backend().name << " has no servers";
}

TEST(Dsns, OneThatNamesItsStoreGoesBeforeAPlainOne) {
  EXPECT_EQ(Dsns(named("host=db1 port=5432")).of(with_servers()), "host=db1 port=5432");
  EXPECT_EQ(Dsns(std::vector<std::string>{named("host=a"), "host=b"}).of(with_servers()), "host=a");
  EXPECT_EQ(Dsns(named("host=a")).of(another()), "");
}

TEST(Dsns, TheLastOneWins) {
  EXPECT_EQ(Dsns(std::vector<std::string>{"host=a", "host=b"}).of(with_servers()), "host=b");
  EXPECT_EQ(Dsns(std::vector<std::string>{named("host=a"), named("host=b")}).of(with_servers()), "host=b");
}

TEST(Dsns, OfSeveralStoresAPlainOneGoesToThatWhichItFits) {
  EXPECT_EQ(Dsns("other:db1").of(another()), "other:db1");
  EXPECT_EQ(Dsns("host=db1").of(another()), "") << "it fits the other store";
  EXPECT_EQ(Dsns("fits nobody").of(another()), "fits nobody") << "the store says what is wrong with it";
}

}  // namespace
}  // namespace lockstep

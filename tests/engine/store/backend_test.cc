// backend_test.cc: what the catalogue's stores say of themselves fits together.
#include "engine/store/backend.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "kv/store.h"

namespace lockstep {
namespace {

TEST(Traits, PutTheStoresThatASearchKnowsFirst) {
  bool unknown_seen = false;
  for (const BackendKind& kind : backends()) {
    const bool known = kind.traits.footprints == Footprints::known;
    EXPECT_FALSE(known && unknown_seen) << kind.name;
    unknown_seen = unknown_seen || !known;
  }
  EXPECT_EQ(&default_backend(), &backends().front());
  EXPECT_EQ(default_backend().name, "kv");
  EXPECT_EQ(default_backend().protocols.front().name, kv::Options{}.protocol);
}

TEST(Traits, NameModelsThatThereAre) {
  const BackendKind* const modelling = modelling_backend();
  ASSERT_NE(modelling, nullptr);
  EXPECT_EQ(modelling->traits.footprints, Footprints::known) << "else nothing is won by the model";
  std::size_t models = 0;
  for (const BackendKind& kind : backends()) {
    for (const ProtocolTraits& protocol : kind.protocols) {
      if (!protocol.model) continue;
      ++models;
      SCOPED_TRACE(std::string(kind.name) + " " + protocol.name);
      EXPECT_NE(modelling->protocol_named(protocol.model->protocol), nullptr);
      const EmulatedDatabase* const emulated = emulated_named(protocol.model->emulated.name);
      ASSERT_NE(emulated, nullptr);
      EXPECT_EQ(emulated->closer_is_victim, protocol.model->emulated.closer_is_victim);
      EXPECT_EQ(emulated->operations_see_latest, protocol.model->emulated.operations_see_latest);
      EXPECT_EQ(emulated->begin_takes_store, protocol.model->emulated.begin_takes_store);
      EXPECT_EQ(emulated->failed_commit_aborts, protocol.model->emulated.failed_commit_aborts);
    }
  }
  EXPECT_GT(models, 0U);
  EXPECT_EQ(emulated_named("no such store"), nullptr);
}

TEST(Traits, OfAnEmulatedProtocolAreItsOwnButForTheOrderOfBegins) {
  for (const BackendKind& kind : backends()) {
    for (const ProtocolTraits& protocol : kind.protocols) {
      if (!protocol.model) continue;
      const std::string name =
          std::string(protocol.model->protocol) + " as " + std::string(protocol.model->emulated.name);
      SCOPED_TRACE(name);
      const auto opened = modelling_backend()->open({.protocol = name, .dsn = {}});
      ASSERT_TRUE(opened.ok()) << opened.error().message;
      const ProtocolTraits& traits = (*opened)->protocol();
      EXPECT_EQ(traits.name, name);
      EXPECT_FALSE(traits.begin_order_matters);
      const ProtocolTraits& own = *modelling_backend()->protocol_named(protocol.model->protocol);
      EXPECT_EQ(traits.deadlocks, own.deadlocks);
      EXPECT_EQ(traits.scope, protocol.model->emulated.operations_see_latest ? ConflictScope::keys : own.scope);
    }
  }
  EXPECT_FALSE(modelling_backend()->open({.protocol = "snapshot as nothing", .dsn = {}}).ok());
}

TEST(Traits, KnowWhetherAServerIsNamed) {
  for (const BackendKind& kind : backends()) {
    if (!kind.traits.dsn) {
      EXPECT_FALSE(kind.is_server_named("host=x")) << kind.name << " has none";
      EXPECT_TRUE(kind.available("").ok()) << kind.name;
      EXPECT_EQ(kind.announcement(""), "") << kind.name;
      continue;
    }
    const std::string variable(kind.traits.dsn->variable);
    const char* const before = std::getenv(variable.c_str());
    const std::string kept = before == nullptr ? "" : before;
    ::unsetenv(variable.c_str());
    EXPECT_FALSE(kind.is_server_named(""));
    EXPECT_TRUE(kind.is_server_named("host=x"));
    EXPECT_TRUE(kind.available("host=x").ok()) << "it need not be here";
    EXPECT_EQ(kind.announcement("host=x"), "");
    ::setenv(variable.c_str(), "host=y", 1);
    EXPECT_TRUE(kind.is_server_named(""));
    EXPECT_EQ(kind.announcement(""), "");
    ::unsetenv(variable.c_str());
    if (before != nullptr) ::setenv(variable.c_str(), kept.c_str(), 1);
  }
}

}  // namespace
}  // namespace lockstep

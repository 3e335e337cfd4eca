// example_test.cc: the scenario of the README compiles, runs, and does what it says.
#include <gtest/gtest.h>

#include "engine/run/run.h"
#include "scenarios/catalogue.h"
#include "tests/documents/markdown.h"

namespace lockstep::scenarios {
Scenario stock_last_cup();  // tests/documents/example/last_cup.cc
}

namespace lockstep::documents {
namespace {

TEST(ReadmeScenario, IsTheOneThatIsCompiledHere) {
  const std::vector<std::vector<std::string>> blocks = taken_apart("README.md").blocks;
  const std::vector<std::string> compiled = lines_of("tests/documents/example/last_cup.cc");
  EXPECT_NE(std::find(blocks.begin(), blocks.end(), compiled), blocks.end());
}

TEST(ReadmeScenario, HasTheTextFileThatIsRunHere) {
  const std::vector<std::string> file = lines_of("scenarios/files/last_cup.spec");
  for (const char* const document : {"README.md", "docs/files.md"}) {
    const std::vector<std::vector<std::string>> blocks = taken_apart(document).blocks;
    EXPECT_NE(std::find(blocks.begin(), blocks.end(), file), blocks.end()) << document;
  }
}

TEST(ReadmeScenario, DoesWhatItSays) {
  const Scenario scenario = scenarios::stock_last_cup();
  for (const auto& [protocol, verdict] :
       {std::pair("2pl-detect", record::Verdict::deadlock), std::pair("snapshot", record::Verdict::abort)}) {
    RunRequest request;
    request.store = "kv";
    request.protocol = protocol;
    const Result<record::Run> result = run(scenario, request);
    ASSERT_TRUE(result) << result.error().message;
    EXPECT_EQ(result->verdict, verdict) << protocol << ": " << result->summary;
    EXPECT_TRUE(result->as_expected()) << protocol;
  }
}

}  // namespace
}  // namespace lockstep::documents

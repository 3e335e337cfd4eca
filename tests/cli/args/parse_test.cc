// parse_test.cc: the command line, and what a wrong one is told.
#include <gmock/gmock.h>

#include "cli/args/arguments.h"
#include "cli/args/completion.h"
#include "cli/args/names.h"
#include "cli/text/help.h"
#include "cli/text/hints.h"
#include "cli/text/man.h"
#include "cli/text/text.h"

namespace lockstep::cli {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

Parsed parsed(std::vector<const char*> words) {
  words.insert(words.begin(), "lockstep");
  return parse(static_cast<int>(words.size()), words.data());
}

TEST(Parse, ReadsArgumentsAndOptionsInAnyOrder) {
  for (const auto& words : {std::vector<const char*>{"run", "deadlock/two-lock", "--store", "kv", "--json"},
                            std::vector<const char*>{"run", "--json", "--store=kv", "deadlock/two-lock"}}) {
    const Parsed got = parsed(words);
    ASSERT_EQ(got.error, "");
    EXPECT_EQ(got.command->name, "run");
    EXPECT_EQ(got.arguments.value("NAME"), "deadlock/two-lock");
    EXPECT_EQ(got.arguments.value("store"), "kv");
    EXPECT_TRUE(got.arguments.has("json"));
    EXPECT_FALSE(got.arguments.has("quiet"));
  }
}

TEST(Parse, TakesTheNameOfACommandForAnArgumentAfterTheCommand) {
  const Parsed got = parsed({"help", "run"});
  ASSERT_EQ(got.error, "");
  EXPECT_EQ(got.command->name, "help");
  EXPECT_EQ(got.arguments.value("COMMAND"), "run");
  EXPECT_EQ(parsed({"kv", "dump", "runs"}).arguments.value("DIR"), "runs");
}

TEST(Parse, TakesTheLastOfAnOptionThatIsGivenTwiceAndAllOfOneThatRepeats) {
  EXPECT_EQ(parsed({"run", "x", "--seed", "1", "--seed", "2"}).arguments.value("seed"), "2");
  EXPECT_THAT(parsed({"check", "--expect", "a", "--expect", "b"}).arguments.all("expect"), ElementsAre("a", "b"));
  EXPECT_THAT(parsed({"check", "--store", "kv,sqlite"}).arguments.listed("store"), ElementsAre("kv", "sqlite"));
}

TEST(Parse, AnswersEveryMistakeInOneLine) {
  const struct {
    std::vector<const char*> words;
    const char* error;
  } examples[] = {
      {{"rnu"}, "no command \"rnu\"; did you mean \"run\"?"},
      {{"--bogus"}, "no option \"--bogus\" (lockstep --help)"},
      {{"run"}, "run needs NAME (lockstep run --help)"},
      {{"run", "x", "y"}, "\"y\" is one argument too many for run (lockstep run --help)"},
      {{"run", "x", "--protcol", "occ"}, "no option \"--protcol\" for run; did you mean \"--protocol\"?"},
      {{"run", "x", "--protcol=occ"}, "no option \"--protcol\" for run; did you mean \"--protocol\"?"},
      {{"run", "x", "--store"}, "--store needs NAME (lockstep run --help)"},
      {{"run", "x", "--json=maybe"}, "--json takes no value (lockstep run --help)"},
      {{"run", "x", "--color", "red"}, "no value for --color \"red\"; there are: auto, always, never"},
      {{"run", "x", "--executor", "thread"}, "no value for --executor \"thread\"; did you mean \"threads\"?"},
      {{"completion", "tcsh"}, "no SHELL \"tcsh\"; did you mean \"bash\"?"},
  };
  for (const auto& [words, error] : examples) EXPECT_EQ(parsed(words).error, error);
}

TEST(Parse, HelpGoesBeforeMistakes) {
  EXPECT_TRUE(parsed({"run", "--help"}).help);
  EXPECT_EQ(parsed({"run", "--help"}).error, "");
  EXPECT_TRUE(parsed({"-h"}).help);
  EXPECT_TRUE(parsed({"--version"}).version);
}

TEST(Tree, EveryCommandHasHelpWithAnExampleThatParses) {
  for (const CommandSpec& command : commands()) {
    if (command.hidden) continue;
    SCOPED_TRACE(command.name);
    EXPECT_FALSE(command.summary.empty());
    EXPECT_NE(command.run, nullptr);
    ASSERT_FALSE(command.examples.empty());
    const std::string help = command_help(command, Terminal{.width = 80});
    EXPECT_THAT(help, HasSubstr("Examples"));
    for (const OptionSpec& option : all_options(command)) EXPECT_THAT(help, HasSubstr("--" + option.name));
    for (const Example& example : command.examples) EXPECT_TRUE(example.command.starts_with(command.name));
  }
}

TEST(Tree, HelpFitsTheTerminal) {
  for (const std::size_t width : {60u, 80u, 140u}) {
    std::string all = program_help(Terminal{.width = width});
    for (const CommandSpec& command : commands()) all += command_help(command, Terminal{.width = width});
    std::size_t begin = 0;
    for (std::size_t end = all.find('\n'); end != std::string::npos; begin = end + 1, end = all.find('\n', begin)) {
      const std::string line = all.substr(begin, end - begin);
      if (line.starts_with("  lockstep ")) continue;  // to be copied
      EXPECT_LE(columns(line), width) << line;
    }
  }
}

TEST(Tree, TheManualPageNamesEveryCommandAndOption) {
  const std::string page = man_page();
  EXPECT_TRUE(page.starts_with(".TH LOCKSTEP 1"));
  for (const CommandSpec& command : commands()) {
    if (command.hidden) continue;
    std::string name = command.name;  // where a "-" is written "\\-"
    if (const std::size_t dash = name.find('-'); dash != std::string::npos) name.insert(dash, "\\");
    EXPECT_THAT(page, HasSubstr("lockstep " + name));
  }
  EXPECT_THAT(page, HasSubstr("\\-\\-deadlock\\-timeout TIME"));
  EXPECT_THAT(page, Not(HasSubstr("__complete")));
  for (const char c : page) EXPECT_LT(static_cast<unsigned char>(c), 0x80);
}

TEST(Tree, HintsNameOnlyCommandsThatExist) {
  for (const Hint& hint : hints_for(record::Run{}, "7f3a")) EXPECT_NE(command_named(hint.label), nullptr) << hint.label;
}

std::vector<std::string> completed(const std::vector<std::string>& words) {
  std::vector<std::string> found;
  for (const Suggestion& suggestion : suggestions(words)) found.push_back(suggestion.word);
  return found;
}

TEST(Completion, FollowsTheTree) {
  EXPECT_THAT(completed({"ru"}), ElementsAre("run", "runs"));
  EXPECT_THAT(completed({"run", "--proto"}), ElementsAre("--protocol"));
  EXPECT_THAT(completed({"run", "x", "--executor", ""}), ElementsAre("threads", "coroutines"));
  EXPECT_THAT(completed({"completion", ""}), ElementsAre("bash", "zsh", "fish"));
  EXPECT_THAT(completed({"nonsense", ""}), ElementsAre());
  EXPECT_THAT(completed({}), Contains("list"));
}

TEST(Completion, KnowsTheCatalogueAndWhatWasTyped) {
  EXPECT_THAT(completed({"run", "deadlock/two"}), ElementsAre("deadlock/two-lock"));
  EXPECT_THAT(completed({"run", "deadlock/two-lock", "--pattern", ""}), Contains("ordered"));
  EXPECT_THAT(completed({"run", "x", "--store", ""}), Contains("kv"));
  EXPECT_THAT(completed({"run", "x", "--protocol", "2pl-det"}), ElementsAre("2pl-detect"));
  EXPECT_THAT(completed({"run", "x", "--store", "postgres", "--protocol", "ser"}), ElementsAre("serializable"));
}

TEST(Completion, HasAScriptForEveryShell) {
  for (const char* shell : {"bash", "zsh", "fish"}) EXPECT_THAT(completion_script(shell), HasSubstr("__complete"));
}

TEST(Names, UnknownOnesGetTheNearest) {
  std::string error;
  EXPECT_EQ(scenario_named("deadlock/tow-lock", error), nullptr);
  EXPECT_EQ(error, "no scenario \"deadlock/tow-lock\"; did you mean \"deadlock/two-lock\"?");
  EXPECT_EQ(scenario_named("two-lock", error), nullptr);
  EXPECT_THAT(error, HasSubstr("did you mean"));
  error.clear();
  EXPECT_TRUE(scenarios_named({"deadlok"}, error).empty());
  EXPECT_EQ(error, "no theme \"deadlok\"; did you mean \"deadlock\"?");
}

}  // namespace
}  // namespace lockstep::cli

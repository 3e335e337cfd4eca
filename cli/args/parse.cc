// parse.cc: builds CLI11's parser from the command tree and puts its complaints into our words. The only file that
// knows CLI11.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <deque>
#include <optional>

#include "cli/args/arguments.h"
#include "engine/base/suggest.h"

namespace lockstep::cli {
namespace {

/// Where CLI11 puts what it finds; addresses must not move.
struct Slot {
  std::string name;
  std::vector<std::string> values;
  std::string word;  ///< of an argument
  bool flag = false;
  CLI::Option* option = nullptr;
};

struct Built {
  const CommandSpec* command;
  CLI::App* app;
  std::deque<Slot> slots;
};

void build(Built& built) {
  CLI::App& app = *built.app;
  app.set_help_flag();
  app.allow_extras();
  app.positionals_at_end(false);
  for (const OptionSpec& spec : all_options(*built.command)) {
    Slot& slot = built.slots.emplace_back();
    slot.name = spec.name;
    const std::string name = spec.name == "help" ? "-h,--help" : "--" + spec.name;
    if (spec.value.empty()) {
      slot.option = app.add_flag(name, slot.flag);
    } else {
      slot.option =
          app.add_option(name, slot.values)
              ->expected(1)
              ->multi_option_policy(spec.repeats ? CLI::MultiOptionPolicy::TakeAll : CLI::MultiOptionPolicy::TakeLast);
      slot.option->allow_extra_args(false);  // `--store kv NAME`: NAME is not another store
    }
  }
  for (const ArgumentSpec& spec : built.command->arguments) {
    Slot& slot = built.slots.emplace_back();
    slot.name = spec.name;
    slot.option = spec.repeats ? app.add_option(spec.name, slot.values) : app.add_option(spec.name, slot.word);
  }
}

std::string unknown_option(const std::string& typed, const CommandSpec& command) {
  const std::string name = typed.substr(0, typed.find('='));
  std::vector<std::string> names;
  for (const OptionSpec& option : all_options(command)) names.push_back("--" + option.name);
  if (const std::string near = nearest(name, names); !near.empty()) {
    return fmt::format("no option \"{}\" for {}; did you mean \"{}\"?", name, command.name, near);
  }
  return fmt::format("no option \"{}\" for {} (lockstep {} --help)", name, command.name, command.name);
}

std::string unexpected(const std::vector<std::string>& extras, const CommandSpec& command) {
  for (const std::string& extra : extras) {
    if (extra.size() > 1 && extra[0] == '-') return unknown_option(extra, command);
  }
  return fmt::format("\"{}\" is one argument too many for {} (lockstep {} --help)", extras.front(), command.name,
                     command.name);
}

/// The choices of an option or an argument, checked here so that all commands complain alike.
std::string wrong_choice(const std::string& what, const std::vector<std::string>& values,
                         const std::vector<std::string>& choices) {
  if (choices.empty()) return {};
  for (const std::string& value : values) {
    if (std::find(choices.begin(), choices.end(), value) == choices.end()) return unknown_name(what, value, choices);
  }
  return {};
}

/// `is_passed_on`: words follow --, which may stand for what is required.
std::string take(Built& built, Arguments& arguments, bool is_passed_on) {
  for (Slot& slot : built.slots) {
    if (slot.option->count() == 0) continue;
    arguments.set(slot.name, slot.word.empty() ? slot.values : std::vector<std::string>{slot.word});
  }
  for (const OptionSpec& spec : built.command->options) {
    if (auto error = wrong_choice("value for --" + spec.name, arguments.listed(spec.name), spec.choices);
        !error.empty()) {
      return error;
    }
  }
  for (const OptionSpec& spec : common_options()) {
    if (auto error = wrong_choice("value for --" + spec.name, arguments.all(spec.name), spec.choices); !error.empty()) {
      return error;
    }
  }
  if (arguments.has("help")) return {};
  for (const ArgumentSpec& spec : built.command->arguments) {
    if (spec.required && !arguments.has(spec.name) && !is_passed_on) {
      return fmt::format("{} needs {} (lockstep {} --help)", built.command->name, spec.name, built.command->name);
    }
    if (auto error = wrong_choice(spec.name, arguments.all(spec.name), spec.choices); !error.empty()) return error;
  }
  return {};
}

/// What is wrong, in one line of our own: CLI11's sentence names the option, and what that is the tree knows.
std::string complaint(const CLI::ParseError& error, const Built* built) {
  const std::string text = error.what();
  if (built == nullptr) return "the command line cannot be read (lockstep --help)";
  for (const OptionSpec& spec : all_options(*built->command)) {
    const std::size_t at = text.find("--" + spec.name);
    if (at == std::string::npos) continue;
    const char behind = at + 2 + spec.name.size() < text.size() ? text[at + 2 + spec.name.size()] : ' ';
    if (std::isalnum(static_cast<unsigned char>(behind)) != 0 || behind == '-') continue;  // another, longer name
    if (spec.value.empty())
      return fmt::format("--{} takes no value (lockstep {} --help)", spec.name, built->command->name);
    return fmt::format("--{} needs {} (lockstep {} --help)", spec.name, spec.value, built->command->name);
  }
  return fmt::format("the command line of {0} cannot be read (lockstep {0} --help)", built->command->name);
}

/// The command of the first word that names one; nullptr: none does.
const CommandSpec* first_command(int argc, const char* const* argv) {
  for (int i = 1; i < argc; ++i) {
    if (const CommandSpec* const command = command_named(argv[i])) return command;
  }
  return nullptr;
}

/// A question of a completion script holds a command line of its own, whole or not. It is not judged here.
Parsed parse_completion(int argc, const char* const* argv) {
  Parsed parsed;
  parsed.command = command_named("__complete");
  const bool dashes = argc > 2 && std::string_view(argv[2]) == "--";
  parsed.arguments.set("WORDS", {argv + std::min(argc, dashes ? 3 : 2), argv + argc});
  return parsed;
}

}  // namespace

Parsed parse(int argc, const char* const* argv) {
  if (argc > 1 && std::string_view(argv[1]) == "__complete") return parse_completion(argc, argv);
  const char* const* const end = argv + argc;
  const char* const* passed_on = end;
  if (const CommandSpec* const named = argc > 1 ? command_named(argv[1]) : nullptr; named && named->passes_on) {
    passed_on = std::find_if(argv, end, [](const char* word) { return std::string_view(word) == "--"; });
    argc = static_cast<int>(passed_on - argv);
  }
  CLI::App app;
  app.set_help_flag();
  app.allow_extras();
  bool help = false, version = false;
  app.add_flag("-h,--help", help);
  app.add_flag("--version,-V", version);
  // CLI11 knows one command, the first that is named: it would take "run" in `help run` for another one.
  std::optional<Built> built;
  if (const CommandSpec* const command = first_command(argc, argv)) {
    built.emplace(Built{command, app.add_subcommand(command->name), {}});
    build(*built);
  }

  Parsed parsed;
  try {
    app.parse(argc, const_cast<char**>(argv));  // CLI11 2.1 takes no pointers to const, and changes nothing
  } catch (const CLI::ParseError& error) {
    parsed.error = complaint(error, built ? &*built : nullptr);
    return parsed;
  }
  parsed.version = version;
  parsed.help = help;
  if (!built) {
    const std::vector<std::string> extras = app.remaining();
    if (extras.empty()) return parsed;
    parsed.error = extras.front().starts_with("-") ? fmt::format("no option \"{}\" (lockstep --help)", extras.front())
                                                   : unknown_name("command", extras.front(), command_names());
    return parsed;
  }
  parsed.command = built->command;
  parsed.error = take(*built, parsed.arguments, passed_on != end);
  if (passed_on != end) parsed.arguments.set("--", {passed_on + 1, end});
  parsed.help = parsed.help || parsed.arguments.has("help");
  if (parsed.help) {
    parsed.error.clear();
    return parsed;
  }
  if (std::vector<std::string> extras = app.remaining(true); !extras.empty()) {
    parsed.error = unexpected(extras, *built->command);
  }
  return parsed;
}

}  // namespace lockstep::cli

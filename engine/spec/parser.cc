// parser.cc: from a text to a SpecFile, and what is looked at once all of it has been read.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <unordered_map>

#include "engine/base/suggest.h"
#include "engine/spec/checks.h"
#include "engine/spec/lexer.h"
#include "engine/spec/portable.h"
#include "engine/spec/spec_file.h"

namespace lockstep::spec {
namespace {

using Kind = Token::Kind;

constexpr const char* kLoadOrSessions =
    "a file has sessions, whose order is the schedule, or `load`, which many sessions perform; not both";
constexpr int kRepeatDepthMost = 8;
constexpr int kRepeatMost = 10'000;

/// The words that begin a statement of a file. The first four are PostgreSQL's.
constexpr std::array<std::string_view, 16> kStatements = {
    "setup", "teardown", "session", "permutation", "pattern",  "given", "expect", "holds",
    "why",   "fix",      "option",  "on",          "schedule", "load",  "rows",   "choose"};

/// The most rows of a load, and the most that one transaction chooses.
constexpr std::int64_t kRowsMost = 10'000'000;
constexpr std::size_t kChosenMost = 8;

bool is_statement(std::string_view word) {
  return std::find(kStatements.begin(), kStatements.end(), word) != kStatements.end();
}

std::vector<std::string> words_of(std::string_view text, std::string_view separators = " \t,") {
  std::vector<std::string> words;
  while (true) {
    text.remove_prefix(std::min(text.find_first_not_of(separators), text.size()));
    if (text.empty()) return words;
    const std::size_t size = std::min(text.find_first_of(separators), text.size());
    words.emplace_back(text.substr(0, size));
    text.remove_prefix(size);
  }
}

bool is_capture(std::string_view name) {
  return !name.empty() && name.front() != '"' && name_at(name) == name.size() && name.find('$') == std::string::npos;
}

/// Takes ` -> x, y` off the end of a statement. One that ends in a semicolon has none.
std::vector<std::string> captures_at_end(std::string& statement) {
  const std::size_t arrow = statement.rfind("->");
  if (arrow == std::string::npos || arrow == 0) return {};
  const char before = statement[arrow - 1];
  if (before != ' ' && before != '\t' && before != '\n') return {};
  std::vector<std::string> names = words_of(std::string_view(statement).substr(arrow + 2), ",");
  for (std::string& name : names) {
    name = trimmed(name);
    if (!is_capture(name)) return {};
  }
  if (!names.empty()) statement.resize(arrow);
  return names;
}

std::string_view without_semicolon(std::string_view statement) {
  statement = trimmed(statement);
  while (statement.ends_with(';')) statement = trimmed(statement.substr(0, statement.size() - 1));
  return statement;
}

/// The first line with a byte that no text has; 0: there is none. `what`: which.
int line_with_no_text(std::string_view text, std::string& what) {
  int line = 1;
  for (std::size_t i = 0; i < text.size();) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c == '\n') ++line;
    if (c == 0) {
      what = "a NUL byte stands here; this is no text file";
      return line;
    }
    if (c < 0x80) {
      ++i;
      continue;
    }
    const std::size_t size = c >= 0xf0 && c < 0xf5 ? 4 : c >= 0xe0 ? 3 : c >= 0xc2 ? 2 : 0;
    bool good = size > 0 && c < 0xf5 && i + size <= text.size();
    for (std::size_t k = 1; good && k < size; ++k) good = (static_cast<unsigned char>(text[i + k]) & 0xc0) == 0x80;
    if (!good) {
      what = fmt::format("the byte 0x{:02x} is not UTF-8; save the file as UTF-8", c);
      return line;
    }
    i += size;
  }
  return 0;
}

class Parser {
 public:
  Parser(std::string path, std::string text) {
    file_.path = std::move(path);
    file_.text = std::move(text);
    file_.patterns.emplace_back();
  }

  ParsedSpec parse();

 private:
  /// A session is known by its name within its pattern.
  struct Names {
    std::unordered_map<std::string, int> sessions = {};
    std::string schedule = {};  ///< as written
    int schedule_line = 0;
    bool has_lines = false;
  };
  struct Repeat {
    int line;
    std::int64_t times;
    std::size_t first_step;
  };

  SpecPattern& pattern() { return file_.patterns.back(); }
  void complain(int line, std::string what) { lexer_->complain(line, std::move(what)); }

  void read_title();
  void read_statement();
  void read_script_line(const std::string& session);
  void read_expected();
  void read_outcome(Expected& expected, std::string_view said, int line);
  void read_setup(const Token& word);
  void read_teardown(const Token& word);
  void read_session(const Token& word);
  void read_steps(SpecSession& session, std::optional<int> index);
  void read_step(SpecSession& session, const Token& word);
  void end_repeat(SpecSession& session, std::vector<Repeat>& open, const Token& word);
  void read_permutation(const Token& word);
  bool goes_on(const Token& next);
  void read_markers(PermutationStep& step);
  void read_pattern(int line);
  void read_given(const Token& word);
  void read_expect(int line);
  void read_holds(int line);
  void read_why(int line);
  void read_fix(int line);
  void read_option(int line);
  void read_stores(int line);
  void read_schedule(int line);
  void read_load(const Token& word);
  void read_steps_of_load();
  void read_rows(int line);
  void read_choose(int line);
  std::string take_rest();

  int add_session(std::string name, int line);
  void add_step(SpecSession& session, Step step);
  void make_portable(Step& step);
  std::string take_text(std::string_view of);
  Token take_name(std::string_view what);
  Token take_block(std::string_view what);

  void finish();
  void order_steps(SpecPattern& pattern, const Names& names);

  SpecFile file_;
  std::optional<Lexer> lexer_;
  std::vector<Names> names_{1};
  bool has_pattern_ = false;  ///< a statement `pattern` was read
  std::size_t shared_options_ = 0;
  std::size_t steps_ = 0;
  /// What `=>` speaks of: the pattern's session and its latest step.
  std::optional<int> latest_;
};

ParsedSpec Parser::parse() {
  ParsedSpec parsed;
  std::string what;
  if (file_.text.size() > kTextMost) {
    parsed.complaint = {
        1, fmt::format("the file has {} MB; at most {} MB are read", file_.text.size() >> 20, kTextMost >> 20)};
    return parsed;
  }
  if (const int line = line_with_no_text(file_.text, what); line > 0) {
    parsed.complaint = {line, std::move(what)};
    return parsed;
  }
  constexpr std::string_view kMark = "\xef\xbb\xbf";  // of the order of bytes, as some editors write it
  if (file_.text.starts_with(kMark)) file_.text.erase(0, kMark.size());
  lexer_.emplace(file_.text);
  read_title();
  for (lexer_->skip(); !lexer_->at_end(); lexer_->skip()) read_statement();
  if (!lexer_->failed()) finish();
  if (lexer_->failed()) {
    parsed.complaint = lexer_->complaint();
  } else {
    parsed.file = std::move(file_);
  }
  return parsed;
}

/// The first comment: its first line is the title, the others are the story.
void Parser::read_title() {
  std::string_view text = file_.text;
  bool in_comment = false;
  while (!text.empty()) {
    const std::size_t size = std::min(text.find('\n'), text.size());
    std::string_view line = trimmed(text.substr(0, size));
    text.remove_prefix(std::min(size + 1, text.size()));
    if (!line.starts_with('#')) {
      if (in_comment || !line.empty()) break;
      continue;
    }
    in_comment = true;
    line = trimmed(line.substr(std::min(line.find_first_not_of('#'), line.size())));
    if (line.empty()) continue;
    if (file_.title.empty()) {
      file_.title = line;
    } else {
      file_.story += fmt::format("{}{}", file_.story.empty() ? "" : " ", line);
    }
  }
  if (!file_.title.empty()) return;
  const std::size_t slash = file_.path.rfind('/');
  file_.title = slash == std::string::npos ? file_.path : file_.path.substr(slash + 1);
}

void Parser::read_statement() {
  std::string session;
  if (lexer_->take_session(session)) return read_script_line(session);
  if (lexer_->starts_with("=>")) return read_expected();
  if (file_.is_load() && (lexer_->peek().is_word("step") || lexer_->peek().is_word("repeat")))
    return read_steps_of_load();
  const Token word = lexer_->take();
  if (lexer_->failed()) return;
  const auto is = [&word](std::string_view name) { return word.is_word(name); };
  if (is("setup")) return read_setup(word);
  if (is("teardown")) return read_teardown(word);
  if (is("session")) return read_session(word);
  if (is("permutation")) return read_permutation(word);
  if (is("pattern")) return read_pattern(word.line);
  if (is("given")) return read_given(word);
  if (is("expect")) return read_expect(word.line);
  if (is("holds")) return read_holds(word.line);
  if (is("why")) return read_why(word.line);
  if (is("fix")) return read_fix(word.line);
  if (is("option")) return read_option(word.line);
  if (is("on")) return read_stores(word.line);
  if (is("schedule")) return read_schedule(word.line);
  if (is("load")) return read_load(word);
  if (is("rows")) return read_rows(word.line);
  if (is("choose")) return read_choose(word.line);
  if (is("end")) return lexer_->complain_at(word, "\"end\" stands outside of a loop");
  if (is("step") || is("repeat"))
    return lexer_->complain_at(word, fmt::format("\"{}\" stands outside of a session", word.text));
  if (word.kind != Kind::name || word.quoted) {
    return lexer_->complain_at(
        word, fmt::format("{} stands where a statement or a line such as `T1: select 1` must come", word.in_words()));
  }
  if (lexer_->is_session_ahead(word.begin))
    return lexer_->complain_at(word,
                               "a script line begins at the start of its line, without blanks before the session");
  std::vector<std::string> known(kStatements.begin(), kStatements.end());
  lexer_->complain_at(word, unknown_name("statement", word.text, known) +
                                " A line of a session is `T1: select 1`; it goes on over lines that are indented");
}

std::string Parser::take_text(std::string_view of) {
  lexer_->skip();
  if (!lexer_->starts_with("\"")) {
    const Token token = lexer_->peek();
    lexer_->complain_at(token, fmt::format("`{}` takes a text in double quotes", of));
    return {};
  }
  return lexer_->take().text;
}

Token Parser::take_name(std::string_view what) {
  Token token = lexer_->take();
  if (lexer_->failed() || token.is_name()) return token;
  lexer_->complain_at(token, fmt::format("{} stands where {} must come{}", token.in_words(), what,
                                         token.kind == Kind::name ? "; a name that is a keyword is quoted" : ""));
  return token;
}

Token Parser::take_block(std::string_view what) {
  Token token = lexer_->take();
  if (!lexer_->failed() && token.kind != Kind::block)
    lexer_->complain_at(token, fmt::format("{} stands where {} must come, as {{ … }}", token.in_words(), what));
  return token;
}

int Parser::add_session(std::string name, int line) {
  const int index = static_cast<int>(pattern().sessions.size());
  names_.back().sessions.emplace(name, index);
  pattern().sessions.push_back({.name = std::move(name), .line = line});
  return index;
}

void Parser::make_portable(Step& step) {
  if (!file_.portable) return;
  Result<PortableStep> read = portable_step(step.text);
  if (!read) return complain(step.line, read.error().message);
  step.operation = std::move(read->operation);
  if (!read->captures.empty()) step.captures = std::move(read->captures);
}

void Parser::add_step(SpecSession& session, Step step) {
  if (++steps_ > kStepsMost) {
    return complain(step.line, fmt::format("more than {} steps, those of `repeat` written out", kStepsMost));
  }
  session.steps.push_back(std::move(step));
}

void Parser::read_script_line(const std::string& session) {
  const int line = lexer_->line();
  if (file_.is_load()) return complain(line, kLoadOrSessions);
  if (!pattern().permutations.empty())
    return complain(line, "the order of the steps stands in permutations or in script lines, not in both");
  const auto& known = names_.back().sessions;
  const auto found = known.find(session);
  const int index = found != known.end() ? found->second : add_session(session, line);
  Step step{.line = line};
  std::string statement = lexer_->take_script(
      step.last_line, [&known](std::string_view name) { return known.contains(std::string(name)); });
  if (!file_.portable) step.captures = captures_at_end(statement);
  const std::string_view bare = without_semicolon(statement);
  if (bare.size() == statement.size()) {
    step.text = std::move(statement);
  } else {
    step.text = bare;
    std::string shown = step.text;
    step.has_arrow = !captures_at_end(shown).empty();
  }
  if (step.text.empty()) return complain(line, fmt::format("{} has no statement on its line", session));
  make_portable(step);
  if (lexer_->failed()) return;
  add_step(pattern().sessions[static_cast<std::size_t>(index)], std::move(step));
  names_.back().has_lines = true;
  pattern().order.push_back(index);
  latest_ = index;
}

void Parser::read_expected() {
  const int line = lexer_->line();
  lexer_->advance(2);
  std::string_view said = lexer_->take_line();
  if (!latest_) return complain(line, "`=>` stands below the step that it speaks of; there is none above it");
  Step& step = pattern().sessions[static_cast<std::size_t>(*latest_)].steps.back();
  std::vector<std::string> protocols;
  if (said.starts_with('[')) {
    const std::size_t end = said.find(']');
    if (end == std::string_view::npos) return complain(line, "`=> [PROTOCOL] …`: the bracket is not closed");
    protocols = words_of(said.substr(1, end - 1));
    said = trimmed(said.substr(end + 1));
    if (protocols.empty()) return complain(line, "`=> [PROTOCOL] …` names no protocol");
  }
  if (said.empty())
    return complain(line, "`=>` says nothing; write `=> 90`, `=> 2 rows`, `=> waits T1` or `=> deadlock`");
  auto same = std::find_if(step.expected.begin(), step.expected.end(),
                           [&](const Expected& each) { return each.protocols == protocols; });
  if (same == step.expected.end()) same = step.expected.insert(same, {.protocols = std::move(protocols)});
  same->lines.push_back(line);
  read_outcome(*same, said, line);
}

/// `waits T1, then 1 row`, `waits`, `2 rows`, `90`.
void Parser::read_outcome(Expected& expected, std::string_view said, int line) {
  constexpr std::string_view kWaits = "waits";
  const bool waits = said.starts_with(kWaits) &&
                     (said.size() == kWaits.size() || said[kWaits.size()] == ' ' || said[kWaits.size()] == ',');
  if (waits) {
    expected.waits = true;
    said = said.substr(kWaits.size());
    std::size_t then = said.find(" then ");
    const std::string_view whom = said.substr(0, std::min(then, said.size()));
    expected.waits_for = words_of(whom);
    if (!expected.waits_for.empty() && expected.waits_for.front() == "for")
      expected.waits_for.erase(expected.waits_for.begin());
    if (then == std::string_view::npos) return;
    said = trimmed(said.substr(then + 6));
    if (said.empty()) return complain(line, "`=> waits …, then` says nothing of what comes then");
  }
  const std::vector<std::string> words = words_of(said, " \t");
  const bool counts = words.size() == 2 && (words[1] == "row" || words[1] == "rows");
  if (const auto count = counts ? whole_number(words[0]) : std::nullopt) {
    expected.count = *count;
  } else {
    expected.rows.emplace_back(said);
  }
}

void Parser::read_setup(const Token& word) {
  Token block = take_block("the SQL of the setup");
  if (lexer_->failed()) return;
  if (file_.portable) return complain(word.line, "a file has `given` (portable verbs) or `setup` (SQL), not both");
  if (!pattern().sessions.empty() || file_.teardown) {
    return lexer_->complain_at(word, "`setup` stands before the first session and before `teardown`");
  }
  (has_pattern_ ? pattern().setups : file_.setups).push_back({std::move(block.text), block.line});
}

void Parser::read_teardown(const Token& word) {
  Token block = take_block("the SQL of the teardown");
  if (lexer_->failed()) return;
  if (file_.portable) return complain(word.line, "a file with `given` needs no teardown: its rows are made anew");
  if (!pattern().sessions.empty() || file_.teardown || has_pattern_)
    return lexer_->complain_at(word, "one `teardown` of the file stands before the first session");
  file_.teardown = SqlBlock{std::move(block.text), block.line};
}

void Parser::read_session(const Token& word) {
  if (file_.is_load()) return complain(word.line, kLoadOrSessions);
  if (!pattern().permutations.empty()) return lexer_->complain_at(word, "sessions stand before the permutations");
  latest_.reset();
  std::vector<Token> tokens{take_name("the name of a session")};
  while (!lexer_->failed() && lexer_->peek().is_sign(",")) {
    (void)lexer_->take();
    tokens.push_back(take_name("the name of a session"));
  }
  std::optional<SqlBlock> setup;
  if (lexer_->peek().is_word("setup")) {
    (void)lexer_->take();
    Token block = take_block("the SQL of the setup");
    setup = SqlBlock{std::move(block.text), block.line};
  }
  if (lexer_->failed()) return;
  // Its place is taken first, so that `=>` below its steps finds them.
  const std::size_t first = pattern().sessions.size();
  for (const Token& token : tokens) {
    if (names_.back().sessions.contains(token.text))
      return complain(token.line, fmt::format("there is a session {} already; its steps stand together", token.text));
    (void)add_session(token.text, token.line);
  }
  pattern().sessions[first].setup = std::move(setup);
  read_steps(pattern().sessions[first], static_cast<int>(first));
  if (!lexer_->failed() && pattern().sessions[first].steps.empty()) {
    return lexer_->complain_at(lexer_->peek(),
                               fmt::format("{} stands where the first step of {} must come, as step name {{ … }}",
                                           lexer_->peek().in_words(), tokens.front().text));
  }
  if (!lexer_->failed() && lexer_->peek().is_word("teardown")) {
    (void)lexer_->take();
    Token block = take_block("the SQL of the teardown");
    pattern().sessions[first].teardown = SqlBlock{std::move(block.text), block.line};
  }
  if (lexer_->failed()) return;
  const bool has_sql = pattern().sessions[first].setup || pattern().sessions[first].teardown;
  if (file_.portable && has_sql)
    return complain(word.line, "a session of a file with `given` has no setup or teardown");
  for (std::size_t i = 1; i < tokens.size(); ++i) {
    SpecSession& copy = pattern().sessions[first + i];
    const SpecSession& original = pattern().sessions[first];
    steps_ += original.steps.size();
    if (steps_ > kStepsMost) return complain(word.line, fmt::format("more than {} steps", kStepsMost));
    copy.setup = original.setup;
    copy.teardown = original.teardown;
    copy.steps = original.steps;
    copy.is_copy = true;
  }
  latest_.reset();
}

/// `index`: of the session in its pattern; nullopt: it has no place there, so `=>` cannot speak of it.
void Parser::read_steps(SpecSession& session, std::optional<int> index) {
  std::vector<Repeat> open;
  for (;;) {
    lexer_->skip();
    if (lexer_->failed()) return;
    if (lexer_->starts_with("=>")) {
      if (!index)
        return complain(lexer_->line(), "a load performs its steps over and over: `=>` cannot speak of one time");
      latest_ = session.steps.empty() ? std::nullopt : index;
      read_expected();
      continue;
    }
    if (lexer_->at_end() || (lexer_->at_line_start() && lexer_->peek().kind == Kind::name &&
                             lexer_->is_session_ahead(lexer_->peek().begin)))
      break;
    const Token word = lexer_->peek();
    if (word.is_word("step")) {
      (void)lexer_->take();
      read_step(session, word);
    } else if (word.is_word("repeat")) {
      (void)lexer_->take();
      const Token times = lexer_->take();
      const auto number = times.kind == Kind::number ? whole_number(times.text) : std::nullopt;
      if (lexer_->failed()) return;
      if (!number || *number < 1 || *number > kRepeatMost)
        return lexer_->complain_at(times, fmt::format("`repeat` takes a number from 1 to {}", kRepeatMost));
      if (open.size() >= kRepeatDepthMost)
        return complain(word.line, fmt::format("more than {} loops within each other", kRepeatDepthMost));
      open.push_back({word.line, *number, session.steps.size()});
    } else if (word.is_word("end") && !open.empty()) {
      (void)lexer_->take();
      end_repeat(session, open, word);
    } else {
      break;
    }
  }
  if (!open.empty()) complain(open.back().line, "`repeat` has no `end`");
}

void Parser::end_repeat(SpecSession& session, std::vector<Repeat>& open, const Token& word) {
  const Repeat repeat = open.back();
  open.pop_back();
  const std::vector<Step> body(session.steps.begin() + static_cast<std::ptrdiff_t>(repeat.first_step),
                               session.steps.end());
  if (body.empty()) return complain(word.line, "the loop has no step");
  if (std::any_of(body.begin(), body.end(), [](const Step& step) { return !step.name.empty(); }))
    return complain(repeat.line, "steps of a loop have no names: a name stands for one step");
  for (std::int64_t i = 1; i < repeat.times && !lexer_->failed(); ++i) {
    for (const Step& step : body) add_step(session, step);
  }
}

void Parser::read_step(SpecSession& session, const Token& word) {
  Step step{.line = word.line};
  if (lexer_->peek().kind != Kind::block) step.name = take_name("the name of a step or its block").text;
  Token block = take_block(step.name.empty() ? "the SQL of the step" : "the SQL of the step " + step.name);
  if (lexer_->failed()) return;
  step.text = std::move(block.text);
  step.last_line = lexer_->line();
  lexer_->skip();
  if (lexer_->starts_with("->")) {
    lexer_->advance(2);
    step.captures.push_back(take_name("a name for the first column").text);
    // No look at the next token: `=>`, which may stand there, is none.
    for (lexer_->skip(); lexer_->starts_with(","); lexer_->skip()) {
      lexer_->advance(1);
      step.captures.push_back(take_name("a name for the next column").text);
    }
  }
  make_portable(step);
  if (!lexer_->failed()) add_step(session, std::move(step));
}

/// True when the token may be an entry of the permutation in hand. An addition at the front of a line ends it, unless a
/// step has that name: PostgreSQL would take it for one.
bool Parser::goes_on(const Token& next) {
  if (!next.is_name()) return false;
  if (next.quoted || !lexer_->at_line_start()) return true;
  if (lexer_->is_session_ahead(next.begin)) return false;
  return !is_statement(next.text) || pattern().step_named(next.text).has_value();
}

void Parser::read_permutation(const Token& word) {
  if (pattern().sessions.empty()) return lexer_->complain_at(word, "permutations stand below the sessions");
  if (names_.back().has_lines)
    return lexer_->complain_at(word, "the order of the steps stands in permutations or in script lines, not in both");
  Permutation permutation{.steps = {}, .line = word.line};
  while (goes_on(lexer_->peek())) {
    PermutationStep& step = permutation.steps.emplace_back();
    step.step = lexer_->take().text;
    if (lexer_->peek().is_sign("(")) read_markers(step);
  }
  if (lexer_->failed()) return;
  const Token next = lexer_->peek();
  if (permutation.steps.empty())
    return lexer_->complain_at(next, fmt::format("{} stands where the name of a step must come", next.in_words()));
  pattern().permutations.push_back(std::move(permutation));
  latest_.reset();
}

/// `(*)`, `(other)`, `(other notices 2, *)`.
void Parser::read_markers(PermutationStep& step) {
  do {
    (void)lexer_->take();
    if (lexer_->peek().is_sign("*")) {
      (void)lexer_->take();
      step.markers.push_back({.kind = Marker::Kind::once});
      continue;
    }
    Marker marker{.kind = Marker::Kind::step, .step = take_name("`*` or the name of a step").text};
    if (lexer_->peek().is_word("notices")) {
      (void)lexer_->take();
      const Token number = lexer_->take();
      if (!lexer_->failed() && number.kind != Kind::number)
        return lexer_->complain_at(number, "`notices` takes a number");
      marker.kind = Marker::Kind::notices;
      marker.notices =
          static_cast<int>(std::min<std::int64_t>(whole_number(number.text).value_or(INT32_MAX), INT32_MAX));
    }
    step.markers.push_back(std::move(marker));
  } while (!lexer_->failed() && lexer_->peek().is_sign(","));
  const Token close = lexer_->take();
  if (!lexer_->failed() && !close.is_sign(")"))
    lexer_->complain_at(close, fmt::format("{} stands where `)` must come", close.in_words()));
}

void Parser::read_pattern(int line) {
  const std::string said = take_rest();
  const std::size_t end = std::min(said.find_first_of(" \t"), said.size());
  const std::string name = said.substr(0, end);
  const std::string_view summary = trimmed(std::string_view(said).substr(end));
  if (name.empty() || name.front() == '"') return complain(line, "write `pattern NAME \"sentence\"`");
  if (!summary.empty() && (summary.size() < 2 || summary.front() != '"' || summary.back() != '"'))
    return complain(line, "after the name of a pattern comes a sentence in double quotes, and nothing more");
  if (std::any_of(file_.patterns.begin(), file_.patterns.end(), [&](const SpecPattern& each) {
        return each.name == name && !(&each == &file_.patterns.front() && each.sessions.empty());
      }))
    return complain(line, fmt::format("there is a pattern {} already", name));
  const SpecPattern& first = file_.patterns.front();
  if (!has_pattern_) shared_options_ = first.options.size();
  // What stands before the first pattern is everybody's. When that is no way of asking, the first pattern is this one.
  const bool takes_place = !has_pattern_ && first.sessions.empty() && first.loads.empty() &&
                           first.expectations.empty() && first.whys.empty() && !first.fix &&
                           names_.front().schedule.empty();
  if (!takes_place) {
    if (pattern().sessions.empty() && pattern().loads.empty())
      return complain(line, fmt::format("the pattern {} has no session", pattern().name));
    SpecPattern next;
    next.options.assign(first.options.begin(), first.options.begin() + static_cast<std::ptrdiff_t>(shared_options_));
    file_.patterns.push_back(std::move(next));
    names_.emplace_back();
  }
  has_pattern_ = true;
  pattern().name = name;
  pattern().summary = summary.size() > 2 ? summary.substr(1, summary.size() - 2) : std::string_view();
  pattern().line = line;
  latest_.reset();
}

void Parser::read_given(const Token& word) {
  const std::string rest = lexer_->take_statement();
  if (!file_.setups.empty() || file_.teardown)
    return complain(word.line, "a file has `given` (portable verbs) or `setup` (SQL), not both");
  if (has_pattern_ || !pattern().sessions.empty())
    return complain(word.line, "`given` stands before the first session or script line");
  Result<std::vector<std::pair<std::string, std::string>>> rows = given_rows(rest);
  if (!rows) return complain(word.line, rows.error().message);
  file_.portable = true;
  for (auto& row : *rows) file_.given.push_back(std::move(row));
}

/// `postgres read-committed: clean, *: abort`.
void Parser::read_expect(int line) {
  const std::string said = lexer_->take_statement();
  constexpr std::string_view kForm = "write `expect STORE PROTOCOL: VERDICT, *: VERDICT`";
  const std::vector<std::string> words = words_of(said, " \t");
  if (words.size() < 2) return complain(line, fmt::format("`expect` says what must come where; {}", kForm));
  const std::string& store = words.front();
  for (const std::string& entry : words_of(std::string_view(said).substr(store.size()), ",")) {
    const std::size_t colon = entry.find(':');
    const std::string_view protocol = trimmed(std::string_view(entry).substr(0, std::min(colon, entry.size())));
    if (trimmed(entry).empty()) continue;
    const std::string_view verdict =
        colon == std::string::npos ? std::string_view() : trimmed(std::string_view(entry).substr(colon + 1));
    if (protocol.empty() || verdict.empty() || verdict.find_first_of(": \t") != std::string_view::npos)
      return complain(line, fmt::format("\"{}\" is not PROTOCOL: VERDICT; {}", trimmed(entry), kForm));
    pattern().expectations.push_back({store, std::string(protocol), std::string(verdict), line});
  }
}

void Parser::read_holds(int line) {
  SpecInvariant invariant{.text = take_text("holds"), .line = line};
  if (lexer_->failed()) return;
  lexer_->skip();
  if (lexer_->starts_with("{")) {
    invariant.sql = lexer_->take().text;
    if (!lexer_->failed() && file_.portable)
      return complain(line, "`holds` of a file with `given` takes an expression: `holds \"text\" A + B = 200`");
    if (!lexer_->failed() && trimmed(invariant.sql).empty()) return complain(line, "`holds` has no query");
  } else {
    const std::string said = take_rest();
    if (!file_.portable)
      return complain(line, "`holds` takes a query: `holds \"text\" { select … }` (an expression needs `given`)");
    std::string_view rest = said;
    Result<Expression> expression = take_expression(rest, Reach::condition);
    if (!expression) return complain(line, expression.error().message);
    if (!trimmed(rest).empty()) return complain(line, fmt::format("\"{}\" is left over", trimmed(rest)));
    invariant.expression = std::move(*expression);
  }
  if (!lexer_->failed()) file_.invariants.push_back(std::move(invariant));
}

void Parser::read_why(int line) {
  Sentence sentence{.text = take_text("why"), .line = line};
  if (lexer_->failed()) return;
  sentence.outcomes = lexer_->take_statement();
  pattern().whys.push_back(std::move(sentence));
}

void Parser::read_fix(int line) {
  Fix fix{.text = take_text("fix"), .pattern = {}, .line = line};
  if (lexer_->failed()) return;
  const std::string rest = lexer_->take_statement();
  const std::string_view name = trimmed(std::string_view(rest).substr(std::min<std::size_t>(2, rest.size())));
  if (!rest.starts_with("->") || name.empty() || name.find_first_of(" \t") != std::string_view::npos)
    return complain(line, "a fix is shown by a pattern: write `fix \"sentence\" -> PATTERN`");
  fix.pattern = name;
  if (pattern().fix) return complain(line, "a pattern has one fix");
  pattern().fix = std::move(fix);
}

/// `retries 10`, `lock-timeout 200ms`.
void Parser::read_option(int line) {
  const std::vector<std::string> words = words_of(lexer_->take_statement(), " \t");
  static const std::vector<std::string> kOptions = {"lock-timeout", "deadlock-timeout", "statement-timeout", "retries"};
  constexpr std::int64_t kMost = 86'400'000;
  if (words.size() != 2) return complain(line, "write `option lock-timeout 200ms` or `option retries 10`");
  if (std::find(kOptions.begin(), kOptions.end(), words[0]) == kOptions.end())
    return complain(line, unknown_name("option", words[0], kOptions));
  std::string_view digits = words[1];
  std::int64_t factor = 1;
  if (words[0] != "retries") {
    const bool ms = digits.ends_with("ms");
    if (!ms && !digits.ends_with('s')) return complain(line, fmt::format("`{}` takes a time: 200ms or 2s", words[0]));
    factor = ms ? 1 : 1000;
    digits.remove_suffix(ms ? 2 : 1);
  }
  const auto number = whole_number(digits);
  if (!number || *number < 0 || *number > kMost / factor)
    return complain(line, fmt::format("\"{}\" is no value of `{}`", words[1], words[0]));
  pattern().options.push_back({words[0], *number * factor, line});
}

void Parser::read_stores(int line) {
  for (std::string& store : words_of(lexer_->take_statement())) file_.stores.push_back({std::move(store), line});
}

void Parser::read_schedule(int line) {
  Names& names = names_.back();
  if (!names.schedule.empty()) return complain(line, "a pattern has one schedule");
  names.schedule = lexer_->take_statement();
  names.schedule_line = line;
  if (names.schedule.empty()) complain(line, "write `schedule T1 T1 T2 …`: the session of each step");
}

/// In a file with `load` its statements may be indented, so none goes on over more than one line.
std::string Parser::take_rest() {
  if (!file_.is_load()) return lexer_->take_statement();
  return std::string(trimmed(without_comment(lexer_->take_line())));
}

/// `load look 90% "sentence"`.
void Parser::read_load(const Token& word) {
  constexpr std::string_view kForm = "write `load NAME`, or `load NAME 90%` where there are several";
  const std::string said(trimmed(without_comment(lexer_->take_line())));
  const bool has_sessions = std::any_of(file_.patterns.begin(), file_.patterns.end(),
                                        [](const SpecPattern& each) { return !each.sessions.empty(); });
  if (has_sessions) return complain(word.line, kLoadOrSessions);
  const std::vector<std::string> words = words_of(said, " \t");
  if (words.empty() || words.size() > 2 || words.front().front() == '"') return complain(word.line, std::string(kForm));
  SpecLoad load{.name = words.front(), .line = word.line};
  if (words.size() == 2) {
    const auto percent = words[1].ends_with('%') ? whole_number(words[1].substr(0, words[1].size() - 1)) : std::nullopt;
    if (!percent || *percent < 1 || *percent > 99) return complain(word.line, std::string(kForm));
    load.percent = static_cast<int>(*percent);
  }
  std::vector<SpecLoad>& loads = pattern().loads;
  if (std::any_of(loads.begin(), loads.end(), [&load](const SpecLoad& each) { return each.name == load.name; }))
    return complain(word.line, fmt::format("the pattern has a load {} already", load.name));
  load.session = {.name = load.name, .line = word.line};
  loads.push_back(std::move(load));
  latest_.reset();
}

void Parser::read_steps_of_load() {
  if (pattern().loads.empty())
    return lexer_->complain_at(lexer_->peek(), "a step stands below a `load`; the pattern has none of its own");
  read_steps(pattern().loads.back().session, std::nullopt);
}

void Parser::read_rows(int line) {
  const auto number = whole_number(trimmed(without_comment(lexer_->take_line())));
  if (!file_.is_load()) return complain(line, "`rows` stands below the `load` that chooses among them");
  if (!number || *number < 1 || *number > kRowsMost)
    return complain(line, fmt::format("`rows` takes a number from 1 to {}", kRowsMost));
  if (file_.rows > 0) return complain(line, "`rows` is said once, for all loads of the file");
  file_.rows = *number;
}

/// `choose a, b` or `choose a < b`. In a pattern without a load of its own: the loads of the first one, with this
/// choice.
void Parser::read_choose(int line) {
  const std::string said(trimmed(without_comment(lexer_->take_line())));
  if (!file_.is_load()) return complain(line, "`choose` stands below a `load`");
  if (pattern().loads.empty()) pattern().loads = file_.patterns.front().loads;
  const bool ascending = said.find('<') != std::string::npos;
  std::vector<std::string> names = words_of(said, ascending ? " \t<" : " \t,");
  std::vector<std::string> sorted = names;
  std::sort(sorted.begin(), sorted.end());
  const bool twice = std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end();
  if (names.empty() || names.size() > kChosenMost || twice || !std::all_of(names.begin(), names.end(), is_capture))
    return complain(line, fmt::format("`choose a, b` or `choose a < b` takes up to {} different names", kChosenMost));
  const bool is_of_pattern = pattern().line > pattern().loads.back().line;
  for (SpecLoad& load : pattern().loads) {
    if (!is_of_pattern && &load != &pattern().loads.back()) continue;
    load.chosen = names;
    load.ascending = ascending;
  }
}

void Parser::finish() {
  const Token end = lexer_->take();
  for (std::size_t i = 0; i < file_.patterns.size() && !lexer_->failed(); ++i) {
    SpecPattern& each = file_.patterns[i];
    if (each.sessions.empty() && each.loads.empty()) {
      return lexer_->complain_at(
          end, has_pattern_
                   ? fmt::format("the pattern {} has no session", each.name)
                   : "nothing happens in this file: write lines such as `T1: begin`, or a `session` with steps");
    }
    order_steps(each, names_[i]);
  }
  if (lexer_->failed()) return;
  if (std::optional<Complaint> found = fault_in(file_))
    lexer_->complain(found->line, std::move(found->what), std::move(found->original));
}

void Parser::order_steps(SpecPattern& pattern, const Names& names) {
  if (lexer_->failed() || names.schedule.empty()) return;
  std::vector<std::string> sessions;
  for (const SpecSession& session : pattern.sessions) sessions.push_back(session.name);
  pattern.order.clear();
  for (const std::string& name : words_of(names.schedule)) {
    const auto found = names.sessions.find(name);
    if (found == names.sessions.end()) return complain(names.schedule_line, unknown_name("session", name, sessions));
    pattern.order.push_back(found->second);
  }
}

}  // namespace

ParsedSpec parse(std::string path, std::string text) { return Parser(std::move(path), std::move(text)).parse(); }

}  // namespace lockstep::spec

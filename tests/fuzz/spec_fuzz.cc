// spec_fuzz.cc: a scenario file made of any bytes is a file or a complaint with a line of it; the parser never crashes
// and never works for long.
//
//   CXX=clang++-19 cmake --preset fuzz && cmake --build --preset fuzz --target spec_fuzz
//   build/fuzz/tests/spec_fuzz -max_total_time=60 -max_len=4096 scenarios/files
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "engine/spec/spec_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lockstep::spec;
  const std::string text(reinterpret_cast<const char*>(data), size);
  const ParsedSpec parsed = parse("fuzz.spec", text);
  const auto lines = static_cast<int>(std::count(text.begin(), text.end(), '\n')) + 1;
  const auto fail = [](const char* what) {
    std::fprintf(stderr, "%s\n", what);
    std::abort();
  };
  if (!parsed.file) {
    if (parsed.complaint.what.empty()) fail("a complaint without words");
    if (parsed.complaint.line < 1 || parsed.complaint.line > lines) fail("a complaint about a line that is not there");
    return 0;
  }
  for (const SpecPattern& pattern : parsed.file->patterns) {
    if (pattern.sessions.empty() == pattern.loads.empty()) fail("a pattern without a session and without a load");
    for (const int session : pattern.order) {
      if (session < 0 || static_cast<std::size_t>(session) >= pattern.sessions.size()) fail("an order of nobody");
    }
    for (const SpecSession& session : pattern.sessions) {
      for (const Step& step : session.steps) {
        if (step.operation.has_value() != parsed.file->portable) fail("a step of the other language");
        if (step.line < 1 || step.last_line < step.line || step.last_line > lines) fail("a step that is nowhere");
      }
    }
  }
  return 0;
}

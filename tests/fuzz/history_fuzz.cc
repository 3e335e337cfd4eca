// history_fuzz.cc: a history file made of any bytes is a verdict or a complaint with a line of it; the readers and the
// judges never crash and never work for long.
//
//   CXX=clang++-19 cmake --preset fuzz && cmake --build --preset fuzz --target history_fuzz
//   build/fuzz/tests/history_fuzz -max_total_time=60 -max_len=4096 build/corpus tests/fuzz/histories
#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "engine/histories/judge.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lockstep;
  using check::Judgement;
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto lines = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')) + 1;
  const auto fail = [](const char* what) {
    std::fprintf(stderr, "%s\n", what);
    std::abort();
  };
  histories::JudgeRequest request;
  request.claims = check::all_claims();
  request.objects.time_limit = std::chrono::milliseconds(50);
  const Result<histories::Judged> judged = histories::judge_text(text, request);
  if (!judged) {
    const std::string& what = judged.error().message;
    std::size_t line = 0;
    const auto [rest, wrong] = std::from_chars(what.data(), what.data() + what.size(), line);
    if (wrong != std::errc() || rest == what.data() + what.size() || *rest != ':') fail("a complaint without a line");
    if (line < 1 || line > lines) fail("a complaint about a line that is not there");
    return 0;
  }
  if (judged->asked.empty()) fail("a verdict on nothing");
  for (const histories::ClaimVerdict& one : judged->asked) {
    if (one.answer == Judgement::unknown && one.why.empty()) fail("unknown without a reason");
    if (one.answer != Judgement::holds && one.answer != Judgement::broken) continue;
    if (judged->operations == 0) fail("a verdict on no operation");
  }
  if (judged->answer() == Judgement::broken && judged->anomalies.empty()) fail("broken without a proof");
  // A level that holds implies all weaker ones.
  for (const check::Claim strong : check::all_claims()) {
    const auto answer = [&](check::Claim claim) {
      for (const histories::ClaimVerdict& one : judged->levels)
        if (one.claim == name_of(claim)) return one.answer;
      return Judgement::unknown;
    };
    if (answer(strong) != Judgement::holds) continue;
    for (const check::Claim weak : check::all_claims())
      if (implies(strong, weak) && answer(weak) == Judgement::broken)
        fail("a weaker level is broken than one that holds");
  }
  return 0;
}

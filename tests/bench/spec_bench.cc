// spec_bench.cc: what it costs to read a scenario file of about 1 MB: script lines with `=>`, named steps with
// permutations as PostgreSQL's specs have them, and portable steps. The figures stand in README.md.
//
//   build/release/tests/spec_bench
#include <benchmark/benchmark.h>

#include "engine/spec/spec_file.h"

namespace lockstep::spec {
namespace {

constexpr std::size_t kSize = 1'000'000;

std::string script_lines() {
  std::string text = "# Many lines\nsetup { create table t (id int primary key, n int); }\n";
  for (int i = 0; text.size() < kSize; ++i) {
    text += "T" + std::to_string(i % 7) + ": update t set n = n + " + std::to_string(i) + " where id = 1\n=> 1 row\n";
  }
  return text;
}

std::string named_steps() {
  std::string text, permutations;
  for (int session = 0; text.size() < kSize * 3 / 4; ++session) {
    text += "session s" + std::to_string(session) + "\n";
    for (int i = 0; i < 50; ++i) {
      const std::string name = "s" + std::to_string(session) + "_" + std::to_string(i);
      text += "step " + name + " { select * from t where id = " + std::to_string(i) + "; }\n";
      if (i % 5 == 0) permutations += "permutation " + name + " s0_1(" + (session == 0 ? "*" : name) + ")\n";
    }
  }
  return text + permutations;
}

std::string portable_steps() {
  std::string text = "given A = 100\n";
  for (int i = 0; text.size() < kSize; ++i) {
    text += "T" + std::to_string(i % 7) + ": read A -> a\nT" + std::to_string(i % 7) + ": write A = (a - 10) * 2 + 1\n";
  }
  return text;
}

void reads(benchmark::State& state, const std::string& text) {
  for (auto _ : state) {
    const ParsedSpec parsed = parse("bench.spec", text);
    if (!parsed.file) state.SkipWithError(parsed.complaint.what.c_str());
    benchmark::DoNotOptimize(parsed.file);
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * text.size()));
}

BENCHMARK_CAPTURE(reads, script_lines, script_lines())->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(reads, named_steps, named_steps())->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(reads, portable_steps, portable_steps())->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace lockstep::spec

BENCHMARK_MAIN();

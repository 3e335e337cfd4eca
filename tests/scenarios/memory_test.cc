// memory_test.cc: a search keeps no memory of the schedules that are over, so that a million of them cost what a
// thousand do.
#include <gtest/gtest.h>
#include <malloc.h>

#include <ostream>

#include "engine/explore/explore.h"
#include "scenarios/catalogue.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
extern "C" std::size_t __sanitizer_get_current_allocated_bytes();
#endif

namespace lockstep {
namespace {

/// Of the heap, in use now.
std::size_t live_bytes() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return __sanitizer_get_current_allocated_bytes();
#else
  const struct mallinfo2 info = ::mallinfo2();
  return info.uordblks + info.hblkhd;
#endif
}

struct Place {
  const char* scenario;
  const char* protocol;
};
void PrintTo(const Place& place, std::ostream* out) { *out << place.scenario << " " << place.protocol; }

class Memory : public testing::TestWithParam<Place> {};
INSTANTIATE_TEST_SUITE_P(Searches, Memory,
                         testing::Values(Place{"threads/two-lock", ""}, Place{"deadlock/two-lock", "2pl-detect"},
                                         Place{"deadlock/two-lock", "snapshot"}),
                         [](const auto& info) {
                           std::string name = std::string(info.param.scenario) + "_" + info.param.protocol;
                           for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
                           return name;
                         });

TEST_P(Memory, DoesNotGrowWithTheNumberOfSchedules) {
  constexpr std::size_t kLeast = 16 * 1024;  // less than the smallest block that malloc can lose for each schedule
  std::vector<std::size_t> live;             // every 4096 schedules
  live.reserve(8);
  ExploreRequest request{.run = {.protocol = GetParam().protocol},
                         .strategy = Strategy::walk,
                         .most_runs = 2 * 4096 + 1,
                         .jobs = 1,
                         .fewest_preemptions = false,
                         .progress = [&live](std::uint64_t) { live.push_back(live_bytes()); }};
  const Result<Exploration> explored = explore(*scenarios::find(GetParam().scenario), request);
  ASSERT_TRUE(explored.ok()) << explored.error().message;
  EXPECT_EQ(explored->runs, request.most_runs);
  ASSERT_GE(live.size(), 3U);
  EXPECT_LT(live[2], live[1] + kLeast) << "after " << 4096 << " and " << 2 * 4096 << " schedules";
}

}  // namespace
}  // namespace lockstep

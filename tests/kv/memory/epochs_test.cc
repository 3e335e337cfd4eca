// epochs_test.cc: nothing is freed under a reader, and everything in the end.
#include "kv/memory/epochs.h"

#include <gtest/gtest.h>

#include <atomic>

namespace lockstep::kv::testing {
namespace {

void count(void*, void* counter) noexcept { ++*static_cast<std::atomic<int>*>(counter); }

TEST(Epochs, FreesNothingThatAReaderMaySee) {
  std::atomic<int> freed{0};
  Epochs epochs;
  Epochs::Reader old(epochs);
  old.pin();
  for (int i = 0; i < 1000; ++i) epochs.retire(nullptr, count, &freed);
  EXPECT_EQ(freed, 0);
  old.unpin();
  for (int i = 0; i < 1000; ++i) epochs.retire(nullptr, count, &freed);
  EXPECT_GE(freed, 1000);
}

TEST(Epochs, AReaderThatCameLaterHoldsUpNothing) {
  std::atomic<int> freed{0};
  Epochs epochs;
  for (int i = 0; i < 64; ++i) epochs.retire(nullptr, count, &freed);
  freed = 0;
  Epochs::Pin late(epochs);
  for (int i = 0; i < 1000; ++i) epochs.retire(nullptr, count, &freed);
  EXPECT_EQ(freed, 0) << "all of it was retired after the reader came";
}

TEST(Epochs, FreesEverythingAtItsEnd) {
  std::atomic<int> freed{0};
  int block = 0;
  {
    Epochs epochs;
    for (int i = 0; i < 200; ++i) epochs.retire(&block, count, &freed);
  }
  EXPECT_EQ(freed, 200);
}

}  // namespace
}  // namespace lockstep::kv::testing

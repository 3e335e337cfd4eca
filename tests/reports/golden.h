// golden.h: what was drawn once and looked at by a person, against what is drawn now.
//
// LOCKSTEP_UPDATE_GOLDEN=1 writes the files anew; look at the difference before it is committed.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

namespace lockstep::reports {

inline void expect_golden(const std::string& name, const std::string& drawn) {
  const std::string path = std::string(LOCKSTEP_SOURCE_DIR) + "/tests/reports/golden/" + name;
  // A line for each element, so that a difference can be read.
  std::string text;
  for (std::size_t i = 0; i < drawn.size(); ++i) {
    text += drawn[i];
    if (drawn[i] == '>' && i + 1 < drawn.size() && drawn[i + 1] == '<') text += '\n';
  }
  text += '\n';
  if (std::getenv("LOCKSTEP_UPDATE_GOLDEN") != nullptr) {
    std::ofstream(path, std::ios::binary) << text;
    return;
  }
  std::ifstream file(path, std::ios::binary);
  const std::string golden{std::istreambuf_iterator<char>(file), {}};
  EXPECT_EQ(text, golden) << path << " differs; if the new picture is right: LOCKSTEP_UPDATE_GOLDEN=1";
}

}  // namespace lockstep::reports

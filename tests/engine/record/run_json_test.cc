// run_json_test.cc: numbers are numbers in JSON.
#include "engine/record/run_json.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace lockstep::record {
namespace {

TEST(EnvironmentJson, HasWholeNumbersAsNumbersAndVersionsAsText) {
  const nlohmann::ordered_json json = environment_json({{"cores", "8"},
                                                        {"zero", "0"},
                                                        {"version", "15.10"},
                                                        {"padded", "007"},
                                                        {"long", "99999999999999999999"},
                                                        {"empty", ""}});
  EXPECT_EQ(json["cores"], 8);
  EXPECT_TRUE(json["cores"].is_number_integer());
  EXPECT_EQ(json["zero"], 0);
  EXPECT_EQ(json["version"], "15.10");
  EXPECT_EQ(json["padded"], "007");
  EXPECT_EQ(json["long"], "99999999999999999999");
  EXPECT_EQ(json["empty"], "");
}

TEST(MeasuredJson, TakesANumberApartFromItsUnit) {
  EXPECT_EQ(measured_json("2.4 us"), (nlohmann::ordered_json{{"value", "2.4 us"}, {"number", 2.4}, {"unit", "us"}}));
  EXPECT_EQ(measured_json("1,234 a second")["number"], 1234);
  EXPECT_EQ(measured_json("17 %")["unit"], "%");
  EXPECT_TRUE(measured_json("none")["number"].is_null());
  EXPECT_TRUE(measured_json("")["unit"].is_null());
}

}  // namespace
}  // namespace lockstep::record

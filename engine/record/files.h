// files.h: where recordings lie: FOLDER/ID/run.sqlite. Shared by saving, loading and finding.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

namespace lockstep::record {

inline constexpr std::size_t kIdDigits = 12;

/// Folders of recordings that are being written; no id starts so.
inline constexpr const char* kSavingPrefix = ".saving-";

inline std::string file_in(const std::string& run_folder) { return run_folder + "/run.sqlite"; }

inline bool is_hex_digit(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

inline bool is_id(std::string_view text) {
  return text.size() == kIdDigits && std::all_of(text.begin(), text.end(), is_hex_digit);
}

}  // namespace lockstep::record

// answers.h: what Redis answers, as the bodies of this theme need it.
#pragma once

#include "scenarios/catalogue.h"

namespace lockstep::scenarios::redis_theme {

/// The one text of an answer; empty for nil.
inline std::string text_in(const Table& answer) {
  return answer.empty() || answer.front().empty() ? std::string() : answer.front().front().value_or("");
}

/// The same as a number; 0 when it is none.
inline std::int64_t number_in(const Table& answer) { return Value(text_in(answer)).number(); }

}  // namespace lockstep::scenarios::redis_theme

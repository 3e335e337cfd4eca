// sql.h: a statement, with other words for the stores that say it differently.
//
//   co_await c.db.execute("update seat set taken = true where id = 7");  // the same everywhere
//   co_await c.db.execute(Sql("select … for share").on("mysql", "select … lock in share mode"));
//
// Thread-safe: values. Nothing waits.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "kv/base/check.h"

namespace lockstep {

/// A view of its texts, which outlive it: literals, or locals of the caller.
class Sql {
 public:
  Sql(std::string_view text) : text_(text) {}    // NOLINT(google-explicit-constructor): bodies read as prose
  Sql(const std::string& text) : text_(text) {}  // NOLINT(google-explicit-constructor)
  Sql(const char* text) : text_(text) {}         // NOLINT(google-explicit-constructor)

  /// The same for `store` in the words `text`.
  Sql on(std::string_view store, std::string_view text) const {
    Sql more = *this;
    LOCKSTEP_CHECK(more.count_ < more.others_.size(), "a statement in more than {} stores' own words", others_.size());
    more.others_[more.count_++] = {store, text};
    return more;
  }

  /// What is sent to `store`.
  std::string_view text_on(std::string_view store) const noexcept {
    for (std::size_t i = 0; i < count_; ++i) {
      if (others_[i].store == store) return others_[i].text;
    }
    return text_;
  }

 private:
  struct Other {
    std::string_view store, text;
  };
  std::string_view text_;
  std::array<Other, 3> others_{};
  std::size_t count_ = 0;
};

}  // namespace lockstep

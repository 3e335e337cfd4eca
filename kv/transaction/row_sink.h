// row_sink.h: where a scan puts its rows, with the memory that the rows of an earlier scan have left there.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "kv/memory/short_copy.h"
#include "kv/store.h"

namespace lockstep::kv {

/// Fills a caller's rows anew. Rows that are there already are overwritten: their strings keep their memory. What is
/// left of them goes at the end.
class RowSink {
 public:
  /// `rows` outlives the sink.
  explicit RowSink(std::vector<Row>& rows) noexcept : rows_(rows) {}
  ~RowSink() { rows_.resize(size_); }
  RowSink(const RowSink&) = delete;
  RowSink& operator=(const RowSink&) = delete;

  std::size_t size() const noexcept { return size_; }
  const Row& back() const noexcept { return rows_[size_ - 1]; }
  const Row* begin() const noexcept { return rows_.data(); }
  const Row* end() const noexcept { return rows_.data() + size_; }
  void clear() noexcept { size_ = 0; }

  /// The next row, which holds anything until it is set.
  Row& next() {
    if (size_ == rows_.size()) rows_.emplace_back();
    return rows_[size_++];
  }
  void drop_last() noexcept { --size_; }
  void add(KeyView key, std::string_view value) {
    Row& row = next();
    assign_short(row.key, key);
    row.value.assign(value);
  }

 private:
  std::vector<Row>& rows_;
  std::size_t size_ = 0;
};

}  // namespace lockstep::kv

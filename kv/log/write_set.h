// write_set.h: the final writes of one transaction, as bytes: what a protocol hands to the log at its commit.
//
// Each write: u32 bytes of the key, u32 bytes of the value (the highest bit: erased, then no value), the key, the
// value. Little-endian. Each key once: the order among them means nothing.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include "kv/store.h"

namespace lockstep::kv {

inline constexpr std::uint32_t kErasedBit = 0x8000'0000;
static_assert(kMaxValueBytes < kErasedBit);

/// Appends a number as it lies in the files.
template <class Number>
void add_number(std::string& bytes, Number number) {
  static_assert(std::is_unsigned_v<Number> && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);
  char raw[sizeof number];
  std::memcpy(raw, &number, sizeof number);
  bytes.append(raw, sizeof number);
}

/// The number at `offset`, which must be within `bytes`.
template <class Number>
Number number_at(std::string_view bytes, std::size_t offset) noexcept {
  Number number;
  std::memcpy(&number, bytes.data() + offset, sizeof number);
  return number;
}

/// Not thread-safe. Keeps its memory when it is cleared.
class WriteSet {
 public:
  void put(KeyView key, std::string_view value) {
    add_number(bytes_, static_cast<std::uint32_t>(key.size()));
    add_number(bytes_, static_cast<std::uint32_t>(value.size()));
    bytes_.append(key).append(value);
  }
  void erase(KeyView key) {
    add_number(bytes_, static_cast<std::uint32_t>(key.size()));
    add_number(bytes_, kErasedBit);
    bytes_.append(key);
  }

  bool empty() const noexcept { return bytes_.empty(); }
  std::string_view bytes() const noexcept { return bytes_; }
  void clear() noexcept {
    constexpr std::size_t kWorthKeeping = 1024 * 1024;  // one big transaction must not cost memory for ever
    bytes_.clear();
    if (bytes_.capacity() > kWorthKeeping) std::string().swap(bytes_);
  }

 private:
  std::string bytes_;
};

/// One write of a set. The views point into its bytes.
struct LoggedWrite {
  KeyView key;
  std::optional<std::string_view> value;  ///< nullopt: erased
};

/// Takes the first write off `bytes`; nullopt when they do not begin with one. Safe for any bytes.
inline std::optional<LoggedWrite> take_write(std::string_view& bytes) noexcept {
  constexpr std::size_t kHead = 2 * sizeof(std::uint32_t);
  if (bytes.size() < kHead) return std::nullopt;
  const std::size_t key_bytes = number_at<std::uint32_t>(bytes, 0);
  const std::uint32_t value_word = number_at<std::uint32_t>(bytes, sizeof(std::uint32_t));
  const bool erased = (value_word & kErasedBit) != 0;
  const std::size_t value_bytes = value_word & ~kErasedBit;
  const std::size_t room = bytes.size() - kHead;
  if (key_bytes == 0 || key_bytes > kMaxKeyBytes || key_bytes > room || value_bytes > room - key_bytes ||
      value_bytes > kMaxValueBytes || (erased && value_bytes != 0))
    return std::nullopt;
  LoggedWrite write{bytes.substr(kHead, key_bytes), std::nullopt};
  if (!erased) write.value = bytes.substr(kHead + key_bytes, value_bytes);
  bytes.remove_prefix(kHead + key_bytes + value_bytes);
  return write;
}

}  // namespace lockstep::kv

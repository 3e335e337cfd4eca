// short_copy.h: copies of a few bytes, without the call that a copy of unknown length is.
#pragma once

#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>

namespace lockstep::kv {

/// `Half` to 2 * `Half` bytes, as two halves that overlap where they must.
template <std::size_t Half>
void copy_ends(char* to, const char* from, std::size_t size) noexcept {
  char first[Half];
  char last[Half];
  std::memcpy(first, from, Half);
  std::memcpy(last, from + size - Half, Half);
  std::memcpy(to, first, Half);
  std::memcpy(to + size - Half, last, Half);
}

/// As std::memmove, of at most 16 bytes.
inline void copy_few(char* to, const char* from, std::size_t size) noexcept {
  if (size >= 8) return copy_ends<8>(to, from, size);
  if (size >= 4) return copy_ends<4>(to, from, size);
  if (size >= 2) return copy_ends<2>(to, from, size);
  if (size == 1) *to = *from;
}

/// As to.assign(from). Strings that are used again mostly have the length that they had.
inline void assign_short(std::string& to, std::string_view from) {
  constexpr std::size_t kFew = 16;
  if (from.size() != to.size() || from.size() > kFew) {
    to.assign(from);
    return;
  }
  copy_few(to.data(), from.data(), from.size());
}

}  // namespace lockstep::kv

// characters.h: the classes of bytes that the format is made of. Bytes above 0x7f are letters.
#pragma once

namespace lockstep::spec {

constexpr bool is_blank(char c) noexcept { return c == ' ' || c == '\t' || c == '\r' || c == '\f'; }
constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
constexpr bool begins_name(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c & 0x80) != 0;
}
constexpr bool goes_on_name(char c) noexcept { return begins_name(c) || is_digit(c) || c == '$'; }

}  // namespace lockstep::spec

// transactions.cc: names to numbers and back.
#include "engine/check/transactions.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "kv/base/check.h"

namespace lockstep::check {

std::uint32_t Transactions::add_key(KeyName name) {
  key_names_.push_back(name);
  spines_.emplace_back();
  fixed_.push_back(0);
  return static_cast<std::uint32_t>(spines_.size() - 1);
}

std::uint32_t Transactions::key_numbered(std::int64_t number) {
  constexpr std::int64_t kSmall = 1 << 20;
  if (number >= 0 && number < kSmall) {
    const auto at = static_cast<std::size_t>(number);
    if (at >= small_keys_.size()) small_keys_.resize(std::max(at + 1, small_keys_.size() * 2));
    if (small_keys_[at] == 0) small_keys_[at] = add_key({number, -1}) + 1;
    return small_keys_[at] - 1;
  }
  const auto [place, is_new] = numbered_.emplace(number, 0);
  if (is_new) place->second = add_key({number, -1});
  return place->second;
}

std::uint32_t Transactions::key_named(std::string_view name) {
  const auto [place, is_new] = named_.emplace(std::string(name), 0);
  if (is_new) {
    texts_.push_back(place->first);
    place->second = add_key({0, static_cast<std::int64_t>(texts_.size() - 1)});
  }
  return place->second;
}

Element Transactions::element_named(std::string_view text) {
  const auto [place, is_new] = elements_.emplace(std::string(text), 0);
  if (is_new) {
    place->second = kNamed | element_texts_.size();
    element_texts_.push_back(place->first);
  }
  return place->second;
}

void Transactions::begin(const Item& item) {
  LOCKSTEP_CHECK(items_.size() < kTransactionsMost, "more than {} transactions", kTransactionsMost);
  items_.push_back(item);
  items_.back().first = steps_.size();
}

void Transactions::name(std::string text) {
  names_.resize(items_.size());
  names_.back() = std::move(text);
}

void Transactions::step(std::uint32_t key, Deed deed, std::uint64_t what, bool undone) {
  Step one{};
  one.key = key;
  one.transaction = static_cast<std::uint32_t>(items_.size() - 1) & (kTransactionsMost - 1);
  one.deed = static_cast<std::uint32_t>(deed) & 15U;
  one.undone = undone ? 1U : 0U;
  one.what = what;
  steps_.push_back(one);
}

void Transactions::read(std::uint32_t key, std::span<const Element> list) {
  List& spine = spines_[key];
  const std::size_t common = std::min(list.size(), spine.size());
  const bool fits = std::equal(list.begin(), list.begin() + static_cast<std::ptrdiff_t>(common), spine.begin());
  if (!fits || (list.size() > common && fixed_[key] != 0)) {
    step(key, Deed::read, kOdd | odd_.size(), false);
    odd_.emplace_back(list.begin(), list.end());
    return;
  }
  spine.insert(spine.end(), list.begin() + static_cast<std::ptrdiff_t>(common), list.end());
  step(key, Deed::read, list.size(), false);
}

void Transactions::end_with(std::uint32_t key, const List& list) {
  spines_[key] = list;
  fixed_[key] = 1;
}

std::span<const Transactions::Step> Transactions::steps_of(std::size_t transaction) const {
  const std::uint64_t first = items_[transaction].first;
  const std::uint64_t end = transaction + 1 < items_.size() ? items_[transaction + 1].first : steps_.size();
  return std::span(steps_).subspan(first, end - first);
}

std::span<const Element> Transactions::list_of(const Step& read) const {
  if ((read.what & kOdd) != 0) return odd_[read.what & ~kOdd];
  return std::span(spines_[read.key]).first(read.what);
}

std::string Transactions::name_of(std::size_t transaction) const {
  if (transaction < names_.size() && !names_[transaction].empty()) return names_[transaction];
  return fmt::format("T{}", transaction + 1);
}

std::string Transactions::text_of_key(std::uint32_t key) const {
  const KeyName& name = key_names_[key];
  return name.text >= 0 ? texts_[static_cast<std::size_t>(name.text)] : std::to_string(name.number);
}

std::string Transactions::text_of(Element element) const {
  if (element == kNil) return "nil";
  const Element number = element & ~kNamed;
  if ((element & kNamed) != 0 && (element & kOdd) == 0 && number < element_texts_.size()) return element_texts_[number];
  return std::to_string(element);
}

std::string Transactions::text_of(const Step& step) const {
  constexpr std::size_t kElementsShown = 6;
  const std::string key = text_of_key(step.key);
  std::string text;
  switch (step.kind()) {
    case Deed::read: {
      const auto list = list_of(step);
      const std::size_t left_out = list.size() > kElementsShown ? list.size() - kElementsShown : 0;
      if (left_out > 0) text = fmt::format("({} more)", left_out);
      for (std::size_t i = left_out; i < list.size(); ++i) text += (text.empty() ? "" : " ") + text_of(list[i]);
      text = fmt::format("[r {} [{}]]", key, text);
      break;
    }
    case Deed::absent:
      text = fmt::format("[r {} nil]", key);
      break;
    case Deed::append:
      text = fmt::format("[append {} {}]", key, text_of(step.what));
      break;
    case Deed::erase:
      text = fmt::format("[erase {} {}]", key, text_of(step.what));
      break;
    case Deed::look:
      text = fmt::format("[r {} {}]", key, text_of(step.what));
      break;
    case Deed::write:
      text = fmt::format("[w {} {}]", key, text_of(step.what));
      break;
  }
  return step.undone != 0 ? text + " (undone)" : text;
}

std::string Transactions::text_of_steps(std::size_t transaction) const {
  std::string text;
  for (const Step& one : steps_of(transaction)) text += (text.empty() ? "" : " ") + text_of(one);
  return text;
}

Transactions numbered(const History& history) {
  Transactions numbers;
  for (const auto& [key, list] : history.final) numbers.end_with(numbers.key_named(key), list);
  for (const Transaction& transaction : history.transactions) {
    numbers.begin({.began = transaction.began_at, .ended = transaction.ended_at, .end = transaction.end});
    numbers.name(transaction.name);
    for (const Operation& op : transaction.operations) {
      const std::uint32_t key = numbers.key_named(op.key);
      // A history in words has a final list for every key that was ever written.
      if (!numbers.ended_with(key)) numbers.end_with(key, {});
      switch (op.kind) {
        case Operation::Kind::read:
          numbers.read(key, op.list);
          break;
        case Operation::Kind::absent:
          numbers.absent(key);
          break;
        case Operation::Kind::append:
          numbers.append(key, op.element, op.undone);
          break;
        case Operation::Kind::erase:
          numbers.erase(key, op.element, op.undone);
          break;
      }
    }
  }
  return numbers;
}

}  // namespace lockstep::check

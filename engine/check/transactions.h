// transactions.h: a history of transactions as numbers, so that millions can be judged.
//
// Keys are numbered. Nearly every list that is read of a key begins as the others do. So each key has one list, its
// spine, and a read is a length on it; what does not fit is kept whole.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/check/history.h"

namespace lockstep::check {

/// What was done, one transaction after another. Not thread-safe.
class Transactions {
 public:
  using End = Transaction::End;
  /// `write` and `look` are of registers, the others of lists.
  enum class Deed : std::uint8_t { read, absent, append, erase, look, write };

  static constexpr std::uint64_t kNil = ~std::uint64_t{0};          ///< a register that was never written
  static constexpr std::uint64_t kOdd = std::uint64_t{1} << 63U;    ///< a list that is not on its key's spine
  static constexpr std::uint64_t kNamed = std::uint64_t{1} << 62U;  ///< an element that stands for a text
  static constexpr std::uint32_t kTransactionsMost = 1U << 27U;
  static constexpr std::uint32_t kNoProcess = ~std::uint32_t{0};  ///< its order in a session is not known

  struct Step {
    std::uint32_t key = 0;
    std::uint32_t transaction : 27;
    std::uint32_t deed : 4;
    std::uint32_t undone : 1;
    std::uint64_t what = 0;  ///< the element; of a list that was read, its length, or kOdd and its number

    Deed kind() const noexcept { return static_cast<Deed>(deed); }
    bool writes() const noexcept { return kind() == Deed::append || kind() == Deed::erase || kind() == Deed::write; }
  };

  struct Item {
    std::int64_t began = 0, ended = 0;  ///< of one clock, or places in a file
    std::uint64_t first = 0;            ///< of its steps
    std::uint32_t process = kNoProcess;
    std::uint32_t line = 0;  ///< where it stands in its file; 0: nowhere
    End end = End::unknown;
  };

  std::uint32_t key_numbered(std::int64_t number);
  std::uint32_t key_named(std::string_view name);
  /// Numbers that are no elements by themselves (negative ones, or huge) are named too.
  Element element_named(std::string_view text);

  /// The steps that follow are its own.
  void begin(const Item& item);
  void append(std::uint32_t key, Element element, bool undone = false) { step(key, Deed::append, element, undone); }
  void erase(std::uint32_t key, Element element, bool undone = false) { step(key, Deed::erase, element, undone); }
  void absent(std::uint32_t key) { step(key, Deed::absent, 0, false); }
  void read(std::uint32_t key, std::span<const Element> list);
  void write(std::uint32_t key, Element element) { step(key, Deed::write, element, false); }
  void look(std::uint32_t key, Element element) { step(key, Deed::look, element, false); }

  /// The key's whole list when all had ended: no read may differ. Before any read of it.
  void end_with(std::uint32_t key, const List& list);
  /// The name of the transaction that was begun last; without one it is T and its number.
  void name(std::string text);

  std::size_t size() const noexcept { return items_.size(); }
  std::size_t keys() const noexcept { return spines_.size(); }
  const Item& item(std::size_t transaction) const { return items_[transaction]; }
  const std::vector<Step>& steps() const noexcept { return steps_; }
  std::span<const Step> steps_of(std::size_t transaction) const;
  const List& spine(std::uint32_t key) const { return spines_[key]; }
  bool ended_with(std::uint32_t key) const { return fixed_[key] != 0; }
  std::size_t odd_lists() const noexcept { return odd_.size(); }
  std::span<const Element> list_of(const Step& read) const;

  std::string name_of(std::size_t transaction) const;
  std::string text_of_key(std::uint32_t key) const;
  std::string text_of(Element element) const;
  /// "[append x 1]", "[r y [1 2]]".
  std::string text_of(const Step& step) const;
  /// Those of a transaction, on one line.
  std::string text_of_steps(std::size_t transaction) const;

 private:
  struct KeyName {
    std::int64_t number = 0;
    std::int64_t text = -1;  ///< its place in texts_; below 0: a number
  };

  std::uint32_t add_key(KeyName name);
  void step(std::uint32_t key, Deed deed, std::uint64_t what, bool undone);

  std::vector<Item> items_;
  std::vector<Step> steps_;
  std::vector<List> spines_;
  std::vector<char> fixed_;
  std::vector<List> odd_;
  std::vector<KeyName> key_names_;
  std::vector<std::uint32_t> small_keys_;  // by their number, 0: none, else one more than the key
  std::unordered_map<std::int64_t, std::uint32_t> numbered_;
  std::unordered_map<std::string, std::uint32_t> named_;
  std::unordered_map<std::string, Element> elements_;
  std::vector<std::string> texts_, element_texts_;
  std::vector<std::string> names_;  // of transactions
};

/// A history in words as one in numbers.
Transactions numbered(const History& history);

}  // namespace lockstep::check

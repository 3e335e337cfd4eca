// tree.h: a B+tree over entries that the owner keeps: the order of the keys, for scans.
//
// Optimistic lock coupling (Leis, Haubenschild, Neumann, "Optimistic lock coupling", 2019). A reader writes nothing: it
// notes the version of a node, reads, and looks whether the version is still the same. A writer locks only the nodes
// that it changes. Full nodes are split on the way down. A node is freed when it is empty, not merged when it is half
// empty. With as many insertions as removals that costs little space (Johnson and Shasha, 1993).
//
// The first eight bytes of each key stand in the node, so that most comparisons touch no entry.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <thread>

#include "kv/base/check.h"
#include "kv/memory/epochs.h"
#include "kv/store.h"

namespace lockstep::kv {

/// The first eight bytes as a number: a smaller number means a smaller key, an equal one says nothing.
inline std::uint64_t head_of(KeyView key) noexcept {
  std::uint64_t head = 0;
  if (key.size() >= sizeof head) {
    std::memcpy(&head, key.data(), sizeof head);
    return __builtin_bswap64(head);
  }
  for (std::size_t i = 0; i < key.size(); ++i)
    head |= std::uint64_t{static_cast<unsigned char>(key[i])} << (56 - 8 * i);
  return head;
}

/// Entry has `KeyView key() const`, which never changes. Thread-safe; every caller is pinned. No two entries with the
/// same key are in the tree at once: the owner sees to that.
///
/// A field of a node is read with acquire and written with release. A reader that sees a writer's field also sees the
/// version that the writer locked before, so no fence is needed.
template <class Entry>
class Tree {
  struct Leaf;

 public:
  /// An entry and where it was found. `entry` is nullptr behind the last one.
  struct Position {
    Entry* entry = nullptr;
    Leaf* leaf = nullptr;
    std::uint64_t version = 0;
    unsigned slot = 0;
  };

  explicit Tree(Epochs& epochs) : epochs_(epochs) { root_.store(new Leaf, std::memory_order_relaxed); }
  ~Tree() { destroy(root_.load(std::memory_order_relaxed)); }
  Tree(const Tree&) = delete;
  Tree& operator=(const Tree&) = delete;

  Position at_or_after(KeyView key) const { return seek(key, false); }
  Position after(KeyView key) const { return seek(key, true); }
  /// The one behind `position`, which has an entry. Cheap while nobody has changed its leaf.
  Position next(const Position& position) const {
    const unsigned slot = position.slot + 1;
    if (slot < position.leaf->count.load(std::memory_order_acquire)) {
      Entry* const entry = position.leaf->entries[slot].load(std::memory_order_acquire);
      if (position.leaf->is_still(position.version)) return {entry, position.leaf, position.version, slot};
    }
    return after(position.entry->key());
  }
  /// Fetches the entries a few slots behind `position`, which a scan will come to.
  void prefetch_behind(const Position& position) const noexcept {
    constexpr unsigned kAhead = 6;
    if (position.slot + kAhead < kSlots)
      __builtin_prefetch(position.leaf->entries[position.slot + kAhead].load(std::memory_order_acquire));
    // The value of one that was fetched a few steps ago. Only of an entry that the leaf still has: it has not gone.
    if constexpr (requires(const Entry& entry) { entry.prefetch_value(); }) {
      const unsigned near = position.slot + kAhead / 2;
      if (near >= position.leaf->count.load(std::memory_order_acquire)) return;
      const Entry* const entry = position.leaf->entries[near].load(std::memory_order_acquire);
      if (position.leaf->is_still(position.version)) entry->prefetch_value();
    }
  }

  void insert(Entry* entry);
  /// `entry` is in the tree. The owner retires it.
  void remove(const Entry* entry);

 private:
  static constexpr unsigned kSlots = 30;  // a leaf of 496 bytes
  static constexpr unsigned kMaxDepth = 32;

  /// A key that divides two children: the smallest that may be on the right. The bytes follow.
  struct Separator {
    std::uint32_t size;
    KeyView key() const noexcept { return {reinterpret_cast<const char*>(this + 1), size}; }

    static const Separator* make(KeyView key) {
      void* const memory = ::operator new(sizeof(Separator) + key.size());
      auto* const separator = new (memory) Separator{static_cast<std::uint32_t>(key.size())};
      std::memcpy(reinterpret_cast<char*>(separator + 1), key.data(), key.size());
      return separator;
    }
    static void free(const Separator* separator) noexcept {
      ::operator delete(const_cast<void*>(static_cast<const void*>(separator)));
    }
  };

  // Bit 0 of the version: locked. Bit 1: not in the tree any more. The rest counts the changes.
  static constexpr std::uint64_t kLocked = 1;
  static constexpr std::uint64_t kObsolete = 2;
  static constexpr std::uint64_t kChange = 4;

  struct Node {
    explicit Node(bool leaf) noexcept : is_leaf(leaf) {}

    /// Waits until nobody changes the node. False when it has left the tree.
    bool read(std::uint64_t& seen) const noexcept {
      seen = version.load(std::memory_order_acquire);
      for (unsigned tries = 1; seen & kLocked; ++tries) {
        if (tries % 64 == 0) std::this_thread::yield();  // its writer may have lost the processor
        seen = version.load(std::memory_order_acquire);
      }
      return (seen & kObsolete) == 0;
    }
    bool is_still(std::uint64_t seen) const noexcept { return version.load(std::memory_order_acquire) == seen; }
    /// Locks the node if it still is as seen.
    bool lock(std::uint64_t seen) noexcept {
      return version.compare_exchange_strong(seen, seen | kLocked, std::memory_order_acq_rel,
                                             std::memory_order_relaxed);
    }
    void unlock_changed(std::uint64_t seen) noexcept { version.store(seen + kChange, std::memory_order_release); }
    void unlock_unchanged(std::uint64_t seen) noexcept { version.store(seen, std::memory_order_release); }
    void unlock_obsolete(std::uint64_t seen) noexcept { version.store(seen | kObsolete, std::memory_order_release); }

    std::atomic<std::uint64_t> version{0};
    std::atomic<std::uint16_t> count{0};  // entries of a leaf, separators of an inner node
    const bool is_leaf;
    std::array<std::atomic<std::uint64_t>, kSlots> heads{};
  };
  /// Slots behind `count` may hold anything that was there before.
  struct Leaf : Node {
    Leaf() noexcept : Node(true) {}
    std::array<std::atomic<Entry*>, kSlots> entries{};
  };
  struct Inner : Node {
    Inner() noexcept : Node(false) {}
    std::array<std::atomic<const Separator*>, kSlots> separators{};
    std::array<std::atomic<Node*>, kSlots + 1> children{};  // child i: keys before separator i
  };

  template <class T>
  static T get(const std::atomic<T>& field) noexcept {
    return field.load(std::memory_order_acquire);
  }
  template <class T>
  static void set(std::atomic<T>& field, T value) noexcept {
    field.store(value, std::memory_order_release);
  }

  /// The first of `node`'s keys that is not before `key`, or with `behind` the first that is after it.
  template <class Keys>
  static unsigned search(const Node& node, const Keys& keys, KeyView key, bool behind) noexcept {
    const std::uint64_t head = head_of(key);
    unsigned low = 0;
    unsigned high = get(node.count);
    while (low < high) {
      const unsigned middle = (low + high) / 2;
      const std::uint64_t other = get(node.heads[middle]);
      bool before = other < head;
      if (other == head) {
        const KeyView full = get(keys[middle])->key();
        before = behind ? full <= key : full < key;
      }
      before ? low = middle + 1 : high = middle;
    }
    return low;
  }
  static unsigned slot_in(const Leaf& leaf, KeyView key, bool behind) noexcept {
    return search(leaf, leaf.entries, key, behind);
  }
  static unsigned child_for(const Inner& inner, KeyView key) noexcept {
    return search(inner, inner.separators, key, true);
  }

  /// One node on the way down.
  struct Step {
    Node* node = nullptr;
    std::uint64_t version = 0;
    unsigned child = 0;
  };
  struct Path {
    std::array<Step, kMaxDepth> steps;
    unsigned depth = 0;  // of the leaf, which is steps[depth]
    Leaf& leaf() const noexcept { return static_cast<Leaf&>(*steps[depth].node); }
  };

  Position seek(KeyView key, bool behind) const;
  /// The leaf for `key`. `upper` is where the leaf's keys end; nullptr for the last leaf. False when somebody was in
  /// the way.
  bool descend(KeyView key, Leaf*& leaf, std::uint64_t& version, const Separator*& upper) const noexcept;
  bool descend(KeyView key, Path& path) const noexcept;
  bool try_insert(Entry* entry);
  /// Splits `node`, which is full, below `parent` (nullptr: it is the root). False when somebody was in the way.
  bool split(Node* node, std::uint64_t version, Inner* parent, std::uint64_t parent_version, unsigned child,
             KeyView key);
  const Separator* split_leaf(Leaf& left, Leaf& right, KeyView key);
  const Separator* split_inner(Inner& left, Inner& right, KeyView key);
  static void insert_child(Inner& parent, unsigned child, const Separator* separator, Node* right) noexcept;
  void free_empty_leaf(KeyView key);
  bool try_free_empty_leaf(KeyView key);

  void retire(Node* node) {
    epochs_.retire(node, [](void* old, void*) noexcept { free_node(static_cast<Node*>(old)); }, nullptr);
  }
  static void free_node(Node* node) noexcept {
    if (node->is_leaf)
      delete static_cast<Leaf*>(node);
    else
      delete static_cast<Inner*>(node);
  }
  static void destroy(Node* node) noexcept {
    if (!node->is_leaf) {
      const Inner& inner = static_cast<Inner&>(*node);
      for (unsigned i = 0; i < get(inner.count); ++i) Separator::free(get(inner.separators[i]));
      for (unsigned i = 0; i <= get(inner.count); ++i) destroy(get(inner.children[i]));
    }
    free_node(node);
  }

  Epochs& epochs_;
  std::atomic<Node*> root_{nullptr};
};

template <class Entry>
bool Tree<Entry>::descend(KeyView key, Leaf*& leaf, std::uint64_t& version, const Separator*& upper) const noexcept {
  Node* node = get(root_);
  if (!node->read(version) || get(root_) != node) return false;
  upper = nullptr;
  while (!node->is_leaf) {
    const Inner& inner = static_cast<const Inner&>(*node);
    const unsigned child = child_for(inner, key);
    const unsigned count = get(inner.count);
    const Separator* const bound = child < count ? get(inner.separators[child]) : nullptr;
    Node* const below = get(inner.children[child]);
    if (!inner.is_still(version)) return false;
    if (bound) upper = bound;
    std::uint64_t below_version = 0;
    if (!below->read(below_version) || !inner.is_still(version)) return false;
    node = below;
    version = below_version;
  }
  leaf = static_cast<Leaf*>(node);
  return true;
}

template <class Entry>
bool Tree<Entry>::descend(KeyView key, Path& path) const noexcept {
  Node* node = get(root_);
  path.depth = 0;
  path.steps[0] = {node, 0, 0};
  if (!node->read(path.steps[0].version) || get(root_) != node) return false;
  while (!path.steps[path.depth].node->is_leaf) {
    Step& step = path.steps[path.depth];
    const Inner& inner = static_cast<const Inner&>(*step.node);
    step.child = child_for(inner, key);
    Step& below = path.steps[++path.depth];
    below = {get(inner.children[step.child]), 0, 0};
    if (!inner.is_still(step.version)) return false;
    if (!below.node->read(below.version) || !inner.is_still(step.version)) return false;
  }
  return true;
}

template <class Entry>
typename Tree<Entry>::Position Tree<Entry>::seek(KeyView key, bool behind) const {
  while (true) {
    Position found;
    const Separator* upper = nullptr;
    if (!descend(key, found.leaf, found.version, upper)) continue;
    found.slot = slot_in(*found.leaf, key, behind);
    const bool in_leaf = found.slot < get(found.leaf->count);
    if (in_leaf) found.entry = get(found.leaf->entries[found.slot]);
    if (!found.leaf->is_still(found.version)) continue;
    if (in_leaf) return found;
    if (!upper) return {};
    key = upper->key();  // on to the next leaf; it may be empty
    behind = false;
  }
}

template <class Entry>
void Tree<Entry>::insert(Entry* entry) {
  while (!try_insert(entry)) {
  }
}

template <class Entry>
bool Tree<Entry>::try_insert(Entry* entry) {
  const KeyView key = entry->key();
  Inner* parent = nullptr;
  std::uint64_t parent_version = 0;
  unsigned child = 0;
  Node* node = get(root_);
  std::uint64_t version = 0;
  if (!node->read(version) || get(root_) != node) return false;
  while (true) {
    if (get(node->count) == kSlots) {
      split(node, version, parent, parent_version, child, key);
      return false;
    }
    if (node->is_leaf) break;
    Inner& inner = static_cast<Inner&>(*node);
    child = child_for(inner, key);
    Node* const below = get(inner.children[child]);
    if (!inner.is_still(version)) return false;
    std::uint64_t below_version = 0;
    if (!below->read(below_version) || !inner.is_still(version)) return false;
    parent = &inner;
    parent_version = version;
    node = below;
    version = below_version;
  }
  Leaf& leaf = static_cast<Leaf&>(*node);
  if (!leaf.lock(version)) return false;
  const unsigned slot = slot_in(leaf, key, false);
  const unsigned count = get(leaf.count);
  for (unsigned i = count; i > slot; --i) {
    set(leaf.heads[i], get(leaf.heads[i - 1]));
    set(leaf.entries[i], get(leaf.entries[i - 1]));
  }
  set(leaf.heads[slot], head_of(key));
  set(leaf.entries[slot], entry);
  set(leaf.count, static_cast<std::uint16_t>(count + 1));
  leaf.unlock_changed(version);
  return true;
}

template <class Entry>
bool Tree<Entry>::split(Node* node, std::uint64_t version, Inner* parent, std::uint64_t parent_version, unsigned child,
                        KeyView key) {
  if (parent && !parent->lock(parent_version)) return false;
  if (!node->lock(version)) {
    if (parent) parent->unlock_unchanged(parent_version);
    return false;
  }
  if (!parent && get(root_) != node) {
    node->unlock_unchanged(version);
    return false;
  }
  Node* right = nullptr;
  const Separator* separator = nullptr;
  if (node->is_leaf) {
    auto* const leaf = new Leaf;
    separator = split_leaf(static_cast<Leaf&>(*node), *leaf, key);
    right = leaf;
  } else {
    auto* const inner = new Inner;
    separator = split_inner(static_cast<Inner&>(*node), *inner, key);
    right = inner;
  }
  if (parent) {
    insert_child(*parent, child, separator, right);
  } else {
    auto* const root = new Inner;
    set(root->children[0], node);
    insert_child(*root, 0, separator, right);
    set(root_, static_cast<Node*>(root));
  }
  node->unlock_changed(version);
  if (parent) parent->unlock_changed(parent_version);
  return true;
}

// Keys that come in ascending order fill a leaf to the end before the next one is begun.
template <class Entry>
const typename Tree<Entry>::Separator* Tree<Entry>::split_leaf(Leaf& left, Leaf& right, KeyView key) {
  const unsigned slot = slot_in(left, key, false);
  const unsigned keep = slot == kSlots ? kSlots : kSlots / 2;
  for (unsigned i = keep; i < kSlots; ++i) {
    set(right.heads[i - keep], get(left.heads[i]));
    set(right.entries[i - keep], get(left.entries[i]));
  }
  set(right.count, static_cast<std::uint16_t>(kSlots - keep));
  const KeyView last = get(left.entries[keep - 1])->key();
  const KeyView first = keep == kSlots ? key : get(left.entries[keep])->key();
  set(left.count, static_cast<std::uint16_t>(keep));
  // The shortest prefix of `first` that is after `last`.
  const auto differs = std::mismatch(first.begin(), first.end(), last.begin(), last.end());
  return Separator::make(first.substr(0, static_cast<std::size_t>(differs.first - first.begin()) + 1));
}

template <class Entry>
const typename Tree<Entry>::Separator* Tree<Entry>::split_inner(Inner& left, Inner& right, KeyView key) {
  const bool at_end = child_for(left, key) == kSlots;
  const unsigned keep = at_end ? kSlots - 2 : kSlots / 2;  // separator `keep` moves up
  const unsigned moved = kSlots - keep - 1;
  for (unsigned i = 0; i < moved; ++i) {
    set(right.heads[i], get(left.heads[keep + 1 + i]));
    set(right.separators[i], get(left.separators[keep + 1 + i]));
  }
  for (unsigned i = 0; i <= moved; ++i) set(right.children[i], get(left.children[keep + 1 + i]));
  set(right.count, static_cast<std::uint16_t>(moved));
  set(left.count, static_cast<std::uint16_t>(keep));
  return get(left.separators[keep]);
}

template <class Entry>
void Tree<Entry>::insert_child(Inner& parent, unsigned child, const Separator* separator, Node* right) noexcept {
  const unsigned count = get(parent.count);
  for (unsigned i = count; i > child; --i) {
    set(parent.heads[i], get(parent.heads[i - 1]));
    set(parent.separators[i], get(parent.separators[i - 1]));
    set(parent.children[i + 1], get(parent.children[i]));
  }
  set(parent.heads[child], head_of(separator->key()));
  set(parent.separators[child], separator);
  set(parent.children[child + 1], right);
  set(parent.count, static_cast<std::uint16_t>(count + 1));
}

template <class Entry>
void Tree<Entry>::remove(const Entry* entry) {
  const KeyView key = entry->key();
  while (true) {
    Leaf* leaf = nullptr;
    std::uint64_t version = 0;
    const Separator* upper = nullptr;
    if (!descend(key, leaf, version, upper) || !leaf->lock(version)) continue;
    const unsigned slot = slot_in(*leaf, key, false);
    const unsigned count = get(leaf->count);
    LOCKSTEP_CHECK(slot < count && get(leaf->entries[slot]) == entry, "{} is not in the tree", key);
    for (unsigned i = slot; i + 1 < count; ++i) {
      set(leaf->heads[i], get(leaf->heads[i + 1]));
      set(leaf->entries[i], get(leaf->entries[i + 1]));
    }
    set(leaf->count, static_cast<std::uint16_t>(count - 1));
    leaf->unlock_changed(version);
    if (count == 1) free_empty_leaf(key);
    return;
  }
}

template <class Entry>
void Tree<Entry>::free_empty_leaf(KeyView key) {
  while (!try_free_empty_leaf(key)) {
  }
}

// The leaf goes with every node above it that has no other child; its keys then belong to the leaf beside it. The
// nodes are locked from the top, each only if it still is as seen, so nobody waits for anybody here.
template <class Entry>
bool Tree<Entry>::try_free_empty_leaf(KeyView key) {
  Path path;
  if (!descend(key, path)) return false;
  if (get(path.leaf().count) != 0) return path.leaf().is_still(path.steps[path.depth].version);
  unsigned top = path.depth;
  while (top > 0 && (top == path.depth || get(path.steps[top].node->count) == 0)) --top;
  if (path.steps[top].node->is_leaf || get(path.steps[top].node->count) == 0) return true;  // the last leaf stays
  unsigned locked = top;
  while (locked <= path.depth && path.steps[locked].node->lock(path.steps[locked].version)) ++locked;
  if (locked <= path.depth) {
    while (locked-- > top) path.steps[locked].node->unlock_unchanged(path.steps[locked].version);
    return false;
  }
  Inner& parent = static_cast<Inner&>(*path.steps[top].node);
  const unsigned child = path.steps[top].child;
  const unsigned count = get(parent.count);
  const unsigned divider = child == 0 ? 0 : child - 1;
  const Separator* const separator = get(parent.separators[divider]);
  for (unsigned i = divider; i + 1 < count; ++i) {
    set(parent.heads[i], get(parent.heads[i + 1]));
    set(parent.separators[i], get(parent.separators[i + 1]));
  }
  for (unsigned i = child; i < count; ++i) set(parent.children[i], get(parent.children[i + 1]));
  set(parent.count, static_cast<std::uint16_t>(count - 1));
  for (unsigned i = path.depth; i > top; --i) path.steps[i].node->unlock_obsolete(path.steps[i].version);
  parent.unlock_changed(path.steps[top].version);
  for (unsigned i = top + 1; i <= path.depth; ++i) retire(path.steps[i].node);
  epochs_.retire(
      const_cast<Separator*>(separator),
      [](void* old, void*) noexcept { Separator::free(static_cast<const Separator*>(old)); }, nullptr);
  return true;
}

}  // namespace lockstep::kv

// linear.cc: a list of begins and ends in the order of time, from which a call is taken out when it is placed.
#include "engine/check/linear.h"

#include <algorithm>
#include <limits>
#include <map>
#include <tuple>
#include <utility>

namespace lockstep::check {
namespace {

using Kind = LinearCall::Kind;

constexpr std::uint32_t kNoNode = std::numeric_limits<std::uint32_t>::max();

struct Hash {
  std::uint64_t a = 0, b = 0;
  bool operator==(const Hash&) const = default;
};

std::uint64_t mixed(std::uint64_t x) {  // splitmix64, Steele et al., 2014
  x += 0x9E3779B97F4A7C15ULL;
  x = (x ^ (x >> 30U)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27U)) * 0x94D049BB133111EBULL;
  return x ^ (x >> 31U);
}

/// A set of hashes by open addressing.
class Memo {
 public:
  explicit Memo(std::uint64_t bytes_most) : slots_most_(bytes_most / sizeof(Hash)), slots_(1024) {}

  /// False when it was there.
  bool insert(Hash hash) {
    if (hash == Hash{}) hash.a = 1;
    if (count_ * 2 >= slots_.size()) grow();
    Hash& slot = place(hash);
    if (slot == hash) return false;
    slot = hash;
    ++count_;
    return true;
  }
  bool full() const noexcept { return slots_.size() * 2 > slots_most_ && count_ * 2 + 2 >= slots_.size(); }
  std::uint64_t size() const noexcept { return count_; }

 private:
  Hash& place(const Hash& hash) {
    for (std::uint64_t at = hash.a;; ++at) {
      Hash& slot = slots_[at & (slots_.size() - 1)];
      if (slot == Hash{} || slot == hash) return slot;
    }
  }
  void grow() {
    std::vector<Hash> old(slots_.size() * 2);
    old.swap(slots_);
    for (const Hash& hash : old)
      if (!(hash == Hash{})) place(hash) = hash;
  }

  std::uint64_t slots_most_;
  std::vector<Hash> slots_;
  std::uint64_t count_ = 0;
};

class Linearizer {
 public:
  Linearizer(const std::vector<LinearCall>& calls, const Appends& appends, std::uint64_t memory_most)
      : calls_(calls), appends_(appends), memo_(memory_most) {
    leave_out_what_no_one_needs();
    link();
  }

  LinearAnswer run(std::chrono::steady_clock::time_point deadline) {
    LinearAnswer answer;
    std::uint32_t at = next_[0];
    for (std::uint64_t turn = 1; certain_left_ > 0; ++turn) {
      if (turn % 4096 == 1 && std::chrono::steady_clock::now() >= deadline) return unknown(std::move(answer), false);
      if (memo_.full()) return unknown(std::move(answer), true);
      if (at != kNoNode && !is_end(at)) {
        const std::uint32_t call = call_of(at);
        at = try_call(call) ? next_[0] : next_[at];
        continue;
      }
      // An end whose call was not placed, or nothing more: the last that was placed was wrong.
      if (at != kNoNode && (placed_.size() > answer.order.size() || answer.order.empty())) {
        answer.stuck = call_of(at);
        answer.order = placed_;
      }
      if (placed_.empty()) {
        answer.answer = Judgement::broken;
        answer.states = memo_.size();
        return answer;
      }
      at = next_[take_back()];
    }
    answer.answer = Judgement::holds;
    answer.order = placed_;
    answer.states = memo_.size();
    return answer;
  }

 private:
  // Nodes of the list: 0 its head; 1 + 2 * call its begin, 2 + 2 * call its end.
  static bool is_end(std::uint32_t node) { return node % 2 == 0; }
  static std::uint32_t call_of(std::uint32_t node) { return (node - 1) / 2; }
  static std::uint32_t begin_of(std::uint32_t call) { return 1 + 2 * call; }

  LinearAnswer unknown(LinearAnswer answer, bool out_of_memory) const {
    answer.states = memo_.size();
    answer.out_of_memory = out_of_memory;
    return answer;
  }

  /// A call that may never have happened is left out where nobody needs what it makes.
  void leave_out_what_no_one_needs() {
    left_out_.assign(calls_.size(), 0);
    std::vector<std::uint32_t> needed;
    bool keeps_all = false;  // what a state is not, or grows from, needs every state
    for (const LinearCall& call : calls_) {
      keeps_all |= call.kind == Kind::append || call.kind == Kind::differs;
      if (call.certain && (call.kind == Kind::read || call.kind == Kind::cas)) needed.push_back(call.a);
    }
    for (bool more = true; more;) {
      more = false;
      std::sort(needed.begin(), needed.end());
      for (const LinearCall& call : calls_) {
        if (call.certain || call.kind != Kind::cas || !std::binary_search(needed.begin(), needed.end(), call.b) ||
            std::binary_search(needed.begin(), needed.end(), call.a))
          continue;
        needed.push_back(call.a);
        more = true;
        break;
      }
    }
    for (std::size_t i = 0; i < calls_.size(); ++i) {
      const LinearCall& call = calls_[i];
      if (call.certain) continue;
      if (call.kind == Kind::read || call.kind == Kind::differs) left_out_[i] = 1;
      if (keeps_all) continue;
      const std::uint32_t makes = call.kind == Kind::cas ? call.b : call.a;
      if (!std::binary_search(needed.begin(), needed.end(), makes)) left_out_[i] = 1;
    }
  }

  void link() {
    std::vector<std::pair<std::int64_t, std::uint32_t>> events;
    for (std::uint32_t i = 0; i < calls_.size(); ++i) {
      if (left_out_[i] != 0) continue;
      events.emplace_back(calls_[i].began, begin_of(i));
      if (!calls_[i].certain) continue;
      events.emplace_back(calls_[i].ended, begin_of(i) + 1);
      ++certain_left_;
    }
    std::sort(events.begin(), events.end());
    find_twins(events);
    next_.assign(calls_.size() * 2 + 1, kNoNode);
    last_.assign(calls_.size() * 2 + 1, kNoNode);
    std::uint32_t before = 0;
    for (const auto& [time, node] : events) {
      next_[before] = node;
      last_[node] = before;
      before = node;
    }
  }

  /// Of calls that do the same and never end, the one that began first can stand wherever a later one could: they are
  /// placed in their order only, so that k of them make k states and not 2^k.
  void find_twins(const std::vector<std::pair<std::int64_t, std::uint32_t>>& events) {
    std::map<std::tuple<Kind, std::uint32_t, std::uint32_t>, std::uint32_t> latest;
    twin_.assign(calls_.size(), kNoNode);
    is_placed_.assign(calls_.size(), 0);
    for (const auto& [time, node] : events) {
      const LinearCall& call = calls_[call_of(node)];
      if (is_end(node) || call.certain) continue;
      const auto [place, is_first] = latest.emplace(std::tuple(call.kind, call.a, call.b), call_of(node));
      if (!is_first) twin_[call_of(node)] = std::exchange(place->second, call_of(node));
    }
  }

  bool step(const LinearCall& call, std::uint32_t& state) const {
    switch (call.kind) {
      case Kind::read:
        return state == call.a;
      case Kind::write:
        state = call.a;
        return true;
      case Kind::cas:
        if (state != call.a) return false;
        state = call.b;
        return true;
      case Kind::differs:
        return state != call.a;
      case Kind::append:
        state = appends_(state, call.a);
        return true;
    }
    return false;
  }

  bool try_call(std::uint32_t call) {
    std::uint32_t state = state_;
    if (twin_[call] != kNoNode && is_placed_[twin_[call]] == 0) return false;
    if (!step(calls_[call], state)) return false;
    Hash set = set_;
    set.a ^= mixed(call);
    set.b ^= mixed(call ^ 0xA5A5A5A500000000ULL);
    const Hash with_state{set.a + mixed(std::uint64_t{state} << 32U), set.b ^ mixed(~std::uint64_t{state})};
    if (!memo_.insert(with_state)) return false;
    placed_.push_back(call);
    is_placed_[call] = 1;
    states_.push_back(state_);
    state_ = state;
    set_ = set;
    unlink(begin_of(call));
    if (calls_[call].certain) {
      unlink(begin_of(call) + 1);
      --certain_left_;
    }
    return true;
  }

  /// Undoes the last call; gives its begin.
  std::uint32_t take_back() {
    const std::uint32_t call = placed_.back();
    placed_.pop_back();
    is_placed_[call] = 0;
    state_ = states_.back();
    states_.pop_back();
    set_.a ^= mixed(call);
    set_.b ^= mixed(call ^ 0xA5A5A5A500000000ULL);
    if (calls_[call].certain) {
      relink(begin_of(call) + 1);
      ++certain_left_;
    }
    relink(begin_of(call));
    return begin_of(call);
  }

  void unlink(std::uint32_t node) {
    next_[last_[node]] = next_[node];
    if (next_[node] != kNoNode) last_[next_[node]] = last_[node];
  }
  void relink(std::uint32_t node) {
    next_[last_[node]] = node;
    if (next_[node] != kNoNode) last_[next_[node]] = node;
  }

  const std::vector<LinearCall>& calls_;
  const Appends& appends_;
  Memo memo_;
  std::vector<char> left_out_, is_placed_;
  std::vector<std::uint32_t> twin_;  // of calls that never end: the one before that does the same
  std::vector<std::uint32_t> next_, last_;
  std::vector<std::uint32_t> placed_, states_;
  std::uint32_t state_ = 0;
  Hash set_;
  std::size_t certain_left_ = 0;
};

}  // namespace

LinearAnswer linearize(const std::vector<LinearCall>& calls, const Appends& appends,
                       std::chrono::steady_clock::time_point deadline, std::uint64_t memory_most) {
  return Linearizer(calls, appends, memory_most).run(deadline);
}

}  // namespace lockstep::check

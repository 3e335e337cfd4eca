// shrink.h: makes a round that fails as small as it gets, and prints it.
#pragma once

#include <functional>
#include <string>

#include "tests/kv/rounds/round.h"

namespace lockstep::kv::rounds {

/// Takes away what the failure does not need, piece by piece, until no piece can go.
class Shrinker {
 public:
  using Fails = std::function<bool(const Round&)>;
  explicit Shrinker(Fails fails) : fails_(std::move(fails)) {}

  Round shrink(Round round) {
    round_ = std::move(round);
    for (bool has_changed = true; has_changed;) {
      has_changed = drop_actors();
      has_changed |= drop_operations();
      has_changed |= drop_steps();
      has_changed |= drop_rows();
      has_changed |= simplify();
    }
    return round_;
  }

 private:
  /// Keeps `smaller` if it still fails.
  bool keep(const Round& smaller) {
    if (!fails_(smaller)) return false;
    round_ = smaller;
    return true;
  }

  bool drop_actors() {
    bool any = false;
    for (std::size_t i = round_.programs.size(); i-- > 0;) {
      Round smaller = round_;
      smaller.programs.erase(smaller.programs.begin() + static_cast<std::ptrdiff_t>(i));
      std::erase_if(smaller.steps, [i](const Step& step) { return step.actor == i; });
      for (Step& step : smaller.steps) step.actor = static_cast<std::uint8_t>(step.actor - (step.actor > i ? 1 : 0));
      any |= keep(smaller);
    }
    return any;
  }
  bool drop_operations() {
    bool any = false;
    for (std::size_t i = 0; i < round_.programs.size(); ++i)
      for (std::size_t j = round_.programs[i].operations.size(); j-- > 0;) {
        Round smaller = round_;
        std::vector<Operation>& operations = smaller.programs[i].operations;
        operations.erase(operations.begin() + static_cast<std::ptrdiff_t>(j));
        any |= keep(smaller) || keep_without_a_step_of(smaller, i);
      }
    return any;
  }
  /// The operation took steps too: one of them goes with it.
  bool keep_without_a_step_of(const Round& smaller, std::size_t actor) {
    for (std::size_t s = 0; s < smaller.steps.size(); ++s) {
      if (smaller.steps[s].actor != actor) continue;
      Round without = smaller;
      without.steps.erase(without.steps.begin() + static_cast<std::ptrdiff_t>(s));
      if (keep(without)) return true;
    }
    return false;
  }
  bool drop_steps() {
    bool any = false;
    for (std::size_t length = round_.steps.size(); length > 0; length /= 2)
      for (std::size_t first = 0; first + length <= round_.steps.size();) {
        Round smaller = round_;
        const auto begin = smaller.steps.begin() + static_cast<std::ptrdiff_t>(first);
        smaller.steps.erase(begin, begin + static_cast<std::ptrdiff_t>(length));
        if (keep(smaller))
          any = true;
        else
          ++first;
      }
    return any;
  }
  bool drop_rows() {
    bool any = false;
    for (std::size_t key = 0; key < kKeys; ++key) {
      if (!round_.before[key]) continue;
      Round smaller = round_;
      smaller.before[key] = 0;
      any |= keep(smaller);
    }
    return any;
  }
  bool simplify() {
    bool any = false;
    const auto try_it = [&](auto change) {
      Round simpler = round_;
      if (change(simpler)) any |= keep(simpler);
    };
    const auto set = [](auto& field, auto to) { return field == to ? false : (field = to, true); };
    for (std::size_t i = 0; i < round_.programs.size(); ++i) {
      try_it([&](Round& r) { return set(r.programs[i].retries, std::uint8_t{0}); });
      try_it([&](Round& r) { return set(r.programs[i].aborts, false); });
      try_it([&](Round& r) { return set(r.programs[i].claims_all, false); });
      for (std::size_t j = 0; j < round_.programs[i].operations.size(); ++j) {
        const auto op = [i, j](Round& r) -> Operation& { return r.programs[i].operations[j]; };
        try_it([&](Round& r) {
          if (op(r).kind == Operation::read_for_update) return set(op(r).kind, Operation::read);
          return op(r).kind == Operation::scan_for_update && set(op(r).kind, Operation::scan);
        });
        try_it([&](Round& r) { return op(r).is_scan() && set(op(r).limit, static_cast<std::uint8_t>(kKeys)); });
        try_it([&](Round& r) { return op(r).is_scan() && set(op(r).from, Bound{0}); });
        try_it([&](Round& r) { return op(r).is_scan() && set(op(r).to, Bound{0}); });
      }
    }
    return any;
  }

  Fails fails_;
  Round round_;
};

}  // namespace lockstep::kv::rounds

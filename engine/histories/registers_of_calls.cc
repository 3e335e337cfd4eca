// registers_of_calls.cc: registers, key-value stores and mutexes, by linearizability of each key.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <unordered_map>

#include "engine/check/linear.h"
#include "engine/histories/objects.h"

namespace lockstep::histories {
namespace {

using check::LinearAnswer;
using check::LinearCall;
using LinearKind = LinearCall::Kind;

/// Values as numbers; nil is 0.
class ValueNumbers {
 public:
  /// `empty_is_nil`: of stores whose reads of what is not there give "".
  std::uint32_t of(const Datum& datum, bool empty_is_nil) {
    if (datum.is_nil() || (empty_is_nil && datum.text.empty() && datum.items.empty())) return 0;
    return of(datum.str());
  }
  std::uint32_t of(const std::string& text) {
    const auto [place, is_new] = numbers_.emplace(text, static_cast<std::uint32_t>(texts_.size()));
    if (is_new) texts_.push_back(text);
    return place->second;
  }
  const std::string& text(std::uint32_t number) const { return texts_[number]; }

 private:
  std::vector<std::string> texts_{""};
  std::unordered_map<std::string, std::uint32_t> numbers_;
};

struct Object {
  std::vector<LinearCall> calls;
  std::vector<const ClientCall*> of;  ///< whose they are
};

struct Keyed {
  std::string key;
  const Datum* value = nullptr;
};

class Registers {
 public:
  Registers(const ObjectRules& rules, bool keyed) : rules_(rules), keyed_(keyed) {}

  Result<void> take(const ClientCall& call) {
    if (call.f == "read" || call.f == "get") return take_read(call);
    if (call.f == "cas") return take_cas(call);
    const bool write = call.f == "write" || call.f == "put", append = call.f == "append";
    if (!write && !append)
      return error_in(call, fmt::format("f {} is no operation of a register", call.f.empty() ? "(none)" : call.f));
    if (call.end == Phase::fail) return {};
    const auto its = split(call, call.asked);
    if (!its) return its.error();
    const std::uint32_t a = values_.of(*its->value, call.f != "write");
    add(its->key, call, {.kind = append ? LinearKind::append : LinearKind::write, .a = a});
    return {};
  }

  /// acquire and release are a cas from free to held and back.
  Result<void> take_mutex(const ClientCall& call) {
    const bool acquire = call.f == "acquire";
    if (!acquire && call.f != "release")
      return error_in(call, fmt::format("f {} is no operation of a mutex", call.f.empty() ? "(none)" : call.f));
    if (call.end == Phase::fail) return {};
    const std::uint32_t held = 1;
    add("", call, {.kind = LinearKind::cas, .a = acquire ? 0 : held, .b = acquire ? held : 0});
    return {};
  }

  ObjectVerdict judge() {
    ObjectVerdict verdict;
    const auto deadline = std::chrono::steady_clock::now() + rules_.time_limit;
    const check::Appends appends = [this](std::uint32_t state, std::uint32_t number) {
      return values_.of(values_.text(state) + values_.text(number));
    };
    bool unknown = false;
    for (const auto& [key, object] : objects_) {
      const LinearAnswer answer = check::linearize(object.calls, appends, deadline);
      if (answer.answer == Judgement::broken) {
        verdict.answer = Judgement::broken;
        verdict.anomalies.push_back({"not linearizable", proof_of(key, object, answer)});
      } else if (answer.answer == Judgement::unknown) {
        unknown = true;
        verdict.why_unknown = fmt::format("the search{} was given up for want of {}, after {} states",
                                          key.empty() ? "" : " of key " + key,
                                          answer.out_of_memory ? "memory" : "time (--time-limit)", answer.states);
      } else if (verdict.answer == Judgement::unknown) {
        verdict.answer = Judgement::holds;
      }
    }
    if (unknown && verdict.answer != Judgement::broken) verdict.answer = Judgement::unknown;
    if (verdict.answer == Judgement::broken) verdict.why_unknown.clear();
    if (verdict.answer == Judgement::unknown && !unknown)
      verdict.why_unknown = "no operation is known to have happened";
    return verdict;
  }

 private:
  /// The key and the value itself.
  Result<Keyed> split(const ClientCall& call, const Datum& value) const {
    Keyed its{.key = {}, .value = &value};
    if (!keyed_) return its;
    if (!call.key.is_nil()) {
      its.key = call.key.str();
    } else if (value.is_map()) {
      const Datum *key = value.at("key"), *of_key = value.at("value");
      if (key == nullptr || of_key == nullptr) return error_in(call, "a value that is a map has a key and a value");
      its = {key->str(), of_key};
    } else if (value.is_list() && value.items.size() == 2) {
      its = {value.items[0].str(), &value.items[1]};
    } else {
      return error_in(call, fmt::format("{} names no key: [k v] or a key of the operation", value.str()));
    }
    return its;
  }

  Result<void> take_read(const ClientCall& call) {
    if (call.end != Phase::ok) return {};
    const auto its = split(call, call.answered);
    if (!its) return its.error();
    add(its->key, call, {.kind = LinearKind::read, .a = values_.of(*its->value, call.f == "get")});
    return {};
  }

  Result<void> take_cas(const ClientCall& call) {
    if (call.end == Phase::fail && !rules_.failed_cas_reads) return {};
    const auto its = split(call, call.asked);
    if (!its) return its.error();
    if (!its->value->is_list() || its->value->items.size() != 2)
      return error_in(call, fmt::format("a cas has [old new], not {}", its->value->str()));
    const std::uint32_t old = values_.of(its->value->items[0], false), made = values_.of(its->value->items[1], false);
    if (call.end == Phase::fail)
      add(its->key, call, {.kind = LinearKind::differs, .a = old});
    else
      add(its->key, call, {.kind = LinearKind::cas, .a = old, .b = made});
    return {};
  }

  void add(const std::string& key, const ClientCall& call, LinearCall linear) {
    linear.began = call.began;
    linear.ended = call.ended;
    linear.certain = call.end != Phase::info;
    Object& object = objects_[key];
    object.calls.push_back(linear);
    object.of.push_back(&call);
  }

  static std::string text_of(const ClientCall& call) {
    const Datum& value = call.f == "read" || call.f == "get" ? call.answered : call.asked;
    const std::string what =
        value.is_nil() && call.f != "read" && call.f != "get" ? call.f : call.f + " " + value.str();
    const std::string lines =
        call.line == call.end_line ? std::to_string(call.line) : fmt::format("{}-{}", call.line, call.end_line);
    return fmt::format("{}{}, line {}", call.process < 0 ? "" : fmt::format("process {}: ", call.process), what, lines);
  }

  static std::string proof_of(const std::string& key, const Object& object, const LinearAnswer& answer) {
    constexpr std::size_t kShown = 5;
    std::string text = fmt::format("of {} operations{}, {} can be put in an order, which ends:", object.calls.size(),
                                   key.empty() ? "" : " of key " + key, answer.order.size());
    if (answer.order.empty())
      text = fmt::format("of {} operations{} none can be the first:", object.calls.size(),
                         key.empty() ? "" : " of key " + key);
    const std::size_t from = answer.order.size() > kShown ? answer.order.size() - kShown : 0;
    for (std::size_t i = from; i < answer.order.size(); ++i) text += "\n  " + text_of(*object.of[answer.order[i]]);
    return text + "\nand this fits nowhere behind it:\n  " + text_of(*object.of[answer.stuck]);
  }

  const ObjectRules& rules_;
  const bool keyed_;
  ValueNumbers values_;
  std::map<std::string, Object> objects_;
};

}  // namespace

Result<ObjectVerdict> judge_mutex(const Calls& calls, const ObjectRules& rules) {
  Registers mutex(rules, false);
  for (const ClientCall& call : calls.calls)
    if (Result<void> taken = mutex.take_mutex(call); !taken) return taken.error();
  return mutex.judge();
}

Result<ObjectVerdict> judge_register(const Calls& calls, const ObjectRules& rules, bool keyed) {
  Registers registers(rules, keyed);
  for (const ClientCall& call : calls.calls)
    if (Result<void> taken = registers.take(call); !taken) return taken.error();
  return registers.judge();
}

}  // namespace lockstep::histories

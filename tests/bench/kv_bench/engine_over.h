// engine_over.h: makes an Engine of a store with sessions. Included by each engine's own file only.
//
// A session has begin(Intent), read(key, value), write(key, value), commit(), abort(), why(); where kOrdered is true
// also read_for_update, insert (Fault::constraint when the key exists) and scan(from, to, limit, rows). Every operation
// answers with a Failure. `read` leaves the value empty when there is no such key.
#pragma once

#include <utility>

#include "tests/bench/kv_bench/ycsb.h"

namespace lockstep::bench {

template <class Store, class Session>
class EngineOver final : public Engine {
 public:
  EngineOver(Store store, const Settings& settings) : store_(std::move(store)), settings_(settings) {}

  void fill() override {
    Session session(store_, settings_);
    fill_ycsb(session, settings_);
  }

  void run(unsigned client, Control& control, Tally& tally) override {
    Session session(store_, settings_);
    if constexpr (Session::kOrdered) {
      if (settings_.scan > 0) return run_scans(session, settings_, client, control, tally);
    }
    run_ycsb(session, settings_, client, control, tally);
  }

  std::string broken_invariant() override { return {}; }

 private:
  Store store_;
  const Settings& settings_;
};

}  // namespace lockstep::bench

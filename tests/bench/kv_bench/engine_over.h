// engine_over.h: makes an Engine of a store with sessions. Included by each engine's own file only.
//
// A session has begin(Intent), read(key, value), write(key, value), commit(), abort(), why(); where kOrdered is true
// also read_for_update, insert (Fault::constraint when the key exists) and scan(from, to, limit, rows). Every operation
// answers with a Failure. `read` leaves the value empty when there is no such key.
#pragma once

#include <utility>

#include "tests/bench/kv_bench/tpcc.h"
#include "tests/bench/kv_bench/ycsb.h"

namespace lockstep::bench {

template <class Store, class Session>
class EngineOver final : public Engine {
 public:
  EngineOver(Store store, const Settings& settings) : store_(std::move(store)), settings_(settings) {}

  void fill() override {
    Session session(store_, settings_);
    if constexpr (Session::kOrdered) {
      if (settings_.workload == Workload::tpcc) return tpcc::fill(session, settings_);
    }
    fill_ycsb(session, settings_);
  }

  void run(unsigned client, Control& control, Tally& tally) override {
    Session session(store_, settings_);
    if constexpr (Session::kOrdered) {
      if (settings_.workload == Workload::tpcc)
        return tpcc::Client<Session>(session, settings_, clients_.fetch_add(1)).run(control, tally);
      if (settings_.scan > 0) return run_scans(session, settings_, client, control, tally);
    }
    run_ycsb(session, settings_, client, control, tally);
  }

  std::string broken_invariant() override {
    if constexpr (Session::kOrdered) {
      Session session(store_, settings_);
      if (settings_.workload == Workload::tpcc) return tpcc::Auditor<Session>(session).judge();
    }
    return {};
  }

 private:
  Store store_;
  const Settings& settings_;
  std::atomic<unsigned> clients_{0};  // that there have been: each names its rows by its number
};

}  // namespace lockstep::bench

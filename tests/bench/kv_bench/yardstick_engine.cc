// yardstick_engine.cc: the minimal Silo of silo.h, with and without prefetching a transaction's records at its begin.
#include "tests/bench/kv_bench/engine_over.h"
#include "tests/bench/kv_bench/silo.h"

namespace lockstep::bench {
namespace {

SiloTable::Word number_of(std::string_view key) {
  SiloTable::Word big_endian;
  std::memcpy(&big_endian, key.data(), sizeof big_endian);
  return __builtin_bswap64(big_endian);
}

class SiloSession {
 public:
  static constexpr bool kOrdered = false;

  SiloSession(SiloTable& table, const Settings&) : table_(table), txn_(table) {}

  void begin(const Intent&) { txn_.begin(); }
  Failure read(std::string_view key, std::string& value) {
    txn_.read(number_of(key), value);
    return std::nullopt;
  }
  Failure write(std::string_view key, std::string_view value) {
    txn_.write(number_of(key), value);
    return std::nullopt;
  }
  Failure commit() { return txn_.commit() ? Failure() : Fault::validation_failure; }
  void abort() {}
  std::string_view why() const { return {}; }

 protected:
  SiloTable& table_;

 private:
  SiloTransaction txn_;
};

class PrefetchingSiloSession : public SiloSession {
 public:
  using SiloSession::SiloSession;
  void prefetch(std::string_view key) { table_.prefetch(number_of(key)); }
};

template <class Session>
Result<std::unique_ptr<Engine>> open(const Settings& settings) {
  if (settings.scan > 0 || settings.workload == Workload::tpcc)
    return Error{Fault::unsupported, {}, "the yardstick has neither scans nor inserts"};
  if (settings.durability != Durability::none) return Error{Fault::unsupported, {}, "the yardstick has no log"};
  SiloTable table(settings.records, settings.value_bytes);
  for (std::uint64_t i = 0; i < settings.records; ++i) table.insert(i);
  return std::unique_ptr<Engine>(new EngineOver<SiloTable, Session>(std::move(table), settings));
}

}  // namespace

Result<std::unique_ptr<Engine>> open_yardstick(const Contestant&, const Settings& settings) {
  return open<SiloSession>(settings);
}

Result<std::unique_ptr<Engine>> open_yardstick_prefetch(const Contestant&, const Settings& settings) {
  return open<PrefetchingSiloSession>(settings);
}

}  // namespace lockstep::bench

// round_pack.cc: see round_pack.h.
#include "engine/load/round_pack.h"

#include <algorithm>

namespace lockstep::load {
namespace {

/// By its buckets: all that a histogram knows.
void pack_latencies(const Histogram& latency, Packer& into) {
  const auto buckets = latency.buckets();
  into.put(latency.max().count()).put(static_cast<std::uint64_t>(buckets.size()));
  for (const auto& [middle, count] : buckets) into.put(middle).put(count);
}

Histogram unpack_latencies(Unpacker& from) {
  Histogram latency;
  const Nanos longest(from.get<Nanos::rep>());
  for (auto left = from.get<std::uint64_t>(); left > 0 && from.ok(); --left) {
    // The longest lies in the last bucket, whose middle may be longer than anything that was measured.
    const Nanos middle(from.get<std::uint64_t>());
    const Nanos in_bucket = left == 1 ? longest : middle;
    for (auto count = from.get<std::uint64_t>(); count > 0; --count) latency.record(in_bucket);
  }
  return latency;
}

}  // namespace

void pack(const RoundResult& result, Packer& into) {
  pack_latencies(result.latency, into);
  into.put(result.committed).put(result.retries).put(result.refused).put(result.waits).put(result.waited.count());
  into.put(result.seconds).put(result.cpu_s).put(result.peak_rss_bytes).put(result.given_up);
  into.put(result.gave_up).put(result.note).put(result.store_failed).put(result.helpers);
  into.put(static_cast<std::uint64_t>(result.aborts.size()));
  for (const auto& [fault, count] : result.aborts) into.put(fault).put(count);
}

RoundResult unpack_round(Unpacker& from) {
  RoundResult result;
  result.latency = unpack_latencies(from);
  from.get(result.committed);
  from.get(result.retries);
  from.get(result.refused);
  from.get(result.waits);
  result.waited = Nanos(from.get<Nanos::rep>());
  from.get(result.seconds);
  from.get(result.cpu_s);
  from.get(result.peak_rss_bytes);
  from.get(result.given_up);
  from.get(result.gave_up);
  from.get(result.note);
  from.get(result.store_failed);
  from.get(result.helpers);
  for (auto left = from.get<std::uint64_t>(); left > 0 && from.ok(); --left) {
    const std::string fault = from.text();
    from.get(result.aborts[fault]);
  }
  return result;
}

void pack(const Counts& counts, Packer& into) {
  for (const std::int64_t each : counts.values) into.put(each);
}

Counts unpack_counts(Unpacker& from) {
  Counts counts;
  for (std::int64_t& each : counts.values) from.get(each);
  return counts;
}

void add(RoundResult& into, const RoundResult& other) {
  into.latency.merge(other.latency);
  into.committed += other.committed;
  into.retries += other.retries;
  into.refused += other.refused;
  into.waits += other.waits;
  into.waited += other.waited;
  into.cpu_s += other.cpu_s;
  into.peak_rss_bytes += other.peak_rss_bytes;
  into.given_up += other.given_up;
  if (into.gave_up.empty()) into.gave_up = other.gave_up;
  if (into.note.empty()) into.note = other.note;
  into.store_failed = into.store_failed || other.store_failed;
  into.helpers = std::max(into.helpers, other.helpers);
  for (const auto& [fault, count] : other.aborts) into.aborts[fault] += count;
}

}  // namespace lockstep::load

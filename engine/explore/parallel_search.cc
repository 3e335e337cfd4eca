// parallel_search.cc: hands out the portions of a search over a TBB arena, and adds up in their order.
#include "engine/explore/parallel_search.h"

#include <tbb/parallel_for.h>
#include <tbb/partitioner.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <numeric>

#include "engine/explore/search/state_key.h"
#include "engine/explore/tally_pack.h"

namespace lockstep {
namespace {

constexpr std::uint64_t kPortion = 1024;     ///< samples of one seed
constexpr std::size_t kPortionsAtOnce = 16;  ///< for each worker
/// The same where ranks wait for each other at the end of a round: twice as many, so that they wait less often.
constexpr std::size_t kPortionsOfRanks = 2 * kPortionsAtOnce;

// TBB hands over correctly, but its library is not compiled for ThreadSanitizer, which therefore sees none of it: so
// the hand-over is told a second time. Not captured by those who are handed something: they look here first.
std::atomic<unsigned> handed{0};

}  // namespace

/// What came of one portion, or of all portions of a rank in a round.
struct ParallelSearch::Report {
  Result<Halt> halt = Halt::budget;
  Tally tally;

  /// The worst halt counts: a fault, then news, then ^C.
  void add(const Report& other) {
    const auto severity = [](const Result<Halt>& halt) {
      return !halt ? 3 : *halt == Halt::news ? 2 : *halt == Halt::interrupted ? 1 : 0;
    };
    if (severity(other.halt) > severity(halt)) halt = other.halt;
    if (other.halt) tally.add(other.tally);
  }
};

/// How many portions of a round each rank draws, the ranks in their order.
struct ParallelSearch::Shares {
  std::vector<std::size_t> of_ranks;

  std::size_t at_once() const { return std::accumulate(of_ranks.begin(), of_ranks.end(), std::size_t{0}); }
  std::size_t before(int rank) const {
    return std::accumulate(of_ranks.begin(), of_ranks.begin() + rank, std::size_t{0});
  }
  /// Deals the same number out anew, by how long each has taken for its share, so that all end at about the same time.
  void deal(const std::vector<double>& seconds) {
    const std::size_t all = at_once();
    std::vector<double> speeds;
    for (std::size_t i = 0; i < of_ranks.size(); ++i)
      speeds.push_back(static_cast<double>(of_ranks[i]) / std::max(seconds[i], 1e-6));
    const double sum = std::accumulate(speeds.begin(), speeds.end(), 0.0);
    std::size_t dealt = 0;
    for (std::size_t i = 0; i < of_ranks.size(); ++i) {
      const auto part = static_cast<std::size_t>(static_cast<double>(all) * speeds[i] / sum);
      of_ranks[i] = std::clamp<std::size_t>(part, 1, all - dealt - (of_ranks.size() - 1 - i));
      dealt += of_ranks[i];
    }
    of_ranks[static_cast<std::size_t>(std::max_element(speeds.begin(), speeds.end()) - speeds.begin())] += all - dealt;
  }
};

Result<std::unique_ptr<ParallelSearch>> ParallelSearch::open(const Explorable& subject, int jobs,
                                                             const StopSource* stop, Ranks* ranks) {
  std::unique_ptr<ParallelSearch> parallel(new ParallelSearch(subject, jobs, stop, ranks));
  Result<std::unique_ptr<SearchWorker>> first_worker = parallel->open_worker();
  if (!first_worker) return first_worker.error();
  parallel->workers_.push_back(std::move(*first_worker));
  return parallel;
}

Result<std::unique_ptr<SearchWorker>> ParallelSearch::open_worker() {
  Result<std::unique_ptr<Subject>> subject = subject_.open();
  if (!subject) return subject.error();
  return std::make_unique<SearchWorker>(std::move(*subject), numbers_, stop_);
}

/// Those who are not there yet: a search that the first worker ends alone needs no other.
Result<void> ParallelSearch::open_workers() {
  while (workers_.size() < static_cast<std::size_t>(jobs_)) {
    Result<std::unique_ptr<SearchWorker>> another = open_worker();
    if (!another) return another.error();
    (*another)->footprint().learn_numbers();
    (*another)->footprint().learn_from(first_worker().footprint());
    workers_.push_back(std::move(*another));
  }
  return {};
}

void ParallelSearch::share_news() {
  for (const auto& from : workers_) {
    for (const auto& to : workers_) to->footprint().learn_from(from->footprint());
  }
  for (const auto& each : workers_) (void)each->footprint().take_news();
}

/// Calls work(worker, i) once for every i below `count`, by whoever is free.
template <class Work>
void ParallelSearch::side_by_side(std::size_t count, const Work& work) {
  if (workers_.size() == 1 || count <= 1) {
    for (std::size_t i = 0; i < count; ++i) work(first_worker(), i);
    return;
  }
  std::atomic<std::size_t> next{0};
  const auto take_parts = [&](std::size_t who) {
    (void)handed.load(std::memory_order_acquire);
    for (std::size_t i = next.fetch_add(1, std::memory_order_relaxed); i < count;
         i = next.fetch_add(1, std::memory_order_relaxed)) {
      work(*workers_[who], i);
    }
    handed.fetch_add(1, std::memory_order_release);
  };
  tbb::task_arena arena(jobs_);
  handed.fetch_add(1, std::memory_order_release);
  arena.execute([&] { tbb::parallel_for(std::size_t{0}, workers_.size(), take_parts, tbb::simple_partitioner()); });
  (void)handed.load(std::memory_order_acquire);
}

Result<Halt> ParallelSearch::search_all(Tally& tally, const Limits& limits) {
  return first_worker().search(*make_search({}), tally, limits);
}

/// At first a rank draws in proportion to its workers.
ParallelSearch::Shares ParallelSearch::agree_on_shares() {
  jobs_in_all_ = jobs_;
  if (ranks_ == nullptr || !ranks_->are_several()) return {.of_ranks = {kPortionsAtOnce * workers_.size()}};
  const RankAnswer all = ranks_->ask(Packer().put(jobs_).take(), [](const RankPieces& pieces) {
    Packer jobs;
    for (const auto& each : pieces) jobs.put(each ? Unpacker(*each).get<int>() : 1);
    return jobs.take();
  });
  Unpacker jobs(all.text);
  Shares shares;
  jobs_in_all_ = 0;
  for (int rank = 0; rank < ranks_->size(); ++rank) {
    const int its = std::max(1, jobs.get<int>());
    jobs_in_all_ += its;
    shares.of_ranks.push_back(kPortionsOfRanks * static_cast<std::size_t>(its));
  }
  return shares;
}

/// Adds a round of all ranks to the tally of rank 0. Halt::exhausted: go on with the next round.
Result<Halt> ParallelSearch::settle_round(Report& own, double seconds, Shares& shares, Tally& tally,
                                          const Limits& limits, bool is_last) {
  const bool is_over =
      is_last || (limits.until != kNever && RealClock().now() > limits.until) || (limits.enough && limits.enough());
  const auto decided = [](const Report& round, bool over) {
    if (!round.halt || *round.halt == Halt::news || *round.halt == Halt::interrupted) return round.halt;
    return Result<Halt>(over ? Halt::budget : Halt::exhausted);
  };
  if (ranks_ == nullptr || !ranks_->are_several()) {
    Result<Halt> halt = decided(own, is_over);
    if (halt && *halt != Halt::news) tally.add(own.tally);
    return halt;
  }

  const auto put = [](const Result<Halt>& halt, Packer& into) {
    into.put(halt.ok()).put(halt ? *halt : Halt::budget);
    into.put(halt ? Fault::internal : halt.fault()).put(halt ? std::string_view() : halt.error().message);
  };
  const auto get_halt = [](Unpacker& from) -> Result<Halt> {
    const bool ok = from.get<bool>();
    const auto halt = from.get<Halt>();
    const auto fault = from.get<Fault>();
    std::string message = from.text();
    if (!ok) return Error{fault, {}, std::move(message)};
    return halt;
  };
  Packer piece;
  put(own.halt, piece);
  pack(learnt_by(first_worker().footprint(), *numbers_), piece.put(is_over).put(seconds));
  pack(own.tally, piece);
  const RankAnswer answer = ranks_->ask(piece.take(), [&](const RankPieces& pieces) {
    Report round;
    Learnt learnt;
    bool over = false;
    std::vector<double> taken(pieces.size(), 1);
    for (std::size_t rank = 0; rank < pieces.size(); ++rank) {
      if (!pieces[rank]) continue;
      Unpacker from(*pieces[rank]);
      Report its{.halt = get_halt(from), .tally = {}};
      over = from.get<bool>() || over;
      from.get(taken[rank]);
      learnt.add(unpack_learnt(from));
      its.tally = unpack_tally(from);
      round.add(its);
    }
    Result<Halt> halt = decided(round, over);
    // What the others have finished counts, but nobody goes on without the one that is gone.
    if (halt && !ranks_->lost().empty()) halt = Halt::interrupted;
    if (halt && *halt != Halt::news) tally.add(round.tally);
    Packer words;
    put(halt, words);
    shares.deal(taken);
    for (const std::size_t share : shares.of_ranks) words.put(static_cast<std::uint64_t>(share));
    pack(learnt, words);
    return words.take();
  });
  if (answer.text.empty()) return Halt::interrupted;
  Unpacker words(answer.text);
  Result<Halt> halt = get_halt(words);
  for (std::size_t& share : shares.of_ranks) share = words.get<std::uint64_t>();
  if (!halt || *halt != Halt::news) return answer.stopped && halt ? Result<Halt>(Halt::interrupted) : halt;
  teach(unpack_learnt(words), first_worker().footprint());
  return halt;
}

Result<Halt> ParallelSearch::sample(const SearchOptions& how, Tally& tally, const Limits& limits) {
  const Result<void> there = open_workers();
  // Ranks that wait for this one have to hear of it.
  if (!there && (ranks_ == nullptr || !ranks_->are_several())) return there.error();
  Shares shares = agree_on_shares();
  const int rank = ranks_ == nullptr ? 0 : ranks_->rank();
  const std::size_t at_once = shares.at_once();
  for (std::uint64_t first = 0;; first += at_once) {
    const std::uint64_t left = limits.most_runs - std::min(limits.most_runs, first * kPortion);
    const std::uint64_t portions = left == 0 ? 0 : (left - 1) / kPortion + 1;
    // Of the last ones every rank has a part too.
    const std::uint64_t of_all = std::min<std::uint64_t>(portions, at_once);
    const auto begin = static_cast<std::size_t>(of_all * shares.before(rank) / at_once);
    const auto end = static_cast<std::size_t>(of_all * shares.before(rank + 1) / at_once);
    const Nanos began = RealClock().now();
    std::vector<Report> reports(end - begin);
    // What is drawn beside news counts for nothing, and would take the time of what comes after them.
    std::atomic<bool> has_news{false};
    side_by_side(reports.size(), [&](SearchWorker& worker, std::size_t i) {
      const std::uint64_t of_round = begin + i, number = first + of_round;
      SearchOptions portion = how;
      if (number > 0) portion.seed = mixed(how.seed + number);
      const std::unique_ptr<Search> search = make_search(portion);
      Limits of_portion = limits;
      of_portion.most_runs = std::min<std::uint64_t>(kPortion, left - of_round * kPortion);
      of_portion.enough = [&] {
        return has_news.load(std::memory_order_relaxed) || (limits.enough && limits.enough());
      };
      reports[i].halt = worker.search(*search, reports[i].tally, of_portion);
      if (reports[i].halt && *reports[i].halt == Halt::news) has_news.store(true, std::memory_order_relaxed);
    });
    Report own;
    if (!there) own.halt = there.error();
    for (const Report& each : reports) own.add(each);
    share_news();  // what any worker here has learnt, the first one tells the other ranks
    const auto taken = static_cast<double>((RealClock().now() - began).count()) / 1e9;
    const Result<Halt> halt = settle_round(own, taken, shares, tally, limits, portions <= at_once);
    if (!halt || *halt != Halt::exhausted) return halt;
  }
}

}  // namespace lockstep

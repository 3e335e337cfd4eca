// mpi.cc: the ranks of an MPI job. Pieces go to rank 0 and its answer comes back, in messages between two ranks each:
// so rank 0 knows who has not come, which a collective call of MPI does not tell.
//
// But for the first and the last, no call here blocks: a rank that waits looks for its message, then sleeps for a
// moment, ever longer up to 0.2 ms. The price is that much on each ask(); MPI's own waiting would take a processor from
// the sessions and the search.
#include <mpi.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <thread>
#include <utility>

#include "engine/ranks/pack.h"
#include "engine/ranks/ranks.h"

namespace lockstep {
namespace {

using Moment = std::chrono::steady_clock::time_point;

constexpr int kPiece = 1, kAnswer = 2, kLeaves = 3;  ///< tags of messages
constexpr int kLooksBeforeSleep = 100;
/// Open MPI looks at its sockets only at some of the looks: with one look a sleep, an ask() by TCP took three times as
/// long.
constexpr int kLooksPerSleep = 16;
constexpr std::chrono::microseconds kShortSleep(10), kLongSleep(200);
/// After SIGTERM the program has 0.8 s (cli/commands/signals.cc): for the others' pieces, and then for what is made of
/// them. A launcher sends SIGKILL after about a second.
constexpr std::chrono::milliseconds kGraceOfLeader(350), kGraceOfOthers(500);

int number_in(const char* variable, int otherwise) {
  const char* const text = std::getenv(variable);
  return text == nullptr || *text == '\0' ? otherwise : std::atoi(text);
}

/// A launcher of MPI jobs has started this process, with others.
bool is_one_of_several() {
  for (const char* const size : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"}) {
    if (const int known = number_in(size, 0); known > 0) return known > 1;
  }
  return std::getenv("PMIX_RANK") != nullptr;
}

class MpiRanks final : public Ranks {
 public:
  explicit MpiRanks(std::function<bool()> stopped) : stopped_(std::move(stopped)) {
    int provided = 0;
    ::MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided);
    // An error on the way to a rank that is gone is no end of this one.
    ::MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    ::MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
    ::MPI_Comm_size(MPI_COMM_WORLD, &size_);
    char name[MPI_MAX_PROCESSOR_NAME + 1] = {};
    int length = 0;
    ::MPI_Get_processor_name(name, &length);
    meet(std::string(name, static_cast<std::size_t>(length)));
  }

  int rank() const noexcept override { return rank_; }
  int size() const noexcept override { return size_; }
  int here() const noexcept override { return here_; }
  const std::string& lost() const noexcept override { return lost_; }

  RankAnswer ask(std::string piece, const std::function<std::string(const RankPieces&)>& decide) override {
    const bool was_stopped = stopped_();
    if (rank_ == 0) return collect(std::move(piece), was_stopped, decide);
    if (!lost_.empty() || has_left_) return {.text = {}, .stopped = true};
    Packer message;
    const bool sent = send(0, kPiece, message.put(was_stopped).put(piece).take());
    std::string answer;
    const Got got = sent ? receive(0, kAnswer, answer) : Got::nothing;
    if (got != Got::message) {
      lose(0, got, answer);
      return {.text = {}, .stopped = true};
    }
    Unpacker parts(answer);
    RankAnswer heard;
    parts.get(heard.stopped);
    parts.get(heard.text);
    return heard;
  }

  bool leave(std::string_view why) override {
    if (std::exchange(has_left_, true) || !in_order_) return false;
    // Whoever still waits for a piece or an answer hears that none comes.
    for (int other = rank_ == 0 ? 1 : 0; other < (rank_ == 0 ? size_ : 1); ++other) {
      if (is_gone(other)) continue;
      std::string words;
      const bool told = send(other, kLeaves, std::string(why));
      in_order_ = told && (rank_ != 0 || receive(other, kPiece, words) != Got::nothing) && in_order_;
    }
    // It waits for all ranks, so it would wait for ever for one that has died.
    return in_order_ && ::MPI_Finalize() == MPI_SUCCESS;
  }

 private:
  enum class Got { message, farewell, nothing };

  /// Where everybody is.
  void meet(const std::string& host) {
    const RankAnswer all = ask(host, [](const RankPieces& pieces) {
      Packer hosts;
      for (const auto& each : pieces) hosts.put(each.value_or(std::string()));
      return hosts.take();
    });
    Unpacker hosts(all.text);
    for (int i = 0; i < size_; ++i) hosts_.push_back(hosts.text());
    here_ = std::max(1, static_cast<int>(std::count(hosts_.begin(), hosts_.end(), host)));
  }

  RankAnswer collect(std::string piece, bool was_stopped, const std::function<std::string(const RankPieces&)>& decide) {
    RankPieces pieces(static_cast<std::size_t>(size_));
    pieces.front() = std::move(piece);
    bool stopped = was_stopped;
    for (int other = 1; other < size_; ++other) {
      if (is_gone(other)) continue;
      std::string message;
      const Got got = receive(other, kPiece, message);
      if (got != Got::message) {
        lose(other, got, message);
        continue;
      }
      Unpacker parts(message);
      stopped = parts.get<bool>() || stopped;
      pieces[static_cast<std::size_t>(other)] = parts.text();
    }
    RankAnswer answer{.text = {}, .stopped = stopped || stopped_()};
    answer.text = decide(pieces);
    Packer message;
    const std::string bytes = message.put(answer.stopped).put(answer.text).take();
    for (int other = 1; other < size_; ++other) {
      if (!is_gone(other) && !send(other, kAnswer, bytes)) lose(other, Got::nothing, {});
    }
    return answer;
  }

  /// False when this rank was told to stop and the time to wait is over.
  bool may_wait(std::int64_t looks) {
    if (stopped_()) {
      const Moment now = std::chrono::steady_clock::now();
      if (!give_up_at_) give_up_at_ = now + (rank_ == 0 ? kGraceOfLeader : kGraceOfOthers);
      if (now > *give_up_at_) return false;
    }
    const std::int64_t further = looks - kLooksBeforeSleep;
    if (further >= 0 && further % kLooksPerSleep == 0) {
      const auto longer = kShortSleep * (1 + further / kLooksPerSleep / 4);
      std::this_thread::sleep_for(std::min<std::chrono::microseconds>(longer, kLongSleep));
    }
    return true;
  }

  bool finishes(MPI_Request& request) {
    for (std::int64_t looks = 0;; ++looks) {
      int done = 0;
      if (::MPI_Test(&request, &done, MPI_STATUS_IGNORE) != MPI_SUCCESS) return false;
      if (done != 0) return true;
      if (!may_wait(looks)) return false;
    }
  }

  /// What does not arrive keeps its bytes: MPI may still read them.
  bool send(int to, int tag, std::string bytes) {
    auto kept = std::make_unique<std::string>(std::move(bytes));
    MPI_Request request = MPI_REQUEST_NULL;
    const int size = static_cast<int>(kept->size());
    if (::MPI_Isend(kept->data(), size, MPI_BYTE, to, tag, MPI_COMM_WORLD, &request) != MPI_SUCCESS) return false;
    if (finishes(request)) return true;
    stuck_.push_back(std::move(kept));
    return false;
  }

  /// The next message from that rank: one with this tag, or that it leaves.
  Got receive(int from, int tag, std::string& bytes) {
    for (std::int64_t looks = 0;; ++looks) {
      int there = 0;
      MPI_Status status;
      if (::MPI_Iprobe(from, MPI_ANY_TAG, MPI_COMM_WORLD, &there, &status) != MPI_SUCCESS) return Got::nothing;
      if (there == 0) {
        if (!may_wait(looks)) return Got::nothing;
        continue;
      }
      int size = 0;
      ::MPI_Get_count(&status, MPI_BYTE, &size);
      auto kept = std::make_unique<std::string>(static_cast<std::size_t>(size), '\0');
      MPI_Request request = MPI_REQUEST_NULL;
      if (::MPI_Irecv(kept->data(), size, MPI_BYTE, from, status.MPI_TAG, MPI_COMM_WORLD, &request) != MPI_SUCCESS)
        return Got::nothing;
      if (!finishes(request)) {
        stuck_.push_back(std::move(kept));
        return Got::nothing;
      }
      bytes = std::move(*kept);
      if (status.MPI_TAG == kLeaves) gone_.push_back(from);
      return status.MPI_TAG == tag ? Got::message : Got::farewell;
    }
  }

  bool is_gone(int other) const { return std::find(gone_.begin(), gone_.end(), other) != gone_.end(); }

  /// `got`: what came in place of its message; `last_words` of a farewell.
  void lose(int other, Got got, const std::string& last_words) {
    if (!is_gone(other)) gone_.push_back(other);
    in_order_ = in_order_ && got == Got::farewell;
    const auto index = static_cast<std::size_t>(other);
    std::string name = "rank " + std::to_string(other) + " of " + std::to_string(size_);
    if (index < hosts_.size()) name += " on " + hosts_[index];
    lost_ += (lost_.empty() ? "" : "; ") + name +
             (got == Got::farewell ? " left before the end" : " is gone before the end") +
             (last_words.empty() ? "" : ": " + last_words);
  }

  const std::function<bool()> stopped_;
  int rank_ = 0, size_ = 1, here_ = 1;
  bool has_left_ = false;
  bool in_order_ = true;            ///< nobody has gone without a word
  std::vector<std::string> hosts_;  // by rank
  std::vector<int> gone_;           // lost, or left in order
  std::string lost_;
  std::optional<Moment> give_up_at_;
  std::vector<std::unique_ptr<std::string>> stuck_;
};

}  // namespace

std::unique_ptr<Ranks> join_ranks(std::function<bool()> stopped) {
  if (!is_one_of_several()) return alone();
  return std::make_unique<MpiRanks>(std::move(stopped));
}

bool has_mpi() noexcept { return true; }

}  // namespace lockstep

// ranks.h: the processes that a launcher of MPI jobs has started together, and how they share one piece of work.
//
// They meet by ask() alone: every rank gives a piece of bytes, rank 0 makes one answer of all pieces, and every rank
// gets that answer. So rank 0 decides, and everybody goes on from the same decision. No type of MPI is seen outside of
// this room. No moment of a clock is ever sent: the hosts' clocks differ.
//
// A rank that dies takes the others with it, by SIGTERM from the launcher. Rank 0 then waits for a moment for what the
// others have finished, and goes on with that.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lockstep {

/// What each rank has given, by its number. nullopt: the rank is lost, or was told to stop and could give nothing.
using RankPieces = std::vector<std::optional<std::string>>;

/// What rank 0 has made of the pieces.
struct RankAnswer {
  std::string text;      ///< empty when rank 0 is lost
  bool stopped = false;  ///< some rank was told to stop before it gave its piece: the same on every rank
};

/// Not thread-safe: the main thread's. Outlives what is done with it.
class Ranks {
 public:
  virtual ~Ranks() = default;

  virtual int rank() const noexcept = 0;  ///< from 0
  virtual int size() const noexcept = 0;
  /// How many of them are on this rank's host, itself included.
  virtual int here() const noexcept = 0;

  /// Gives `piece`, waits for those of all others, and answers what `decide` makes of them on rank 0. The other ranks'
  /// `decide` is not called. A barrier too: nobody goes on before everybody has come. After a loss it waits for nobody.
  virtual RankAnswer ask(std::string piece, const std::function<std::string(const RankPieces&)>& decide) = 0;

  /// A sentence on the ranks that are gone before the end; empty: everybody is there.
  virtual const std::string& lost() const noexcept = 0;

  /// The work is done here. `why`: in a few words when it ended before that of the others; they are told. True: the
  /// others have been left in order, so that the exit code of rank 0 is that of the whole job.
  virtual bool leave(std::string_view why) = 0;

  bool leads() const noexcept { return rank() == 0; }
  bool are_several() const noexcept { return size() > 1; }
};

/// The ranks that this process was started with; a single one without a launcher of MPI jobs, and in a build without
/// MPI. At most once in a process. `stopped`: asked again and again while it waits; true ends the wait soon.
std::unique_ptr<Ranks> join_ranks(std::function<bool()> stopped);

/// A single rank.
std::unique_ptr<Ranks> alone();

/// True when this build has MPI.
bool has_mpi() noexcept;

}  // namespace lockstep

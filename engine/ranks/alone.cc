// alone.cc: a process that shares its work with nobody.
#include "engine/ranks/ranks.h"

namespace lockstep {
namespace {

class Alone final : public Ranks {
 public:
  int rank() const noexcept override { return 0; }
  int size() const noexcept override { return 1; }
  int here() const noexcept override { return 1; }
  RankAnswer ask(std::string piece, const std::function<std::string(const RankPieces&)>& decide) override {
    RankPieces pieces;
    pieces.emplace_back(std::move(piece));
    return {.text = decide(pieces), .stopped = false};
  }
  const std::string& lost() const noexcept override { return lost_; }
  bool leave(std::string_view) override { return true; }

 private:
  const std::string lost_;
};

}  // namespace

std::unique_ptr<Ranks> alone() { return std::make_unique<Alone>(); }

}  // namespace lockstep

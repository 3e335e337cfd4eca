// pipeline.h: several statements in one trip to the server and back (libpq's pipeline mode, PostgreSQL manual 34.5).
//
//   PgPipeline pipeline(connection);
//   for (const int id : ids) pipeline.add(kRead, id);
//   const Result<std::span<const PgRows>> rows = co_await pipeline.run();     // one for each, in their order
//
// The statements are one transaction, unless they say otherwise themselves (begin … commit). When one fails, those
// after it are not carried out, and none has had an effect. run() then gives the failure of the first. Texts of
// parameters are taken over by add().
//
// Belongs to the thread of the connection's loop. Can be filled and run again after clear(), and then allocates nothing
// new.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "engine/stores/postgres/tasks/connection.h"

namespace lockstep::runtime {

class PgPipeline {
 public:
  /// `connection` outlives it.
  explicit PgPipeline(PgConnection& connection) noexcept : connection_(connection) {}
  PgPipeline(const PgPipeline&) = delete;
  PgPipeline& operator=(const PgPipeline&) = delete;

  /// `statement` is one that the connection has prepared, and outlives the run.
  template <class... Values>
  void add(const PgStatement& statement, const Values&... values) {
    append(statement, PgParameters(values...));
  }
  std::size_t size() const noexcept { return calls_.size(); }
  void clear() noexcept;

  class [[nodiscard]] Run final : public PgExchange {
   public:
    explicit Run(PgPipeline& pipeline) noexcept : PgExchange(pipeline.connection_), pipeline_(pipeline) {}
    Result<std::span<const PgRows>> await_resume() noexcept;

   private:
    bool send(PGconn* connection) noexcept override;
    bool take(postgres::Answer answer) noexcept override;
    void end(PGconn* connection) noexcept override;
    std::string_view text() const noexcept override;
    bool is_in_doubt(bool in_transaction) const override;
    PgPipeline& pipeline_;
  };

  /// The rows live until clear() or the next run. The connection is idle.
  Run run() noexcept { return Run(*this); }

 private:
  /// One statement; its values lie in texts_, one after the other, each with its zero byte.
  struct PipelinedCall {
    const PgStatement* statement;
    std::array<std::ptrdiff_t, PgParameters::kMax> values;  ///< where in texts_; -1 = NULL
    int count;
  };
  void append(const PgStatement& statement, const PgParameters& parameters);

  PgConnection& connection_;
  std::vector<PipelinedCall> calls_;
  std::string texts_;
  std::vector<PgRows> rows_;
  bool has_zero_byte_ = false;
};

}  // namespace lockstep::runtime

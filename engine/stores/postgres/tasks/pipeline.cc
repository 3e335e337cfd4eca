// pipeline.cc: filling, sending and taking a pipeline.
#include "engine/stores/postgres/tasks/pipeline.h"

#include <cstring>

#include "engine/store/statement_text.h"
#include "engine/stores/postgres/errors.h"
#include "engine/stores/postgres/statements.h"

namespace lockstep::runtime {

void PgPipeline::append(const PgStatement& statement, const PgParameters& parameters) {
  PipelinedCall call{.statement = &statement, .values = {}, .count = parameters.count()};
  for (int i = 0; i < call.count; ++i) {
    const char* const value = parameters.values()[i];
    call.values[static_cast<std::size_t>(i)] = value == nullptr ? -1 : static_cast<std::ptrdiff_t>(texts_.size());
    if (value != nullptr) texts_.append(value, std::strlen(value) + 1);
  }
  has_zero_byte_ = has_zero_byte_ || parameters.has_zero_byte();
  calls_.push_back(call);
}

void PgPipeline::clear() noexcept {
  calls_.clear();
  texts_.clear();
  rows_.clear();
  has_zero_byte_ = false;
}

bool PgPipeline::Run::send(PGconn* connection) noexcept {
  pipeline_.rows_.clear();
  if (pipeline_.has_zero_byte_) {
    note(Error{Fault::invalid, {}, "PostgreSQL cannot store a text with a zero byte"});
    return false;
  }
  if (::PQenterPipelineMode(connection) == 0) return false;
  for (const PipelinedCall& call : pipeline_.calls_) {
    std::array<const char*, PgParameters::kMax> values{};
    for (int i = 0; i < call.count; ++i) {
      const std::ptrdiff_t at = call.values[static_cast<std::size_t>(i)];
      if (at >= 0) values[static_cast<std::size_t>(i)] = pipeline_.texts_.data() + at;
    }
    // Refused only when the connection is gone or memory is: the connection is of no use then.
    if (::PQsendQueryPrepared(connection, call.statement->name, call.count, values.data(), nullptr, nullptr, 0) == 0) {
      return false;
    }
  }
  return ::PQpipelineSync(connection) != 0;
}

bool PgPipeline::Run::take(postgres::Answer answer) noexcept {
  const ExecStatusType status = ::PQresultStatus(answer.get());
  if (status == PGRES_PIPELINE_SYNC) return true;
  if (status == PGRES_PIPELINE_ABORTED) return false;  // an earlier one has failed
  if (auto failure = postgres::failure_in(answer.get())) {
    const auto at = std::min(pipeline_.rows_.size(), pipeline_.calls_.size() - 1);
    note(request_error(failure->fault, failure->code,
                       {.verb = Verb::execute, .key = pipeline_.calls_[at].statement->sql}, failure->message));
  } else if (!failure_) {
    pipeline_.rows_.emplace_back(std::move(answer));
  }
  return false;
}

void PgPipeline::Run::end(PGconn* connection) noexcept { (void)::PQexitPipelineMode(connection); }

std::string_view PgPipeline::Run::text() const noexcept {
  return pipeline_.calls_.empty() ? "an empty pipeline" : pipeline_.calls_.front().statement->sql;
}

bool PgPipeline::Run::is_in_doubt(bool in_transaction) const {
  for (const PipelinedCall& call : pipeline_.calls_) {
    const Request request{.verb = Verb::execute, .key = call.statement->sql};
    if (!call.statement->only_reads && postgres::is_in_doubt_when_lost(request, in_transaction)) return true;
  }
  return false;
}

Result<std::span<const PgRows>> PgPipeline::Run::await_resume() noexcept {
  if (failure_) return *std::move(failure_);
  return std::span<const PgRows>(pipeline_.rows_);
}

}  // namespace lockstep::runtime

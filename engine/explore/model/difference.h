// difference.h: two runs of one schedule, one on a model and one on the database that it stands for: where they first
// part.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/record/run.h"
#include "engine/store/backend.h"

namespace lockstep {

/// A recorded run with the committed rows at its end.
struct Performed {
  record::Run run;
  State rows;
};

/// The first thing that is not the same. Who waits for whom, and the words of messages, are not compared.
struct Difference {
  enum class Kind : std::uint8_t {
    wait,     ///< an operation waits in one and not in the other
    outcome,  ///< an operation succeeds in one and fails in the other, or fails in another way
    answer,   ///< an operation comes back with something else
    request,  ///< an actor does something else next
    end,      ///< the verdict, an invariant or the final rows
  };
  Kind kind = Kind::wait;
  std::size_t step = 0;   ///< after which it shows, from 1; 0: at the end
  std::string actor;      ///< empty at the end
  std::string operation;  ///< of the actor: "write A"; at the end what is looked at: "invariant: money is conserved"
  std::string model;      ///< what each says: "waits", "deadlock", "100"
  std::string database;
};

/// "wait", "outcome" …
std::string_view name_of(Difference::Kind kind) noexcept;

/// nullopt: they are alike. Both were recorded.
std::optional<Difference> first_difference(const Performed& model, const Performed& database);

/// For people: "after step 5, T2's write A: the model says waits, PostgreSQL says deadlock".
std::string text_of(const Difference& difference, std::string_view database);

/// What a recording of such a run holds as a document, as JSON.
inline constexpr const char* kModelDifferenceDocument = "model-difference";
std::string to_json(const Difference& difference, std::string_view model);

}  // namespace lockstep

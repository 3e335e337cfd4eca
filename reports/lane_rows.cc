// lane_rows.cc: follows the events of a run, actor by actor: what each performs, holds and waits for.
#include "reports/lane_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

#include "engine/record/known_rows.h"
#include "engine/record/moments.h"

namespace lockstep::reports {
namespace {

using record::Event;
using record::EventKind;

bool one_of(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool only_reads(const Event& event) { return one_of(event.verb, {"read", "scan", "savepoint", "rollback_to"}); }

/// Waits that end without anything in hand.
bool only_waits(const Event& event) { return one_of(event.verb, {"wait", "pause", "sleep"}); }

/// True when the operation, granted, leaves its actor holding something until the end of its transaction or an unlock.
bool takes_hold(const Event& event, HoldsUntilEnd holds) {
  if (event.verb.starts_with("lock") || event.verb.starts_with("try_") ||
      one_of(event.verb, {"upgrade", "acquire", "request", "read_for_update", "scan_for_update"})) {
    return event.detail != "not obtained";
  }
  if (one_of(event.verb, {"write", "insert", "write_if", "add", "add_if", "erase"}))
    return holds != HoldsUntilEnd::nothing;
  if (one_of(event.verb, {"read", "scan"})) return holds == HoldsUntilEnd::reads_and_writes;
  return false;
}

/// An operation of the store, as against one of an in-process lock.
bool is_of_store(const Event& event) {
  return one_of(event.verb,
                {"begin", "read", "read_for_update", "write", "insert", "write_if", "add", "add_if", "erase", "scan",
                 "scan_for_update", "execute", "savepoint", "rollback_to", "commit", "abort"});
}

bool is_shared(const Event& event) { return one_of(event.verb, {"read", "scan", "lock_shared", "try_lock_shared"}); }

bool gives_back(const Event& event) { return one_of(event.verb, {"unlock", "release", "give_back"}); }

bool ends_transaction(const Event& event) { return one_of(event.verb, {"commit", "abort"}); }

/// Operations that are answered at once and always alike, so that there is nothing to foretell.
bool is_foregone(std::string_view verb) {
  return one_of(
      verb, {"begin", "savepoint", "rollback_to", "release", "abort", "reset", "unlock", "give_back", "pause", "sleep",
             "notify_one", "notify_all", "store", "submit", "end_job", "close", "downgrade", "claim", "step"});
}

std::string names_of(const std::vector<int>& actors, const record::Run& run) {
  std::string names;
  for (const int actor : actors) {
    if (!names.empty()) names += ", ";
    names += actor == record::kNobody ? "somebody else" : run.actors[static_cast<std::size_t>(actor)];
  }
  return names;
}

std::string words(std::string_view name) {
  std::string text(name);
  std::replace(text.begin(), text.end(), '_', ' ');
  return text;
}

std::string lower(std::string_view text) {
  std::string all(text);
  std::transform(all.begin(), all.end(), all.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return all;
}

/// Locks that need no words beside what they are on. (An update lock is exclusive but for plain reads.)
bool is_plain(std::string_view how) {
  return how.starts_with("exclusive") || how.starts_with("shared") || how.starts_with("update");
}
bool is_shared_lock(std::string_view how) { return lower(how).starts_with("shared") || how == "snapshot"; }
bool is_view(std::string_view how) { return how.starts_with("snapshot"); }

/// "a, b" without what `name` begins with: "T1: write A: …" of a store's own sentence.
std::string without_subject(const std::string& sentence, const std::string& name) {
  std::string_view rest = sentence;
  if (rest.starts_with(name + ": ")) rest.remove_prefix(name.size() + 2);
  constexpr std::size_t kOperationMost = 60;
  const std::size_t colon = rest.find(": ");
  if (colon < kOperationMost && !rest.starts_with("gave up")) rest.remove_prefix(colon + 2);
  return std::string(rest);
}

/// The number that an add was asked to add: "-10" of "-10 if >= 0".
std::int64_t delta_of(std::string_view detail) {
  std::int64_t delta = 0;
  if (detail.starts_with('+')) detail.remove_prefix(1);
  std::from_chars(detail.data(), detail.data() + detail.size(), delta);
  return delta;
}

/// What one actor is doing.
struct ActorStory {
  std::optional<Event> asked;  ///< the request that has not been answered
  std::int64_t wait_began_ns = -1;
  bool shown = false;             ///< a row of the request has been written (it waits)
  std::vector<std::string> held;  ///< in the order of taking; a statement's locks have no name: ""
  bool finished = false;
  std::optional<Event> retry;  ///< announced; the row comes with the first operation of the attempt
  std::string last_fault;
  bool stopped = false;   ///< told to end
  bool given_up = false;  ///< the last answer was a fault that ended the transaction

  // The data; only with moments.
  bool in_transaction = false;
  bool looks = false;                                              ///< sees a moment of its own
  std::uint32_t looked_at = 0;                                     ///< the operation by which it took its view
  std::map<std::string, std::string> view = {};                    ///< what was committed then
  std::map<std::string, std::optional<std::string>> written = {};  ///< nullopt: erased
  std::vector<std::pair<std::string, std::map<std::string, std::optional<std::string>>>> savepoints = {};
};

class Teller {
 public:
  Teller(const record::Run& run, HoldsUntilEnd holds) : run_(run), holds_(holds), actors_(run.actors.size()) {
    const auto document = run.documents.find(record::kMomentsDocument);
    if (document == run.documents.end()) return;
    Result<record::Moments> moments = record::moments_of(document->second);
    if (!moments) return;
    moments_ = std::move(*moments);
    if (const auto rows = run.documents.find(record::kKnownRowsDocument); rows != run.documents.end()) {
      if (Result<record::KnownRows> read = record::known_rows_of(rows->second); read) known_ = std::move(*read);
    }
    tells_data_ = known_.untold.empty();
    tells_locks_ = !moments_->locks.empty();
    for (const record::Moments::Locks& each : moments_->locks) {
      for (const record::HeldLock& lock : each.held) locks_have_views_ = locks_have_views_ || is_view(lock.how);
    }
    for (const auto& [key, value] : moments_->given) committed_[key] = value;
  }

  std::vector<LaneRow> tell() {
    for (next_ = 0; next_ < run_.events.size();) follow(run_.events[next_++]);
    for (std::size_t i = 0; i < actors_.size() && !ended_; ++i) tell_unanswered(static_cast<int>(i));
    if (!rows_.empty()) {
      for (Change& change : changes_) rows_.back().changes.push_back(std::move(change));
    }
    number_upwards();
    return std::move(rows_);
  }

 private:
  ActorStory& story(const Event& event) { return actors_[static_cast<std::size_t>(event.actor)]; }

  /// Later rows of an operation come after the first rows of others: they bear no number.
  void number_upwards() {
    std::uint32_t highest = 0;
    for (LaneRow& row : rows_) {
      if (row.step <= highest) row.step = 0;
      highest = std::max(highest, row.step);
    }
  }

  void follow(const Event& event) {
    if (ended_ && event.kind != EventKind::note) return;
    took_.clear();
    gave_.clear();
    follow_locks(event.seq);
    if (event.actor == record::kNobody || event.actor >= static_cast<int>(actors_.size())) {
      follow_run(event);
      return;
    }
    switch (event.kind) {
      case EventKind::request:
        follow_request(event);
        break;
      case EventKind::wait:
        follow_wait(event);
        break;
      case EventKind::grant:
        follow_grant(event);
        break;
      case EventKind::fault:
        follow_fault(event);
        break;
      case EventKind::release:
        follow_release(event);
        break;
      case EventKind::retry:
        story(event).retry = event;
        break;
      case EventKind::finish:
        follow_finish(event);
        break;
      case EventKind::note:
        row(event, Mark::note, event.detail);
        break;
      case EventKind::notice:
        follow_notice(event);
        break;
      default:
        follow_run(event);
    }
  }

  /// What the store told of its locks after the event.
  void follow_locks(std::uint64_t seq) {
    if (!tells_locks_) return;
    const std::vector<record::Moments::Locks>& all = moments_->locks;
    for (; next_locks_ < all.size() && all[next_locks_].since <= seq; ++next_locks_) {
      const std::vector<record::HeldLock>& held = all[next_locks_].held;
      for (const record::HeldLock& old : held_) {
        if (std::find(held.begin(), held.end(), old) == held.end()) lose(old, held);
      }
      for (const record::HeldLock& lock : held) {
        if (std::find(held_.begin(), held_.end(), lock) == held_.end()) gain(lock);
      }
      held_ = held;
    }
  }

  bool is_actor(int actor) const { return actor >= 0 && actor < static_cast<int>(actors_.size()); }

  void gain(const record::HeldLock& lock) {
    if (!is_actor(lock.actor)) return;
    ActorStory& actor = actors_[static_cast<std::size_t>(lock.actor)];
    actor.held.push_back(lock.object);
    took_.push_back(lock);
    Change& made = change(Change::Kind::take, lock.actor, lock.object);
    made.shared = is_shared_lock(lock.how);
    if (!is_plain(lock.how) || lock.how.find(' ') != std::string::npos) made.how = lock.how;
    if (is_view(lock.how) && tells_data_) look(lock.actor);
  }

  void lose(const record::HeldLock& old, const std::vector<record::HeldLock>& now) {
    if (!is_actor(old.actor)) return;
    ActorStory& actor = actors_[static_cast<std::size_t>(old.actor)];
    const auto found = std::find(actor.held.begin(), actor.held.end(), old.object);
    if (found != actor.held.end()) actor.held.erase(found);
    change(Change::Kind::give, old.actor, old.object);
    const bool another = std::any_of(now.begin(), now.end(), [&old](const record::HeldLock& lock) {
      return lock.actor == old.actor && lock.object == old.object;
    });
    if (!another) gave_.push_back(old);
  }

  // --- the data ---

  void look(int index) {
    ActorStory& actor = actors_[static_cast<std::size_t>(index)];
    if (actor.looks) return;
    actor.looks = true;
    actor.view = committed_;
    change(Change::Kind::look, index, "");
  }

  void write(int index, const std::string& key, std::optional<std::string> value) {
    Change& made = change(Change::Kind::write, index, key);
    made.erased = !value;
    made.value = value.value_or("");
    actors_[static_cast<std::size_t>(index)].written[key] = std::move(value);
  }

  /// The number that the transaction sees in the row.
  std::int64_t number_in(const ActorStory& actor, const std::string& key) const {
    const auto own = actor.written.find(key);
    const auto row = committed_.find(key);
    const std::string text = own != actor.written.end() ? own->second.value_or("")
                             : row != committed_.end()  ? row->second
                                                        : std::string();
    return delta_of(text);
  }

  /// The transaction is over, and what it has written with it.
  void end_data(int index, bool committed) {
    if (!tells_data_) return;
    ActorStory& actor = actors_[static_cast<std::size_t>(index)];
    actor.in_transaction = false;
    if (!actor.written.empty()) {
      change(committed ? Change::Kind::install : Change::Kind::undo, index, "");
      for (auto& [key, value] : actor.written) {
        if (!committed) break;
        if (value) {
          committed_[key] = *value;
        } else {
          committed_.erase(key);
        }
      }
    }
    if (actor.looks) change(Change::Kind::blind, index, "");
    actor.looks = false;
    actor.written.clear();
    actor.savepoints.clear();
  }

  // --- a run that nobody steered ---
  //
  // Its events stand in the order in which actors had their answers. A commit may have taken effect before its answer
  // came, so it is moved forward to what shows it: a read that sees its row, or a lock that it gave back.

  /// The actor whose commit is under way and which has written the row; kNobody when there is none.
  int commits_row(const std::string& key, int but) const {
    for (std::size_t i = 0; i < actors_.size(); ++i) {
      const ActorStory& actor = actors_[i];
      if (static_cast<int>(i) != but && actor.asked && actor.asked->verb == "commit" && actor.written.contains(key))
        return static_cast<int>(i);
    }
    return record::kNobody;
  }

  static std::optional<std::string> in(const std::map<std::string, std::string>& rows, const std::string& key) {
    const auto row = rows.find(key);
    return row == rows.end() ? std::nullopt : std::optional(row->second);
  }

  std::optional<std::string> sees(const ActorStory& actor, const std::string& key, bool latest) const {
    if (const auto own = actor.written.find(key); own != actor.written.end()) return own->second;
    return in(actor.looks && !latest ? actor.view : committed_, key);
  }

  void look_again(int index) {
    actors_[static_cast<std::size_t>(index)].looks = false;
    look(index);
  }

  /// A read has given `value`: makes what is committed fit it where a commit that is under way can. Else the row that
  /// comes says what does not fit.
  void follow_seen(const Event& asked, const std::optional<std::string>& value) {
    const int index = asked.actor;
    ActorStory& actor = actors_[static_cast<std::size_t>(index)];
    const std::string& key = asked.object;
    const bool locks = asked.verb != "read";
    const auto fits = [&] { return sees(actor, key, false) == value || (locks && sees(actor, key, true) == value); };
    if (fits()) return;
    const bool fresh = actor.looks && actor.looked_at == asked.step;
    if (fresh && in(committed_, key) == value) return look_again(index);
    if (known_.by_times && (fresh || !actor.looks || locks)) {
      const int other = commits_row(key, index);
      if (other != record::kNobody && actors_[static_cast<std::size_t>(other)].written.at(key) == value) {
        end_data(other, true);
        if (fresh) look_again(index);
        return;
      }
    }
    if (known_.reads_are_dirty) {
      const bool dirty = std::any_of(actors_.begin(), actors_.end(), [&](const ActorStory& each) {
        const auto own = each.written.find(key);
        return own != each.written.end() && own->second == value;
      });
      if (dirty) return;
    }
    misfit_ = fmt::format("{} has read {} = {}", names_of({index}, run_), key, value.value_or("nothing"));
  }

  /// A write was granted, and the store locks what is written: whoever was about to commit the row has done so.
  void follow_lock_of(const Event& asked) {
    if (!known_.by_times || holds_ == HoldsUntilEnd::nothing) return;
    if (!one_of(asked.verb, {"write", "insert", "write_if", "add", "add_if", "erase"})) return;
    const int other = commits_row(asked.object, asked.actor);
    if (other != record::kNobody) end_data(other, true);
  }

  void follow_data(const Event& asked, const Event& event) {
    if (!tells_data_) return;
    follow_lock_of(asked);
    if (asked.verb == "read" || asked.verb == "read_for_update")
      follow_seen(asked, event.detail == "nothing" ? std::nullopt : std::optional(event.detail));
    const int index = event.actor;
    ActorStory& actor = story(event);
    const std::string& verb = asked.verb;
    const bool touched = event.detail.starts_with("1 row");
    if (verb == "begin") actor.in_transaction = true;
    if (verb == "write" || verb == "insert") write(index, asked.object, asked.detail);
    if (verb == "write_if" && touched) write(index, asked.object, asked.detail.substr(0, asked.detail.find(" if ")));
    if (verb == "add" && event.detail != "nothing") follow_sum(asked, event.detail);
    if (verb == "add" && event.detail != "nothing") write(index, asked.object, event.detail);
    if (verb == "add_if" && touched)
      write(index, asked.object, std::to_string(number_in(actor, asked.object) + delta_of(asked.detail)));
    if (verb == "erase" && touched) write(index, asked.object, std::nullopt);
    if (verb == "savepoint") actor.savepoints.emplace_back(asked.object, actor.written);
    if (verb == "rollback_to") roll_back_to(index, asked.object);
    if (verb == "commit") end_data(index, true);
    if (verb == "abort") end_data(index, false);
  }

  /// An add gave the sum: what it was added to is the row as it was.
  void follow_sum(const Event& asked, const std::string& sum) {
    const ActorStory& actor = story(asked);
    const auto before = sees(actor, asked.object, true);
    if (!before || delta_of(*before) + delta_of(asked.detail) == delta_of(sum)) return;
    misfit_ = fmt::format("{} has made {} of {} = {}", names_of({asked.actor}, run_), sum, asked.object, *before);
  }

  /// The first operation that looks at data takes the snapshot, also where it then waits.
  void follow_view(const Event& asked) {
    if (!tells_data_ || moments_->reads != record::ReadsSee::snapshot || locks_have_views_) return;
    const bool looks_at_data = !one_of(asked.verb, {"begin", "commit", "abort", "savepoint", "release", "rollback_to"});
    ActorStory& actor = story(asked);
    if (!actor.in_transaction || !looks_at_data || !is_of_store(asked) || actor.looks) return;
    actor.looked_at = asked.step;
    look(asked.actor);
  }

  void roll_back_to(int index, const std::string& name) {
    ActorStory& actor = actors_[static_cast<std::size_t>(index)];
    while (!actor.savepoints.empty() && actor.savepoints.back().first != name) actor.savepoints.pop_back();
    if (actor.savepoints.empty()) return;
    change(Change::Kind::undo, index, "");
    actor.written.clear();
    const auto kept = actor.savepoints.back().second;
    for (const auto& [key, value] : kept) write(index, key, value);
  }

  void follow_run(const Event& event) {
    if (event.kind == EventKind::cycle) {
      std::vector<int> cycle = event.others;
      std::rotate(cycle.begin(), std::min_element(cycle.begin(), cycle.end()), cycle.end());
      std::string text = "cycle ";
      for (const int actor : cycle) text += names_of({actor}, run_) + "→";
      if (!cycle.empty()) text += names_of({cycle.front()}, run_);
      if (!event.detail.empty()) text += ", " + event.detail;
      row(event, Mark::cycle, text).circle = std::move(cycle);
    } else if (event.kind == EventKind::time) {
      row(event, Mark::time, event.detail);
    } else if (event.kind == EventKind::note) {
      row(event, Mark::note, event.detail);
    }
  }

  void follow_request(const Event& event) {
    ActorStory& actor = story(event);
    if (actor.retry && tell_quiet_retry(event)) return;
    actor.given_up = actor.given_up && event.verb == "abort";
    follow_view(event);
    actor.asked = event;
    actor.wait_began_ns = -1;
    actor.shown = false;
  }

  /// A retry that commits without a wait, a fault or a row of another actor in between is one row. True when that row
  /// was written.
  bool tell_quiet_retry(const Event& first) {
    for (std::size_t i = next_; i < run_.events.size(); ++i) {
      const Event& event = run_.events[i];
      if (event.actor != first.actor) {
        if (one_of(record::name_of(event.kind), {"finish", "release", "invariant"})) continue;
        return false;
      }
      if (event.kind == EventKind::grant && event.verb == "commit") {
        ActorStory& actor = story(first);
        follow_quietly(first, i);
        row(first, Mark::retry,
            fmt::format("retry {}: ✓ commit at {:.2f}", actor.retry->detail, static_cast<double>(event.at_ns) / 1e6));
        actor.retry.reset();
        next_ = i + 1;
        return true;
      }
      if (!one_of(record::name_of(event.kind), {"request", "grant", "release"})) return false;
    }
    return false;
  }

  /// The locks and the data of the events up to `last`, which bear no rows of their own.
  void follow_quietly(const Event& first, std::size_t last) {
    Event asked = first;
    follow_view(asked);
    for (std::size_t i = next_; i <= last; ++i) {
      const Event& event = run_.events[i];
      follow_locks(event.seq);
      if (event.actor != first.actor) {
        if (event.kind == EventKind::finish && is_actor(event.actor)) story(event).finished = true;
        continue;
      }
      if (event.kind == EventKind::request) follow_view(asked = event);
      if (event.kind == EventKind::grant) follow_data(asked, event);
    }
  }

  void follow_wait(const Event& event) {
    ActorStory& actor = story(event);
    const bool again = actor.shown;
    if (!again) actor.wait_began_ns = event.at_ns;
    actor.shown = true;
    const std::string wanted = wanted_by(event);
    change(Change::Kind::wait, event.actor, wanted).others = event.others;
    std::string whom = names_of(event.others, run_);
    LaneRow& told = row(event, Mark::wait, asked_text(actor, event));
    if (!again) foretold(told, actor.asked.value_or(event), false);
    if (!again && actor.asked) told.sql = record::fact_of(*actor.asked, "sql");
    if (const std::string_view lock = record::fact_of(event, "lock"); !lock.empty()) told.more.emplace_back(lock);
    if (whom.empty()) {
      told.status = told.short_status = event.detail;
    } else {
      // A lock that the row's own text does not name.
      const bool unnamed = tells_locks_ && wanted != event.object && !event.detail.empty();
      told.short_status = again ? "now " + whom : "waits " + whom;
      if (unnamed) whom += " (" + event.detail + ")";
      told.status = again ? "now for " + whom : "waits for " + whom;
    }
  }

  /// What is waited for: the object of the operation; where the actor in its way holds something else alone, that.
  std::string wanted_by(const Event& event) const {
    const std::string object = event.verb == "execute" ? "" : event.object;
    if (!tells_locks_ || event.others.empty() || !is_actor(event.others.front())) return object;
    const std::vector<std::string>& held = actors_[static_cast<std::size_t>(event.others.front())].held;
    const bool holds_it = std::find(held.begin(), held.end(), object) != held.end();
    return !holds_it && held.size() == 1 ? held.front() : object;
  }

  void follow_grant(const Event& event) {
    ActorStory& actor = story(event);
    const Event asked = actor.asked.value_or(event);
    const bool waited = actor.wait_began_ns >= 0;
    const std::int64_t wait_ns = waited ? event.at_ns - actor.wait_began_ns : 0;
    std::string text = asked_text(actor, event);
    Event granted = asked;
    granted.detail = event.detail;
    end_request(event.actor);
    follow_data(asked, event);
    Mark mark = Mark::operation;
    if (event.verb == "abort" && actor.given_up) return;  // the row of the fault says it
    if (event.verb == "commit") {
      if (!tells_locks_) give_all(event.actor);
      mark = Mark::good;
    } else if (event.verb == "abort") {
      if (!tells_locks_) give_all(event.actor);
    } else if (tells_locks_ && is_of_store(asked)) {
      const bool took = std::any_of(took_.begin(), took_.end(),
                                    [&event](const record::HeldLock& lock) { return lock.actor == event.actor; });
      mark = (waited && !only_waits(asked)) || (took && !only_reads(asked)) ? Mark::grant : Mark::operation;
    } else if (gives_back(asked)) {
      give(event.actor, asked.object);
    } else if (takes_hold(granted, holds_) || (waited && !only_waits(asked))) {
      const std::string name = asked.verb == "execute" ? "" : asked.object;
      const bool held = std::find(actor.held.begin(), actor.held.end(), name) != actor.held.end();
      if (!held) {
        actor.held.push_back(name);
        change(Change::Kind::take, event.actor, name).shared = is_shared(asked);
      } else if (!only_reads(asked)) {
        change(Change::Kind::take, event.actor, name);  // what was shared is no longer
      }
      mark = waited || (!held && !only_reads(asked)) ? Mark::grant : Mark::operation;
    }
    if (!event.detail.empty()) text += answer_text(asked, event.detail);
    LaneRow& told = row(event, mark, text);
    foretold(told, asked, waited);
    if (told.reads) told.seen = event.detail;
    if (!waited) told.sql = record::fact_of(asked, "sql");
    if (waited) {
      told.status = "after " + duration_text(wait_ns);
      told.short_status = "+" + duration_text(wait_ns);
    } else if (const std::string lock = named_lock(event.actor); !lock.empty()) {
      told.status = told.short_status = lock;
    } else if (one_of(asked.verb, {"lock", "lock_shared", "acquire", "request", "read_for_update"})) {
      told.status = "granted";
    }
  }

  /// The lock that the actor has got just now, where it has a name of its own: "RESERVED lock".
  std::string named_lock(int actor) const {
    for (const record::HeldLock& lock : took_) {
      if (lock.actor != actor || is_plain(lock.how)) continue;
      const std::size_t last = lock.how.rfind(", ");  // "snapshot, write lock": what is new comes last
      return last == std::string::npos ? lock.how : lock.how.substr(last + 2);
    }
    return {};
  }

  /// What an actor gave back just now; where the store does not tell, what it has.
  std::vector<std::string> given_back(int index) const {
    if (!tells_locks_) return actors_[static_cast<std::size_t>(index)].held;
    std::vector<std::string> all;
    for (const record::HeldLock& lock : gave_) {
      if (lock.actor == index) all.push_back(is_plain(lock.how) ? lock.object : lock.how);
    }
    return all;
  }

  void follow_fault(const Event& event) {
    if (event.fault && (*event.fault == Fault::hung || *event.fault == Fault::cancelled)) {
      if (!ended_) tell_end(event);
      return;
    }
    ActorStory& actor = story(event);
    const bool shown = actor.shown;
    std::string what = event.fault ? words(name_of(*event.fault)) : "failed";
    if (!event.code.empty()) what += " " + event.code;
    std::string text = shown || event.verb.empty() ? what : asked_text(actor, event) + ": " + what;
    const bool given_up = event.fault && is_retry_safe(*event.fault) && *event.fault != Fault::busy &&
                          *event.fault != Fault::version_changed;
    const bool refused_to_wait = event.fault && one_of(name_of(*event.fault), {"busy", "busy_snapshot"});
    if (refused_to_wait && !event.detail.empty())
      text += ": " + without_subject(event.detail, run_.actors[static_cast<std::size_t>(event.actor)]);
    if ((given_up || ends_transaction(event)) && run_.store != record::kNoStore) {
      text += given_back_text(given_back(event.actor));
      if (!tells_locks_) give_all(event.actor);
      if (!refused_to_wait) end_data(event.actor, false);
      actor.given_up = true;
    }
    actor.last_fault = event.fault ? std::string(name_of(*event.fault)) : "";
    const Event asked = actor.asked.value_or(event);
    const std::string sql(actor.asked && !shown ? record::fact_of(*actor.asked, "sql") : std::string_view());
    end_request(event.actor);
    LaneRow& told = row(event, Mark::fault, text);
    foretold(told, asked, shown);
    told.sql = sql;
    for (const std::string_view part : {"primary", "detail", "hint"})
      add_lines(told.more, record::fact_of(event, part));
  }

  /// The row answers the operation, or begins its wait.
  static void foretold(LaneRow& row, const Event& asked, bool waited) {
    if (asked.verb.empty() || is_foregone(asked.verb)) return;
    row.asked = operation_text(asked);
    row.waited = waited;
    row.reads = one_of(asked.verb, {"read", "load"});
  }

  static void add_lines(std::vector<std::string>& lines, std::string_view said) {
    while (!said.empty()) {
      const std::size_t end = std::min(said.find('\n'), said.size());
      if (end > 0) lines.emplace_back(said.substr(0, end));
      said.remove_prefix(std::min(end + 1, said.size()));
    }
  }

  void follow_notice(const Event& event) {
    LaneRow& told = row(event, Mark::note, event.verb + ": " + event.detail);
    told.actor = event.actor;
    for (const std::string_view part : {"detail", "hint", "context"})
      add_lines(told.more, record::fact_of(event, part));
  }

  /// The run was ended from outside: one row for all actors. What they still do then is clearing up, no part of the
  /// story.
  void tell_end(const Event& event) {
    std::vector<int> waiting;
    for (std::size_t i = 0; i < actors_.size(); ++i) {
      if (actors_[i].wait_began_ns >= 0) waiting.push_back(static_cast<int>(i));
    }
    std::string text = *event.fault == Fault::hung ? "the run ends here" : "stopped here";
    if (!waiting.empty())
      text += fmt::format(": {} still wait{}", names_of(waiting, run_), waiting.size() == 1 ? "s" : "");
    LaneRow& told = row(event, Mark::fault, text);
    told.actor = record::kNobody;
    told.step = 0;
    ended_ = true;
  }

  void follow_release(const Event& event) {
    ActorStory& actor = story(event);
    const bool known = give(event.actor, event.object);
    // Within an operation (unlock, commit, a wait on a condition) the operation's own row says it.
    if (known && !actor.asked && !ended_) row(event, Mark::operation, words(event.verb) + " " + event.object).step = 0;
  }

  void follow_finish(const Event& event) {
    ActorStory& actor = story(event);
    if (actor.finished) return;
    if (actor.retry) {
      row(event, Mark::retry, "retry " + actor.retry->detail);
      actor.retry.reset();
    }
    actor.finished = true;
    end_data(event.actor, false);
    give_all(event.actor);
    const std::string fault = event.fault ? std::string(name_of(*event.fault)) : "";
    if (!event.fault) return;
    const bool told_before = fault == actor.last_fault && !rows_.empty() && rows_.back().actor == event.actor;
    if (told_before) {
      rows_.back().lanes[static_cast<std::size_t>(event.actor)] = LaneState::gone;
      return;
    }
    std::string text = "ends: " + words(fault);
    if (!event.detail.empty()) text += ", " + event.detail;
    row(event, Mark::fault, text);
  }

  /// The run ended while the actor's request was still open.
  void tell_unanswered(int index) {
    ActorStory& actor = actors_[static_cast<std::size_t>(index)];
    if (!actor.asked || actor.finished || actor.shown) return;
    Event event = *actor.asked;
    row(event, Mark::operation, operation_text(event)).status = "no answer";
  }

  Change& change(Change::Kind kind, int actor, std::string object) {
    Change& made = changes_.emplace_back();
    made.kind = kind;
    made.actor = actor;
    made.object = std::move(object);
    return made;
  }

  bool give(int index, const std::string& object) {
    std::vector<std::string>& held = actors_[static_cast<std::size_t>(index)].held;
    const auto found = std::find(held.begin(), held.end(), object);
    if (found == held.end()) return false;
    held.erase(found);
    change(Change::Kind::give, index, object);
    return true;
  }

  void give_all(int index) {
    std::vector<std::string>& held = actors_[static_cast<std::size_t>(index)].held;
    for (std::string& object : held) change(Change::Kind::give, index, std::move(object));
    held.clear();
  }

  /// The actor's request has been answered.
  void end_request(int index) {
    ActorStory& actor = actors_[static_cast<std::size_t>(index)];
    if (actor.shown) change(Change::Kind::go_on, index, "");
    actor.asked.reset();
    actor.wait_began_ns = -1;
    actor.shown = false;
  }

  static std::string asked_text(const ActorStory& actor, const Event& event) {
    return operation_text(actor.asked ? *actor.asked : event);
  }

  static std::string answer_text(const Event& asked, const std::string& answer) {
    const bool value = one_of(asked.verb, {"read", "read_for_update"});
    return (value ? " = " : " → ") + answer;
  }

  static std::string given_back_text(const std::vector<std::string>& held) {
    if (held.empty()) return {};
    constexpr std::size_t kNamedMost = 3;
    std::string text;
    std::size_t named = 0;
    for (const std::string& object : held) {
      if (object.empty() || named == kNamedMost) continue;
      text += (named++ == 0 ? ", gives back " : ", ") + object;
    }
    if (named == 0) return ", gives back its locks";
    if (named < held.size()) text += fmt::format(" and {} more", held.size() - named);
    return text;
  }

  LaneRow& row(const Event& event, Mark mark, std::string text) {
    LaneRow told;
    told.step = event.step;
    told.at_ns = event.at_ns;
    told.actor = event.actor;
    told.mark = mark;
    if (mark == Mark::cycle || mark == Mark::time || mark == Mark::note) told.actor = record::kNobody;
    if (told.actor != record::kNobody && story(event).retry && mark != Mark::retry) {
      // The first row of an attempt says so.
      text = "retry " + std::exchange(story(event).retry, std::nullopt)->detail + ": " + text;
      if (mark == Mark::operation || mark == Mark::grant) told.mark = Mark::retry;
    }
    told.text = std::move(text);
    told.changes = std::exchange(changes_, {});
    told.misfit = std::exchange(misfit_, {});
    for (const ActorStory& actor : actors_) {
      told.lanes.push_back(actor.finished             ? LaneState::gone
                           : actor.wait_began_ns >= 0 ? LaneState::waits
                           : actor.held.empty()       ? LaneState::alive
                                                      : LaneState::holds);
    }
    rows_.push_back(std::move(told));
    return rows_.back();
  }

  const record::Run& run_;
  const HoldsUntilEnd holds_;
  std::vector<ActorStory> actors_;
  std::optional<record::Moments> moments_;
  record::KnownRows known_;
  bool tells_data_ = false;
  bool tells_locks_ = false;
  bool locks_have_views_ = false;  ///< a snapshot is one of the store's locks
  std::size_t next_locks_ = 0;
  std::vector<record::HeldLock> held_, took_, gave_;  ///< now; by the event in hand
  std::map<std::string, std::string> committed_;
  std::vector<LaneRow> rows_;
  std::vector<Change> changes_;  ///< since the last row
  std::string misfit_;           ///< for the row that comes
  std::size_t next_ = 0;
  bool ended_ = false;  ///< from outside
};

}  // namespace

std::vector<LaneRow> lane_rows(const record::Run& run, HoldsOf holds_of) {
  return Teller(run, holds_of(run.store, run.protocol)).tell();
}

std::string operation_text(const Event& event) {
  if (event.verb == "execute") return event.object;
  const std::string verb = event.verb == "read_for_update"   ? "lock"
                           : event.verb == "scan_for_update" ? "lock all in"
                           : event.verb == "write_if"        ? "write"
                           : event.verb == "add_if"          ? "add"
                                                             : words(event.verb);
  std::string text = verb;
  if (!event.object.empty()) text += " " + event.object;
  if (!event.detail.empty()) {
    text += (one_of(event.verb, {"write", "insert", "write_if"}) ? " = " : " ") + event.detail;
  }
  return text;
}

std::string duration_text(std::int64_t ns) {
  const double ms = static_cast<double>(ns) / 1e6;
  return ms >= 1000 ? fmt::format("{:.2f} s", ms / 1000) : fmt::format("{:.2f} ms", ms);
}

}  // namespace lockstep::reports

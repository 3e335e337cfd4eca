// saved_tables.h: what the schema of a run holds when it has just been set up. A search restores it before each order
// of steps instead of making it anew.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/stores/postgres/monitor.h"

namespace lockstep::postgres {

/// The rows of all tables of a schema and the values of its sequences, as they were when they were taken.
///
/// Rows are restored in one of two ways. They are deleted and inserted again while the page of each table and index has
/// so much room that the server neither prunes nor splits it: the order of rows, the plans and what shares a page are
/// then those of new tables. Otherwise the tables are truncated first, which gives new files. Where neither is exact,
/// restore() says so, and the schema has to be made anew.
///
/// Not thread-safe. Uses the monitor's connection, with a prepared statement of its own: one object at a time.
class SavedTables {
 public:
  enum class Means : std::uint8_t {
    rows,   ///< delete and insert, while the pages have room
    files,  ///< truncate and insert
  };

  /// Takes what the schema holds now and switches autovacuum off for its tables, so that no statistics come up between
  /// two orders. `ddl` has made it. `pages`: the schema of the extension pageinspect; empty where there is none, and
  /// then tables are truncated each time. nullptr: it holds something that cannot be restored exactly, such as a
  /// materialised view or more than 256 KiB of rows; or the statements may have changed what lies elsewhere; or the
  /// role is no superuser, which it takes to write rows without triggers.
  static std::unique_ptr<SavedTables> take(Monitor& monitor, const std::string& schema,
                                           std::span<const std::string> ddl, const std::string& pages, Means means);
  ~SavedTables();
  SavedTables(const SavedTables&) = delete;
  SavedTables& operator=(const SavedTables&) = delete;

  /// All as it was taken. No session may be at work. Takes every table for itself, so it waits for sessions that still
  /// end. False: definitions have changed since, or it cannot be done exactly; the schema has to be made anew.
  bool restore();

  /// There is no sequence in the schema, and no function that the server does not bring: plain statements leave nothing
  /// in a session.
  bool is_plain() const noexcept { return is_plain_; }
  /// False once it has turned out that what was restored is not what was taken.
  bool is_exact() const noexcept { return is_exact_; }

 private:
  /// Of a table or an index of one page: what is free there.
  struct Page {
    std::string relation;  ///< quoted, with its schema
    int block = 0;
    std::int64_t kept_free = 0;  ///< bytes: with less the server prunes
    std::int64_t first = 0;      ///< free when it was taken
    std::int64_t latest = 0;
  };
  struct Relation {
    std::string oid;
    char kind = 'r';
    std::string name;  ///< quoted, with its schema
    bool is_of_schema = false;
    std::string believed;  ///< pages and rows, as the planner has it
    std::string method;
    std::int64_t bytes = 0;
    int fillfactor = 100;
  };
  /// What ls_state says.
  struct TablesSeen {
    std::string catalogue;  ///< of the definitions: changes with each of them
    std::string storage;    ///< pages of each file, and what the planner believes
    std::vector<std::int64_t> free;
  };

  SavedTables(Monitor& monitor, std::string schema, std::string pages, Means means)
      : monitor_(monitor), schema_(std::move(schema)), pages_schema_(std::move(pages)), means_(means) {}

  bool find_objects();
  bool find_relations();
  bool may_be_written() const;
  bool is_of_schema_alone(std::span<const std::string> ddl);
  bool keep_rows();
  std::optional<std::string> rows_of(const Relation& table) const;
  bool keep_sequences();
  void find_pages();
  bool prepare_look();
  std::optional<TablesSeen> look(const std::string& before) const;
  bool has_room(const TablesSeen& now);
  bool has_the_same_rows() const;

  Monitor& monitor_;
  const std::string schema_, pages_schema_;
  Means means_;
  bool has_elsewhere_ = false;  // tables or functions in other schemas
  bool is_plain_ = false;
  bool is_exact_ = true;
  bool was_compared_ = false;  // what was restored with what was taken

  std::vector<std::pair<std::string, std::vector<std::string>>> objects_;  // oids by catalogue
  std::vector<Relation> relations_;
  std::vector<std::pair<const Relation*, std::string>> inserts_;  // the values of each table with rows
  std::vector<Page> pages_;
  std::string guard_;   // settings of the transaction, and the locks
  std::string refill_;  // inserts and sequences
  std::string empty_;   // deletes
  std::string truncate_;
  std::string believe_;  // pages and rows of new files
  TablesSeen saved_;
};

}  // namespace lockstep::postgres

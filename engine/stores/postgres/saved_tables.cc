// saved_tables.cc: taking and restoring the contents of a schema.
#include "engine/stores/postgres/saved_tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "engine/store/statement_text.h"
#include "engine/stores/postgres/connection.h"

namespace lockstep::postgres {
namespace {

constexpr std::int64_t kPageBytes = 8192;
constexpr std::int64_t kRowsBytesMost = 256LL * 1024;  // of all inserts together
constexpr std::int64_t kTableBytesMost = 1024LL * 1024;
constexpr std::size_t kNamesElsewhereMost = 2000;
/// An order of steps may use this part of a page before its table is truncated each time, and all orders since the
/// latest truncation together that part.
constexpr std::int64_t kShareOfOneOrder = 8, kShareOfAll = 2;

/// What is written and read back must be the same text.
constexpr const char* kExactTexts =
    "set local datestyle = 'iso, ymd'; set local intervalstyle = postgres; set local extra_float_digits = 3; set local "
    "xmloption = content;";

/// Everything that depends on the schema, directly or not: what `drop schema … cascade` would drop.
constexpr const char* kObjects =
    "with recursive o(c, i) as (select 'pg_catalog.pg_namespace'::regclass::oid, n.oid from pg_catalog.pg_namespace n"
    " where n.nspname = {0} union select d.classid, d.objid from pg_catalog.pg_depend d join o on d.refclassid = o.c "
    "and"
    " d.refobjid = o.i) select r.relname, o.i::text from o join pg_catalog.pg_class r on r.oid = o.c order by 1, o.i";

/// The catalogues whose rows tell of a change of the objects in them. Others are not known here.
constexpr std::array<std::string_view, 9> kKnown = {"pg_attrdef",   "pg_class", "pg_constraint",
                                                    "pg_namespace", "pg_proc",  "pg_rewrite",
                                                    "pg_trigger",   "pg_type",  "pg_statistic_ext"};

/// In catalogues without objects of their own: rows that belong to objects of another one.
struct Belonging {
  const char* catalogue;
  const char* column;
  std::string_view to;
};
constexpr std::array kBelonging = {
    Belonging{"pg_attribute", "attrelid", "pg_class"}, Belonging{"pg_index", "indexrelid", "pg_class"},
    Belonging{"pg_sequence", "seqrelid", "pg_class"}, Belonging{"pg_statistic", "starelid", "pg_class"},
    Belonging{"pg_enum", "enumtypid", "pg_type"}};

std::string array_of(const std::vector<std::string>& oids) {
  return fmt::format("'{{{}}}'::pg_catalog.oid[]", fmt::join(oids, ","));
}

std::int64_t number(const std::optional<std::string>& text) {
  std::int64_t value = 0;
  if (text) std::from_chars(text->data(), text->data() + text->size(), value);
  return value;
}

std::string said(const std::optional<std::string>& text) { return text.value_or(""); }

}  // namespace

std::unique_ptr<SavedTables> SavedTables::take(Monitor& monitor, const std::string& schema,
                                               std::span<const std::string> ddl, const std::string& pages,
                                               Means means) {
  std::unique_ptr<SavedTables> saved(new SavedTables(monitor, schema, pages, pages.empty() ? Means::files : means));
  const bool taken = saved->is_of_schema_alone(ddl) && saved->find_objects() && saved->find_relations() &&
                     saved->may_be_written() && saved->keep_rows() && saved->keep_sequences();
  if (!taken) return nullptr;
  saved->find_pages();
  return saved->prepare_look() ? std::move(saved) : nullptr;
}

SavedTables::~SavedTables() { (void)monitor_.query("deallocate ls_state"); }

/// The statements name nothing of the database that lies outside of the schema, so they have changed nothing there.
bool SavedTables::is_of_schema_alone(std::span<const std::string> ddl) {
  const auto elsewhere = monitor_.query(
      fmt::format("select lower(x.name) from (select relname, relnamespace from pg_catalog.pg_class where relkind in "
                  "('r', 'p', 'v',"
                  " 'm', 'f', 'S') union all select proname, pronamespace from pg_catalog.pg_proc) x(name, space) join"
                  " pg_catalog.pg_namespace n on n.oid = x.space where n.nspname not like 'pg\\_%' and n.nspname <>"
                  " 'information_schema' and n.nspname <> {0} and n.nspname !~ '^lockstep_' limit {1}",
                  quoted_value(schema_), kNamesElsewhereMost));
  if (!elsewhere || elsewhere->size() == kNamesElsewhereMost) return false;
  has_elsewhere_ = !elsewhere->empty();
  return std::none_of(ddl.begin(), ddl.end(), [&](const std::string& statement) {
    return std::any_of(elsewhere->begin(), elsewhere->end(),
                       [&statement](const auto& row) { return contains_text(statement, said(row[0])); });
  });
}

bool SavedTables::find_objects() {
  const auto found = monitor_.query(fmt::format(kObjects, quoted_value(schema_)));
  if (!found) return false;
  for (const auto& row : *found) {
    const std::string catalogue = said(row[0]);
    if (std::find(kKnown.begin(), kKnown.end(), catalogue) == kKnown.end()) return false;
    if (objects_.empty() || objects_.back().first != catalogue) objects_.push_back({catalogue, {}});
    objects_.back().second.push_back(said(row[1]));
  }
  is_plain_ = !has_elsewhere_ &&
              std::none_of(objects_.begin(), objects_.end(), [](const auto& each) { return each.first == "pg_proc"; });
  return true;
}

bool SavedTables::find_relations() {
  const auto oids =
      std::find_if(objects_.begin(), objects_.end(), [](const auto& each) { return each.first == "pg_class"; });
  if (oids == objects_.end()) return false;
  const auto found = monitor_.query(fmt::format(
      "select c.oid::text, c.relkind::text, pg_catalog.format('%I.%I', n.nspname, c.relname), n.nspname = {},"
      " c.relpages::text || ', ' || c.reltuples::text, coalesce(m.amname, ''), case when c.relkind in ('r', 'i', 't') "
      "then pg_catalog.pg_relation_size(c.oid) else 0"
      " end, coalesce((select option_value from pg_catalog.pg_options_to_table(c.reloptions) where option_name ="
      " 'fillfactor'), '100') from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace left"
      " join pg_catalog.pg_am m on m.oid = c.relam where c.oid = any({}) order by c.oid",
      quoted_value(schema_), array_of(oids->second)));
  if (!found) return false;
  for (const auto& row : *found) {
    Relation relation{.oid = said(row[0]),
                      .kind = said(row[1]).front(),
                      .name = said(row[2]),
                      .is_of_schema = said(row[3]) == "t",
                      .believed = said(row[4]),
                      .method = said(row[5]),
                      .bytes = number(row[6]),
                      .fillfactor = static_cast<int>(number(row[7]))};
    const bool is_toast = !relation.is_of_schema && relation.name.starts_with("pg_toast.") &&
                          (relation.kind == 't' || relation.kind == 'i');
    constexpr std::string_view kKinds = "rpiIvcS";
    if (!is_toast && (!relation.is_of_schema || kKinds.find(relation.kind) == std::string_view::npos)) return false;
    if (relation.kind == 'S') is_plain_ = false;
    relations_.push_back(std::move(relation));
  }
  std::string settings;
  for (const Relation& each : relations_) {
    if (each.kind == 'r') {
      settings +=
          fmt::format("alter table {} set (autovacuum_enabled = off, toast.autovacuum_enabled = off);", each.name);
    }
  }
  return monitor_.query(settings).ok();
}

/// The tables can be emptied and filled without a trigger or a rule having a say, which takes a superuser.
bool SavedTables::may_be_written() const {
  std::vector<std::string> tables;
  for (const Relation& each : relations_) {
    if (each.kind == 'r' || each.kind == 'p') tables.push_back(each.oid);
  }
  const auto found = monitor_.query(fmt::format(
      "select 1 where current_setting('is_superuser') = 'on' and not exists (select from pg_catalog.pg_trigger where"
      " tgrelid = any({0}) and tgenabled in ('R', 'A')) and not exists (select from pg_catalog.pg_rewrite where "
      "ev_class"
      " = any({0}))",
      array_of(tables)));
  return found && !found->empty();
}

/// The rows as the list of an INSERT, in the order in which they lie.
std::optional<std::string> SavedTables::rows_of(const Relation& table) const {
  const auto columns = monitor_.query(fmt::format(
      "select pg_catalog.quote_ident(attname) from pg_catalog.pg_attribute where attrelid = {} and attnum > 0 and not"
      " attisdropped and attgenerated = '' order by attnum",
      table.oid));
  if (!columns || columns->empty()) return std::nullopt;
  std::vector<std::string> names;
  for (const auto& row : *columns) names.push_back(said(row[0]));
  const std::string list = fmt::format("{}", fmt::join(names, ", "));
  const auto rows =
      monitor_.query(fmt::format("{} select {} from only {} order by ctid", kExactTexts, list, table.name));
  if (!rows) return std::nullopt;
  if (rows->empty()) return std::string();
  std::string text = fmt::format("insert into {} ({}) overriding system value values ", table.name, list);
  for (const auto& row : *rows) {
    text += &row == &rows->front() ? "(" : ", (";
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (i > 0) text += ", ";
      text += row[i] ? quoted_value(*row[i]) : "null";
    }
    text += ')';
  }
  return text + ";";
}

bool SavedTables::keep_rows() {
  std::vector<std::string> tables;
  std::int64_t bytes = 0;
  for (const Relation& table : relations_) {
    if (table.kind == 'p') tables.push_back(table.name);
    if (table.kind != 'r') continue;
    tables.push_back("only " + table.name);
    if (table.bytes > kTableBytesMost) return false;
    auto rows = rows_of(table);
    if (!rows) return false;
    bytes += static_cast<std::int64_t>(rows->size());
    if (bytes > kRowsBytesMost) return false;
    empty_ += fmt::format("delete from only {};", table.name);
    refill_ += *rows;
    inserts_.emplace_back(&table, std::move(*rows));
  }
  guard_ = fmt::format("{} set local session_replication_role = replica; lock table {} in access exclusive mode;",
                       kExactTexts, fmt::join(tables, ", "));
  truncate_ = fmt::format("truncate {};", fmt::join(tables, ", "));
  return true;
}

bool SavedTables::keep_sequences() {
  for (const Relation& sequence : relations_) {
    if (sequence.kind != 'S') continue;
    const auto state = monitor_.query("select last_value, is_called from " + sequence.name);
    if (!state) return false;
    refill_ += fmt::format("select pg_catalog.setval({}, {}, {});", quoted_value(sequence.name),
                           said(state->front()[0]), quoted_value(said(state->front()[1])));
  }
  return true;
}

/// The pages to be watched; where a table or an index has more than one, or the index is no tree, none: all are
/// truncated then.
void SavedTables::find_pages() {
  for (const Relation& each : relations_) {
    const bool is_index = each.kind == 'i';
    if (!is_index && each.kind != 'r') continue;
    if (!each.is_of_schema) continue;  // of a toast table: its pages count, their room does not
    if (is_index && each.method != "btree") means_ = Means::files;
    const std::int64_t most = is_index ? 2 * kPageBytes : kPageBytes;  // a tree has a page of its own data
    if (each.bytes > most) means_ = Means::files;
    if (each.bytes < most) continue;  // empty: once it is written to, its pages are more than they were
    const std::int64_t kept = std::max(kPageBytes / 10, kPageBytes * (100 - each.fillfactor) / 100);
    pages_.push_back({.relation = each.name, .block = is_index ? 1 : 0, .kept_free = is_index ? 0 : kept});
  }
  if (means_ == Means::files) pages_.clear();
}

bool SavedTables::prepare_look() {
  std::vector<std::string> storage, believed, parts, classes, oids;
  for (const Relation& each : relations_) {
    if (std::string_view("rit").find(each.kind) == std::string_view::npos) continue;
    storage.push_back(each.oid);
    believed.push_back(fmt::format("({}, {})", each.oid, each.believed));
  }
  // New files know nothing of how many pages there were, from which the planner reckons.
  believe_ = fmt::format(
      "update pg_catalog.pg_class c set relpages = b.pages, reltuples = b.tuples from (values {}) b(oid, pages, tuples)"
      " where c.oid = b.oid and (c.relpages <> b.pages or c.reltuples <> b.tuples);",
      fmt::join(believed, ", "));
  for (const auto& [catalogue, of_catalogue] : objects_) {
    parts.push_back(
        fmt::format("select xmin from pg_catalog.{} where oid = any({})", catalogue, array_of(of_catalogue)));
    for (const Belonging& rows : kBelonging) {
      if (rows.to != catalogue) continue;
      parts.push_back(fmt::format("select xmin from pg_catalog.{} where {} = any({})", rows.catalogue, rows.column,
                                  array_of(of_catalogue)));
    }
    for (const std::string& oid : of_catalogue) {
      classes.push_back(fmt::format("'pg_catalog.{}'::pg_catalog.regclass::pg_catalog.oid", catalogue));
      oids.push_back(oid);
    }
  }
  // New objects depend on known ones. OFFSET keeps the planner to one look into the index for each of those.
  parts.push_back(fmt::format(
      "select d.xmin from unnest(array[{}], {}) u(c, i) cross join lateral (select e.xmin from pg_catalog.pg_depend e"
      " where e.refclassid = u.c and e.refobjid = u.i offset 0) d",
      fmt::join(classes, ", "), array_of(oids)));
  // A row that was made or changed has a transaction later than all others; one that is gone changes the number.
  std::string text = fmt::format(
      "prepare ls_state as select (select pg_catalog.concat_ws(' ', count(*), max(x.x::text::bigint),"
      " sum(x.x::text::bigint)) from ({}) x(x)), (select pg_catalog.string_agg(pg_catalog.concat_ws(' ', relpages,"
      " reltuples, pg_catalog.pg_relation_size(oid)), ', ' order by oid) from pg_catalog.pg_class where oid = any({}))",
      fmt::join(parts, " union all "), array_of(storage));
  for (const Page& page : pages_) {
    text += fmt::format(", (select upper - lower from {0}.page_header({0}.get_raw_page({1}, {2})))", pages_schema_,
                        quoted_value(page.relation), page.block);
  }
  (void)monitor_.query("deallocate ls_state");
  if (!monitor_.query(text)) return false;
  auto now = look("");
  if (!now) return false;
  for (std::size_t i = 0; i < pages_.size(); ++i) pages_[i].first = pages_[i].latest = now->free[i];
  saved_ = std::move(*now);
  return true;
}

std::optional<SavedTables::TablesSeen> SavedTables::look(const std::string& before) const {
  const auto answer = monitor_.query(before + "execute ls_state");
  if (!answer || answer->size() != 1) return std::nullopt;
  const auto& row = answer->front();
  TablesSeen now{.catalogue = said(row[0]), .storage = said(row[1]), .free = {}};
  for (std::size_t i = 2; i < row.size(); ++i) now.free.push_back(number(row[i]));
  return now;
}

/// The next order finds pages that it does not fill up, as far as the orders until now tell.
bool SavedTables::has_room(const TablesSeen& now) {
  bool has = true;
  for (std::size_t i = 0; i < pages_.size(); ++i) {
    Page& page = pages_[i];
    const std::int64_t used = page.latest - now.free[i], room = page.first - page.kept_free;
    page.latest = now.free[i];
    // Less than nothing: the server has pruned.
    if (used < 0 || used > room / kShareOfOneOrder) means_ = Means::files;
    has = has && means_ == Means::rows && now.free[i] - page.kept_free >= room / kShareOfAll;
  }
  return has;
}

bool SavedTables::has_the_same_rows() const {
  return std::all_of(inserts_.begin(), inserts_.end(),
                     [this](const auto& each) { return rows_of(*each.first) == each.second; });
}

bool SavedTables::restore() {
  bool is_done = false;
  const auto now = look(means_ == Means::rows ? guard_ + empty_ + refill_ : std::string());
  if (!now || now->catalogue != saved_.catalogue) return false;
  if (means_ == Means::rows) is_done = has_room(*now) && now->storage == saved_.storage;
  if (!is_done) {
    auto anew = look(guard_ + truncate_ + refill_ + believe_);
    is_exact_ = anew && anew->storage == saved_.storage;
    if (!is_exact_) return false;
    for (std::size_t i = 0; i < pages_.size(); ++i) pages_[i].latest = anew->free[i];
    saved_.catalogue = anew->catalogue;
  }
  if (!std::exchange(was_compared_, true)) is_exact_ = has_the_same_rows();
  return is_exact_;
}

}  // namespace lockstep::postgres

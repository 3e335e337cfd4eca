// events.cc: the formats that list every event: CSV, JSON, Chrome's trace. Each recording is read once, event by event.
#include <fmt/format.h>

#include <cmath>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>

#include "engine/record/exploration.h"
#include "engine/record/matrix.h"
#include "engine/record/moments.h"
#include "engine/record/reader.h"
#include "engine/record/run_json.h"
#include "engine/record/state_graph.h"
#include "reports/escape.h"
#include "reports/json_object.h"
#include "reports/report.h"

namespace lockstep::reports {
namespace {

using record::EventKind;
using record::EventView;
using record::Run;
using Json = nlohmann::ordered_json;

constexpr std::size_t kPiece = 1 << 16;

/// Collects small pieces into large ones.
class Writer {
 public:
  explicit Writer(const Sink& sink) : sink_(sink) {}
  ~Writer() { flush(); }
  template <class... Values>
  void add(fmt::format_string<Values...> format, Values&&... values) {
    fmt::format_to(std::back_inserter(text_), format, std::forward<Values>(values)...);
    if (text_.size() >= kPiece) flush();
  }
  /// To be appended to; flushed by a later add(), or at the end.
  std::string& text() noexcept { return text_; }

 private:
  void flush() {
    if (!text_.empty()) sink_(text_);
    text_.clear();
  }
  const Sink& sink_;
  std::string text_;
};

/// Calls `visit` with every event of the recording's file. A damaged one is read as far as it goes, which is no
/// error here: the recording already says so.
Result<void> each_event(const OpenRecording& recording, const std::function<void(const EventView&)>& visit) {
  std::string wrong;
  Result<record::Reader> reader = record::Reader::salvage(recording.path, wrong);
  if (!reader) return reader.error();
  const auto read = reader->each_event([&visit](const EventView& event) {
    visit(event);
    return true;
  });
  return recording.wrong.empty() ? read : Result<void>();
}

std::string actor_of(const Run& run, int actor) {
  return actor == record::kNobody ? std::string() : run.actors[static_cast<std::size_t>(actor)];
}

std::string names_of(const Run& run, const std::vector<int>& actors) {
  std::string names;
  for (const int actor : actors) {
    names += (names.empty() ? "" : " ") + (actor == record::kNobody ? std::string("(outside)") : actor_of(run, actor));
  }
  return names;
}

std::optional<std::vector<record::MatrixCell>> matrix_in(const Run& run) {
  const auto document = run.documents.find(record::kMatrixDocument);
  if (document == run.documents.end()) return std::nullopt;
  auto cells = record::matrix_of(document->second);
  return cells ? std::optional(std::move(*cells)) : std::nullopt;
}

/// A matrix has no events: its cells.
void matrix_as_csv(Writer& out, const Run& run, const std::vector<record::MatrixCell>& cells) {
  out.add("matrix,scenario,pattern,store,protocol,executor,expected,verdict,how,run,summary\r\n");
  for (const record::MatrixCell& cell : cells) {
    out.add("{},{},{},{},{},{},{},{},{},{},{}\r\n", csv(run.id), csv(cell.scenario), csv(cell.pattern), csv(cell.store),
            csv(cell.protocol), csv(cell.executor), cell.expected ? name_of(*cell.expected) : "",
            cell.verdict ? name_of(*cell.verdict) : "", csv(cell.how), csv(cell.run), csv(cell.summary));
  }
}

double rounded(double ms) { return std::isfinite(ms) ? std::round(ms * 1000) / 1000 : 0; }

Json documents_of(const Run& run) {
  Json documents = Json::object();
  // Read and written anew: what stands in a recording need not be JSON.
  if (const auto cells = matrix_in(run)) documents["matrix"] = Json::parse(record::to_json(*cells));
  if (const auto graph = run.documents.find(record::kStateGraphDocument); graph != run.documents.end()) {
    if (const auto read = record::state_graph_of(graph->second)) {
      documents["state-graph"] = Json::parse(record::to_json(*read));
    }
  }
  if (const auto moments = run.documents.find(record::kMomentsDocument); moments != run.documents.end()) {
    if (const auto read = record::moments_of(moments->second))
      documents["moments"] = Json::parse(record::to_json(*read));
  }
  if (const auto found = run.documents.find(record::kExplorationDocument); found != run.documents.end()) {
    if (const auto read = record::exploration_of(found->second))
      documents["exploration"] = Json::parse(record::to_json(*read));
  }
  return documents;
}

/// All but the events; they follow, and "]}" ends it.
std::string head_of(const OpenRecording& recording) {
  const Run& run = recording.run;
  Json json = record::json_of(run);
  json["title"] = run.title;
  json["virtual_time"] = run.virtual_time;
  json["started_at"] = run.started_at;
  json["wall_ms"] = rounded(run.wall_ms);
  json["expected"] = run.expected ? Json(name_of(*run.expected)) : Json(nullptr);
  json["ending"] = name_of(run.ending);
  json["summary"] = run.summary;
  json["why"] = run.why;
  json["fix"] = run.fix;
  json["fix_command"] = run.fix_command;
  json["command"] = run.command;
  json["recording"] = recording.path;
  json["damaged"] = recording.wrong.empty() ? Json(nullptr) : Json(recording.wrong);
  for (std::size_t i = 0; i < run.invariants.size(); ++i) json["invariants"][i]["detail"] = run.invariants[i].detail;
  json["environment"] = record::environment_json(run.environment);
  json["documents"] = documents_of(run);
  json["events"] = Json::array();
  std::string text = harmless(json);
  text.resize(text.size() - std::string_view("]}").size());
  return text;
}

void event_as_json(std::string& text, const Run& run, const EventView& event) {
  JsonObject json(text);
  json.number("seq", event.seq).number("at_ns", event.at_ns);
  event.actor == record::kNobody ? json.null("actor") : json.text("actor", actor_of(run, event.actor));
  event.step == 0 ? json.null("step") : json.number("step", event.step);
  json.text("kind", name_of(event.kind));
  json.text("verb", event.verb).text("object", event.object).text("detail", event.detail);
  event.fault ? json.text("fault", name_of(*event.fault)) : json.null("fault");
  json.text("code", event.code);
  if (!event.facts->empty()) json.texts("facts", *event.facts);
  json.array("others", *event.others, [&](int other) {
    other == record::kNobody ? json.append_null() : json.append_text(actor_of(run, other));
  });
}

/// One run as a process of the trace.
class Tracer {
 public:
  Tracer(Writer& out, const Run& run, std::size_t pid, bool& first) : out_(out), run_(run), pid_(pid), first_(first) {
    name("process_name", 0, run.scenario + " " + run.id);
    for (std::size_t i = 0; i < run.actors.size(); ++i) name("thread_name", i + 1, run.actors[i]);
  }

  void event(const EventView& event) {
    if (event.kind == EventKind::cycle) instant(event, 0, "cycle of waits: " + names_of(run_, *event.others), "p");
    if (event.actor == record::kNobody) return;
    Open& open = open_[event.actor];
    const std::size_t tid = static_cast<std::size_t>(event.actor) + 1;
    switch (event.kind) {
      case EventKind::request:
        open = {event.at_ns, -1, std::string(event.verb), std::string(event.object), {}};
        break;
      case EventKind::wait:
        if (open.wait_ns < 0) open.wait_ns = event.at_ns;
        if (open.whom.empty()) open.whom = names_of(run_, *event.others);
        break;
      case EventKind::grant:
      case EventKind::fault: {
        const std::string how = event.fault ? std::string(name_of(*event.fault)) : "granted";
        slice(open, event, tid, how);
        if (event.kind == EventKind::fault) instant(event, tid, how, "t");
        open.from_ns = open.wait_ns = -1;
        break;
      }
      case EventKind::retry:
        instant(event, tid, "retry " + std::string(event.detail), "t");
        break;
      default:
        break;
    }
  }

 private:
  struct Open {
    std::int64_t from_ns = -1, wait_ns = -1;
    std::string verb, object, whom;
  };

  /// An entry begins; it ends with the object. `kind`: "X" a slice, "i" an instant, "M" a name.
  JsonObject entry(const char* kind) {
    out_.add("{}", first_ ? "\n" : ",\n");
    first_ = false;
    return JsonObject(out_.text(), "ph", kind);
  }
  void name(const char* what, std::size_t tid, const std::string& text) {
    JsonObject json = entry("M");
    json.text("name", what).number("pid", pid_).number("tid", tid);
    json.object("args").text("name", text);
  }
  static double us(std::int64_t ns) { return static_cast<double>(ns) / 1e3; }

  void slice(const Open& open, const EventView& end, std::size_t tid, const std::string& how) {
    if (open.from_ns < 0) return;
    {
      JsonObject json = entry("X");
      json.text("cat", "operation").text("name", open.object.empty() ? open.verb : open.verb + " " + open.object);
      json.number("pid", pid_).number("tid", tid);
      json.decimal("ts", us(open.from_ns)).decimal("dur", us(end.at_ns - open.from_ns));
      json.object("args").number("step", end.step).text("outcome", how).text("detail", end.detail);
    }
    if (open.wait_ns < 0) return;
    JsonObject json = entry("X");
    json.text("cat", "wait").text("name", "waits: " + open.object).number("pid", pid_).number("tid", tid);
    json.decimal("ts", us(open.wait_ns)).decimal("dur", us(end.at_ns - open.wait_ns));
    json.object("args").text("for", open.whom);
  }

  void instant(const EventView& event, std::size_t tid, const std::string& text, std::string_view scope) {
    JsonObject json = entry("i");
    json.text("name", text).number("pid", pid_).number("tid", tid).decimal("ts", us(event.at_ns)).text("s", scope);
  }

  Writer& out_;
  const Run& run_;
  const std::size_t pid_;
  bool& first_;
  std::map<int, Open> open_;
};

}  // namespace

Result<void> csv_report(const Report& report, const Sink& sink) {
  Writer out(sink);
  if (report.recordings.size() == 1) {
    if (const auto cells = matrix_in(report.recordings.front().run)) {
      matrix_as_csv(out, report.recordings.front().run, *cells);
      return {};
    }
  }
  out.add("run,scenario,seq,ms,actor,step,kind,verb,object,detail,fault,code,others\r\n");
  Result<void> result;
  for (const OpenRecording& recording : report.recordings) {
    const Run& run = recording.run;
    const std::string head = csv(run.id) + "," + csv(run.scenario);
    const auto read = each_event(recording, [&](const EventView& event) {
      out.add("{},{},{:.6f},{},{},{},{},{},{},{},{},{}\r\n", head, event.seq, static_cast<double>(event.at_ns) / 1e6,
              csv(actor_of(run, event.actor)), event.step == 0 ? "" : std::to_string(event.step), name_of(event.kind),
              csv(event.verb), csv(event.object), csv(event.detail), event.fault ? name_of(*event.fault) : "",
              csv(event.code), csv(names_of(run, *event.others)));
    });
    if (!read && result.ok()) result = read;
  }
  return result;
}

Result<void> json_report(const Report& report, const Sink& sink) {
  Writer out(sink);
  out.add("{{\"schema\":1,\"runs\":[");
  Result<void> result;
  for (std::size_t i = 0; i < report.recordings.size(); ++i) {
    const OpenRecording& recording = report.recordings[i];
    out.add("{}\n{}", i > 0 ? "," : "", head_of(recording));
    const auto read = each_event(recording, [&](const EventView& event) {
      out.add("{}\n", event.seq > 1 ? "," : "");
      event_as_json(out.text(), recording.run, event);
    });
    out.add("]}}");
    if (!read && result.ok()) result = read;
  }
  out.add("]}}\n");
  return result;
}

Result<void> trace_report(const Report& report, const Sink& sink) {
  Writer out(sink);
  out.add("{{\"displayTimeUnit\":\"ms\",\"traceEvents\":[");
  bool first = true;
  Result<void> result;
  for (std::size_t i = 0; i < report.recordings.size(); ++i) {
    Tracer tracer(out, report.recordings[i].run, i + 1, first);
    const auto read = each_event(report.recordings[i], [&](const EventView& event) { tracer.event(event); });
    if (!read && result.ok()) result = read;
  }
  out.add("\n]}}\n");
  return result;
}

}  // namespace lockstep::reports

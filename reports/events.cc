// events.cc: the formats that list every event: CSV, JSON, Chrome's trace. Each recording is read once, event by event.
#include <fmt/format.h>

#include <iterator>
#include <map>

#include "engine/record/matrix.h"
#include "engine/record/reader.h"
#include "engine/record/state_graph.h"
#include "reports/escape.h"
#include "reports/report.h"

namespace lockstep::reports {
namespace {

using record::EventKind;
using record::EventView;
using record::Run;

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

 private:
  void flush() {
    if (!text_.empty()) sink_(text_);
    text_.clear();
  }
  const Sink& sink_;
  std::string text_;
};

/// Calls `visit` with every event of a subject's recording. A damaged one is read as far as it goes, which is no error
/// here: the subject already says so.
Result<void> each_event(const Subject& subject, const std::function<void(const EventView&)>& visit) {
  std::string wrong;
  Result<record::Reader> reader = record::Reader::salvage(subject.path, wrong);
  if (!reader) return reader.error();
  const auto read = reader->each_event([&visit](const EventView& event) {
    visit(event);
    return true;
  });
  return subject.wrong.empty() ? read : Result<void>();
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

void run_as_json(Writer& out, const Subject& subject) {
  const Run& run = subject.run;
  out.add("{{\"id\":{},\"scenario\":{},\"title\":{},\"store\":{},\"store_version\":{},\"protocol\":{},\"pattern\":{},",
          json(run.id), json(run.scenario), json(run.title), json(run.store), json(run.store_version),
          json(run.protocol), json(run.pattern));
  out.add("\"executor\":{},\"schedule\":{},\"seed\":{},\"virtual_time\":{},\"started_at\":{},\"wall_ms\":{:.3f},",
          json(run.executor), json(run.schedule), run.seed, run.virtual_time, json(run.started_at), run.wall_ms);
  out.add("\"verdict\":\"{}\",\"expected\":{},\"as_expected\":{},\"ending\":\"{}\",", name_of(run.verdict),
          run.expected ? fmt::format("\"{}\"", name_of(*run.expected)) : "null", run.as_expected(),
          name_of(run.ending));
  out.add("\"summary\":{},\"why\":{},\"fix\":{},\"fix_command\":{},\"command\":{},\"recording\":{},\"damaged\":{},",
          json(run.summary), json(run.why), json(run.fix), json(run.fix_command), json(run.command), json(subject.path),
          subject.wrong.empty() ? "null" : json(subject.wrong));
  out.add("\"outcomes\":{{\"committed\":{},\"aborted\":{},\"retries\":{},\"faults\":{{", run.outcomes.committed,
          run.outcomes.aborted, run.outcomes.retries);
  const char* comma = "";
  for (const auto& [name, count] : run.outcomes.faults) {
    out.add("{}{}:{}", comma, json(name), count);
    comma = ",";
  }
  out.add("}}}},\"invariants\":[");
  comma = "";
  for (const record::Invariant& each : run.invariants) {
    out.add("{}{{\"text\":{},\"held\":{},\"detail\":{}}}", comma, json(each.text), each.held, json(each.detail));
    comma = ",";
  }
  out.add("],\"cycles\":[");
  comma = "";
  for (const auto& cycle : run.cycles) {
    out.add("{}[", comma);
    for (std::size_t i = 0; i < cycle.size(); ++i) out.add("{}{}", i > 0 ? "," : "", json(cycle[i]));
    out.add("]");
    comma = ",";
  }
  out.add("],\"victims\":[");
  for (std::size_t i = 0; i < run.victims.size(); ++i) out.add("{}{}", i > 0 ? "," : "", json(run.victims[i]));
  out.add("],\"environment\":{{");
  comma = "";
  for (const auto& [name, value] : run.environment) {
    out.add("{}{}:{}", comma, json(name), json(value));
    comma = ",";
  }
  out.add("}},\"documents\":{{");
  // Read and written anew: what stands in a recording need not be JSON.
  if (const auto cells = matrix_in(run)) out.add("\"matrix\":{}", record::to_json(*cells));
  if (const auto graph = run.documents.find(record::kStateGraphDocument); graph != run.documents.end()) {
    if (const auto read = record::state_graph_of(graph->second)) out.add("\"state-graph\":{}", record::to_json(*read));
  }
  out.add("}},\"events\":[");
}

void event_as_json(Writer& out, const Run& run, const EventView& event) {
  out.add("{}\n{{\"seq\":{},\"at_ns\":{},\"actor\":{},\"step\":{},\"kind\":\"{}\",", event.seq > 1 ? "," : "",
          event.seq, event.at_ns, event.actor == record::kNobody ? "null" : json(actor_of(run, event.actor)),
          event.step == 0 ? "null" : std::to_string(event.step), name_of(event.kind));
  out.add("\"verb\":{},\"object\":{},\"detail\":{},\"fault\":{},\"code\":{},\"others\":[", json(event.verb),
          json(event.object), json(event.detail), event.fault ? fmt::format("\"{}\"", name_of(*event.fault)) : "null",
          json(event.code));
  for (std::size_t i = 0; i < event.others->size(); ++i) {
    const int other = (*event.others)[i];
    out.add("{}{}", i > 0 ? "," : "", other == record::kNobody ? "null" : json(actor_of(run, other)));
  }
  out.add("]}}");
}

/// One run as a process of the trace.
class Tracer {
 public:
  Tracer(Writer& out, const Run& run, std::size_t pid, bool& first) : out_(out), run_(run), pid_(pid), first_(first) {
    name("process_name", 0, run.scenario + " " + run.id);
    for (std::size_t i = 0; i < run.actors.size(); ++i) name("thread_name", i + 1, run.actors[i]);
  }

  void event(const EventView& event) {
    if (event.kind == EventKind::cycle) instant(event, 0, "cycle of waits: " + names_of(run_, *event.others), 'p');
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
        if (event.kind == EventKind::fault) instant(event, tid, how, 't');
        open.from_ns = open.wait_ns = -1;
        break;
      }
      case EventKind::retry:
        instant(event, tid, "retry " + std::string(event.detail), 't');
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

  void comma() {
    out_.add("{}", first_ ? "\n" : ",\n");
    first_ = false;
  }
  void name(const char* what, std::size_t tid, const std::string& text) {
    comma();
    out_.add("{{\"ph\":\"M\",\"name\":\"{}\",\"pid\":{},\"tid\":{},\"args\":{{\"name\":{}}}}}", what, pid_, tid,
             json(text));
  }
  static double us(std::int64_t ns) { return static_cast<double>(ns) / 1e3; }

  void slice(const Open& open, const EventView& end, std::size_t tid, const std::string& how) {
    if (open.from_ns < 0) return;
    const std::string what = open.object.empty() ? open.verb : open.verb + " " + open.object;
    comma();
    out_.add(
        "{{\"ph\":\"X\",\"cat\":\"operation\",\"name\":{},\"pid\":{},\"tid\":{},\"ts\":{:.3f},\"dur\":{:.3f},\"args\":{"
        "{\"step\":{},"
        "\"outcome\":{},\"detail\":{}}}}}",
        json(what), pid_, tid, us(open.from_ns), us(end.at_ns - open.from_ns), end.step, json(how), json(end.detail));
    if (open.wait_ns < 0) return;
    comma();
    out_.add(
        "{{\"ph\":\"X\",\"cat\":\"wait\",\"name\":{},\"pid\":{},\"tid\":{},\"ts\":{:.3f},\"dur\":{:.3f},\"args\":{{"
        "\"for\":{}}}}}",
        json("waits: " + open.object), pid_, tid, us(open.wait_ns), us(end.at_ns - open.wait_ns), json(open.whom));
  }

  void instant(const EventView& event, std::size_t tid, const std::string& text, char scope) {
    comma();
    out_.add("{{\"ph\":\"i\",\"name\":{},\"pid\":{},\"tid\":{},\"ts\":{:.3f},\"s\":\"{}\"}}", json(text), pid_, tid,
             us(event.at_ns), scope);
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
  if (report.subjects.size() == 1) {
    if (const auto cells = matrix_in(report.subjects.front().run)) {
      matrix_as_csv(out, report.subjects.front().run, *cells);
      return {};
    }
  }
  out.add("run,scenario,seq,ms,actor,step,kind,verb,object,detail,fault,code,others\r\n");
  Result<void> result;
  for (const Subject& subject : report.subjects) {
    const Run& run = subject.run;
    const std::string head = csv(run.id) + "," + csv(run.scenario);
    const auto read = each_event(subject, [&](const EventView& event) {
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
  for (std::size_t i = 0; i < report.subjects.size(); ++i) {
    const Subject& subject = report.subjects[i];
    out.add("{}\n", i > 0 ? "," : "");
    run_as_json(out, subject);
    const auto read = each_event(subject, [&](const EventView& event) { event_as_json(out, subject.run, event); });
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
  for (std::size_t i = 0; i < report.subjects.size(); ++i) {
    Tracer tracer(out, report.subjects[i].run, i + 1, first);
    const auto read = each_event(report.subjects[i], [&](const EventView& event) { tracer.event(event); });
    if (!read && result.ok()) result = read;
  }
  out.add("\n]}}\n");
  return result;
}

}  // namespace lockstep::reports

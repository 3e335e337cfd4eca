// kv.cc: `lockstep kv`: looks into the data folder of a kv store, also when it is damaged or in use.
#include <fmt/format.h>

#include "cli/args/exit_code.h"
#include "cli/commands/commands.h"
#include "cli/commands/program.h"
#include "cli/text/kv_text.h"
#include "cli/text/ticker.h"
#include "kv/log/inspect.h"
#include "kv/log/recovery.h"

namespace lockstep::cli {
namespace {

/// A folder as it was typed, without the slashes at its end.
std::string folder_of(const Program& program) {
  std::string folder = program.arguments.value("DIR");
  while (folder.size() > 1 && folder.ends_with('/')) folder.pop_back();
  return folder;
}

int verify(Program& program) {
  Ticker ticker(!program.quiet, "kv verify " + folder_of(program));
  const Result<kv::FolderReport> report = kv::inspect(kv::posix_files(), folder_of(program));
  ticker.end();
  if (!report) return fail_with(report.error());
  program.out.write(program.json ? kv_verify_json(*report) : kv_verify_text(*report, program.terminal, program.quiet));
  return report->first_problem() == nullptr ? kAsExpected : kNotAsExpected;
}

/// What was shown ends before the damage.
int damage_or_success(const std::optional<Error>& damage) {
  if (!damage) return kAsExpected;
  (void)fail_with(*damage);
  return kNotAsExpected;
}

int dump_rows(Program& program) {
  Ticker ticker(!program.quiet, "kv dump " + folder_of(program));
  const Result<kv::Contents> contents = kv::read_contents(kv::posix_files(), folder_of(program));
  ticker.end();
  if (!contents) return fail_with(contents.error());
  program.out.write(program.json ? kv_rows_json(*contents)
                                 : kv_rows_text(*contents, program.terminal, program.arguments.has("full")));
  return damage_or_success(contents->damage);
}

int dump_log(Program& program) {
  std::vector<LoggedTransaction> transactions;
  const bool full = program.arguments.has("full");
  const Result<std::optional<Error>> damage =
      kv::read_log(kv::posix_files(), folder_of(program), [&](const std::string& path, const kv::LogRecord& record) {
        LoggedTransaction transaction{.file = path.substr(path.rfind('/') + 1),
                                      .offset = record.offset,
                                      .position = record.position,
                                      .writes = {}};
        const Result<void> done = kv::for_each_write(record, path, [&](const kv::LoggedWrite& write) {
          transaction.writes.emplace_back(std::string(write.key), write.value);
          return Result<void>();
        });
        if (!done) return done;
        if (program.json) {
          transactions.push_back(std::move(transaction));
        } else {
          program.out.write(kv_transaction_text(transaction, program.terminal, full));
        }
        return Result<void>();
      });
  if (!damage) return fail_with(damage.error());
  if (program.json) program.out.write(kv_log_json(transactions, *damage));
  return damage_or_success(*damage);
}

int kv_folder(Program& program) {
  if (program.arguments.value("ACTION") == "verify") {
    for (const char* option : {"log", "full"})
      if (program.arguments.has(option)) return usage_error(fmt::format("--{} goes with `lockstep kv dump`", option));
    return verify(program);
  }
  return program.arguments.has("log") ? dump_log(program) : dump_rows(program);
}

}  // namespace

CommandSpec kv_command() {
  return {
      .name = "kv",
      .summary = "look into the data folder of a kv store: check it, or print what is in it",
      .description =
          "Reads only, takes no lock, and works on a store that is damaged or in use by a running program (its log may "
          "then end in a commit that is just being written).\n\n"
          "verify reads every file with its checksums and says what is in it, whether something is damaged or missing "
          "and where: file and offset. dump prints every row as opening the store would give it, or with --log every "
          "transaction of the log that no checkpoint has taken in yet; it goes up to the first damage, and names that "
          "at the end. Bytes that are no text are shown as \\x1b.",
      .arguments = {{"ACTION", "verify or dump", true, Names::choices, {"verify", "dump"}},
                    {"DIR", "the data folder", true, Names::folder}},
      .options = {{"log", "", "dump: the transactions of the log, instead of the rows"},
                  {"full", "", "dump: every value whole"},
                  {"json", "", "as JSON; what is no text as hexadecimal digits, \"key_hex\" and \"value_hex\""}},
      .examples = {{"kv verify /var/lib/bank", "Is everything there and as it was written? 1 if not."},
                   {"kv dump /var/lib/bank --log", "What each transaction has written, in the order of the commits."}},
      .run = kv_folder,
  };
}

}  // namespace lockstep::cli

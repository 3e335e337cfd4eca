// recovery_fuzz.cc: a data folder made of any bytes: recovery and the look from the outside answer with rows or with a
// fault that names the folder; they never crash, never run out of memory, and do not disagree.
//
//   CXX=clang++-19 cmake --preset fuzz && cmake --build --preset fuzz --target recovery_fuzz
//   build/fuzz/tests/recovery_fuzz -max_total_time=60 -max_len=4096
//
// The first byte says what the rest is: bits 0-1 which file it takes the place of (the log, the checkpoint, SETTLED,
// STORE), bit 2 whether checksums are put right again, so that what lies behind them is reached too.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "kv/log/checkpoint.h"
#include "kv/log/inspect.h"
#include "kv/log/recovery.h"
#include "tests/kv/log/faulty_files.h"

namespace {

using namespace lockstep;
using namespace lockstep::kv;
using lockstep::kv::testing::FaultyFiles;

constexpr std::uint64_t kStore = 1;
const std::string kFolder = "/data";

class Rows final : public Restorer {
 public:
  Result<void> put(KeyView key, std::string_view value) override {
    rows[std::string(key)] = value;
    return {};
  }
  Result<void> erase(KeyView key) override {
    rows.erase(std::string(key));
    return {};
  }
  std::map<std::string, std::string> rows;
};

void check(bool holds, const char* what, const std::string& values) {
  if (holds) return;
  std::fprintf(stderr, "%s: %s\n", what, values.c_str());
  std::abort();
}

/// The records of a segment as the bytes say, with lengths that fit and checksums that are right.
std::string segment_of(std::string_view bytes, bool sign) {
  if (!sign) return std::string(bytes);
  std::string segment = segment_header(kStore, 3);
  Position position = 3;
  while (!bytes.empty()) {
    const std::size_t size = std::min<std::size_t>(bytes.size() - 1, static_cast<std::uint8_t>(bytes[0]));
    std::string record;
    add_record(record, position++, bytes.substr(1, size));
    seal_records(record, kStore, position - 2);
    segment += record;
    bytes.remove_prefix(1 + size);
  }
  return segment;
}

std::string checkpoint_of(FaultyFiles& files, std::string_view bytes, bool sign) {
  if (!sign) return std::string(bytes);
  auto writer = CheckpointWriter::create(files, kFolder, kStore, 2).value();
  while (bytes.size() >= 2) {
    const std::size_t size = std::min<std::size_t>(bytes.size() - 1, 1 + static_cast<std::uint8_t>(bytes[0]) % 16);
    (void)writer.add(bytes.substr(1, size), bytes.substr(0, 1));
    bytes.remove_prefix(1 + size);
  }
  (void)writer.finish();
  return files.contents(checkpoint_path(kFolder, 2));
}

/// A store whose checkpoint holds positions 1 and 2, and whose log goes on at 3.
void make_store(FaultyFiles& files) {
  (void)files.make_folder(kFolder);
  (void)write_identity(files, kFolder, kStore);
  (void)write_settled(files, kFolder, kStore, 3);
  files.put(checkpoint_path(kFolder, 2), checkpoint_of(files, std::string_view("\0a\0b\0c", 6), true));
  WriteSet writes;
  writes.put("a", "1");
  writes.erase("b");
  std::string log;
  add_record(log, 3, writes.bytes());
  add_record(log, 4, writes.bytes());
  seal_records(log, kStore, 3);
  files.put(segment_path(kFolder, 3), segment_header(kStore, 3) + log);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const unsigned how = data[0];
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  FaultyFiles files;
  make_store(files);
  const bool sign = (how & 4) != 0;
  switch (how & 3) {
    case 0:
      files.put(segment_path(kFolder, 3), segment_of(bytes, sign));
      break;
    case 1: {
      const std::string checkpoint = checkpoint_of(files, bytes, sign);
      files.put(checkpoint_path(kFolder, 2), checkpoint);
      break;
    }
    case 2:
      files.put(join_path(kFolder, "SETTLED"), std::string(bytes));
      break;
    default:
      files.put(join_path(kFolder, "STORE"), std::string(bytes));
  }
  const Result<FolderReport> report = inspect(files, kFolder);
  const Result<Contents> contents = read_contents(files, kFolder);
  Rows rows;
  const Result<OpenFolder> open = recover(files, kFolder, rows);
  if (!open.ok())
    check(open.error().message.find(kFolder) != std::string::npos, "a fault without a place", open.error().message);
  check(open.ok() == (report.ok() && !report->first_problem()), "verify and recovery disagree",
        open.ok() ? "recovery succeeds" : open.error().message);
  if (!open.ok()) return 0;
  check(contents.ok() && !contents->damage && contents->rows == rows.rows, "dump and recovery disagree", "");
  Rows again;
  {
    const auto after = files.crash(kv::testing::Loss::all, 1);
    check(recover(*after, kFolder, again).ok() && again.rows == rows.rows, "a second recovery disagrees", "");
  }
  return 0;
}

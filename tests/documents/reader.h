// reader.h: the working folder and the shell of a reader that tries the command lines of a document.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <regex>
#include <string>

#include "kv/sync_facade.h"
#include "tests/documents/markdown.h"

namespace lockstep::documents {

struct Ended {
  int code = -1;
  std::string printed;  ///< both streams
};

/// A reader's working folder: the program in it and in the PATH, two saved runs, a comparison, a matrix, a data folder
/// of the kv store, and a history that shows a write skew.
class Reader {
 public:
  Reader() {
    std::string name = (fs::temp_directory_path() / "lockstep-documents-XXXXXX").string();
    folder_ = ::mkdtemp(name.data()) == nullptr ? fs::path() : fs::path(name);
    fs::create_directory(folder_ / "bin");
    fs::create_symlink(LOCKSTEP_PROGRAM, folder_ / "bin" / "lockstep");
    settings_ =
        "cd '" + folder_.string() + "' || exit\nPATH='" + (folder_ / "bin").string() +
        "':$PATH\nHOME=.\nLANG=C.UTF-8\nexport PATH HOME LANG\nunset LOCKSTEP_RUNS LOCKSTEP_DSN LC_ALL NO_COLOR\n";
    fs::create_directories(folder_ / ".local/share/bash-completion/completions");
    set("COMPARISON",
        saved_run("lockstep compare money/hot-counter --strategy plain --for 30ms --warmup 5ms --rounds 1"));
    set("MATRIX", saved_run("lockstep matrix isolation/write-skew --store kv --scenario isolation/write-skew"));
    set("RUN", saved_run("lockstep run threads/two-lock"));
    set("CASES", LOCKSTEP_CASES);
    set("TESTS", fs::read_symlink("/proc/self/exe").string());  // a program of tests, too
    set("OTHER_RUN", saved_run("lockstep run threads/two-lock --pattern ordered"));
    set("DATA", (folder_ / "data").string());
    fill_data_folder();
    std::ofstream(folder_ / "history.edn")
        << "{:process 0 :type :invoke :f :txn :value [[:r x nil] [:r y nil] [:append x 1]]}\n"
           "{:process 1 :type :invoke :f :txn :value [[:r x nil] [:r y nil] [:append y 1]]}\n"
           "{:process 0 :type :ok :f :txn :value [[:r x []] [:r y []] [:append x 1]]}\n"
           "{:process 1 :type :ok :f :txn :value [[:r x []] [:r y []] [:append y 1]]}\n"
           "{:process 2 :type :ok :f :txn :value [[:r x [1]] [:r y [1]]]}\n";
    const fs::path logs = fs::path(LOCKSTEP_SOURCE_DIR) / "tests/engine/stores/postgres/logs";
    fs::copy_file(logs / "deadlocks.json", folder_ / "postgresql.json");
    fs::copy_file(logs / "deadlock.log", folder_ / "postgresql.log");
    fs::copy_file(fs::path(LOCKSTEP_SOURCE_DIR) / "tests/engine/stores/mariadb/logs/deadlocks.log",
                  folder_ / "error.log");
    const fs::path files = fs::path(LOCKSTEP_SOURCE_DIR) / "scenarios/files";
    fs::copy_file(files / "last_cup.spec", folder_ / "my-case.spec");
    fs::create_directories(folder_ / "scenarios");
    fs::copy(files, folder_ / "scenarios/files");
    fs::create_directories(folder_ / "specs");
    fs::copy_file(files / "portable_two_lock.spec", folder_ / "specs/portable_two_lock.spec");
    fs::create_directories(folder_ / "store/latest");
    fs::copy_file(folder_ / "history.edn", folder_ / "store/latest/history.edn");
    std::ofstream(folder_ / "etcd.json") << R"([{"process":0,"type":"invoke","f":"write","value":1},
{"process":0,"type":"ok","f":"write","value":1}])";
  }
  ~Reader() {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  /// A variable of the shell for every later line.
  void set(const std::string& name, const std::string& value) {
    settings_ += name + "='" + std::regex_replace(value, std::regex("'"), R"('\'')") + "'\n";
  }
  void use_server(const std::string& dsn) {
    set("SERVER", dsn);
    settings_ += "LOCKSTEP_DSN=$SERVER\nexport LOCKSTEP_DSN\n";
  }

  Ended types(const std::string& line) const {
    const std::string script = (folder_ / "line.sh").string(), printed = (folder_ / "printed").string();
    std::ofstream(script) << settings_ << line << "\n";
    const int status =
        std::system(("timeout --kill-after=5 100 sh '" + script + "' >'" + printed + "' 2>&1 </dev/null").c_str());
    std::ifstream file(printed, std::ios::binary);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, {std::istreambuf_iterator<char>(file), {}}};
  }

 private:
  std::string saved_run(const std::string& line) const {
    const Ended ended = types(line);
    std::smatch id;
    EXPECT_TRUE(std::regex_search(ended.printed, id, std::regex("lockstep(?:-runs/| report )([0-9a-f]+)")))
        << ended.printed;
    return id.str(1);
  }
  void fill_data_folder() const {
    const auto store = kv::Store::open({.protocol = "occ", .path = (folder_ / "data").string()}).value();
    kv::SyncTransaction txn(store->begin());
    ASSERT_TRUE(txn.write("alice", "100").ok());
    ASSERT_TRUE(txn.commit().ok());
  }

  fs::path folder_;
  std::string settings_;
};

}  // namespace lockstep::documents

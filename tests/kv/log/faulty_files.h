// faulty_files.h: a disk in memory that keeps apart what is synced and what is not, and fails or loses power on demand.
//
// As strict as POSIX allows: bytes are safe after sync() of their file, names after sync_folder(); a crash keeps any
// part of the rest, in any order, with blocks lost, zeroed, garbled or torn. After a failed sync() what it should have
// synced stays readable and never gets to the disk, whatever a later sync says.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "kv/base/mutex.h"
#include "kv/log/file_system.h"

namespace lockstep::kv::testing {

/// Of the data, in the tests.
inline const std::string kFolder = "/data";

/// What a crash does to what is not synced.
enum class Loss { all, nothing, tail, blocks, garbage };
inline constexpr Loss kLosses[] = {Loss::all, Loss::nothing, Loss::tail, Loss::blocks, Loss::garbage};

/// Thread-safe.
class FaultyFiles final : public FileSystem {
 public:
  static constexpr std::size_t kBlock = 512;

  // Constant while threads use it.
  /// Called after each step (a call that changes something), with the mutex of the disk held: only image() may be
  /// called.
  std::function<void(std::size_t step)> after_step;
  std::size_t fail_step = ~std::size_t{0};  ///< this step fails with io; an append has then written a part
  std::size_t capacity = ~std::size_t{0};   ///< bytes of all files together
  unsigned seed = 1;                        ///< for parts of appends

  /// Every step on a path with `part` in it fails from now on; empty: no more.
  void fail_paths_with(std::string part) {
    MutexLock lock(mutex_);
    failing_part_ = std::move(part);
  }

  /// Every sync() of a file waits from now on until this is called with false.
  void hold_syncs(bool hold) {
    MutexLock lock(mutex_);
    holding_ = hold;
    released_.notify_all();
  }

  std::size_t steps() const {
    MutexLock lock(mutex_);
    return steps_;
  }
  std::size_t size() const {
    MutexLock lock(mutex_);
    return used();
  }

  /// The disk after a power failure at this moment.
  std::unique_ptr<FaultyFiles> crash(Loss loss, unsigned crash_seed) const {
    MutexLock lock(mutex_);
    return image(loss, crash_seed);
  }

  /// The same, inside after_step.
  std::unique_ptr<FaultyFiles> image(Loss loss, unsigned crash_seed) const LOCKSTEP_NO_ANALYSIS {
    std::mt19937 random(crash_seed);
    Names names = synced_names_;
    std::size_t kept = pending_.size();
    if (loss == Loss::all) kept = 0;
    if (loss == Loss::tail) kept = random() % (pending_.size() + 1);
    for (std::size_t i = 0; i < kept; ++i) {
      if ((loss == Loss::blocks || loss == Loss::garbage) && random() % 2 == 0) continue;
      pending_[i].apply(names);
    }
    auto after = std::make_unique<FaultyFiles>();
    for (const auto& [path, inode] : names) {
      auto copy = std::make_shared<Inode>();
      copy->content = survived(*inode, loss, random);
      copy->synced = copy->content.size();
      after->names_[path] = copy;
    }
    after->synced_names_ = after->names_;
    after->folders_ = folders_;
    return after;
  }

  /// The disk and its cache as they are, for a process that comes after this one was killed; inside after_step. What is
  /// not synced is there, and a power failure may still take it away.
  std::unique_ptr<FaultyFiles> killed() const LOCKSTEP_NO_ANALYSIS {
    std::map<const Inode*, std::shared_ptr<Inode>> copies{{nullptr, nullptr}};
    const auto copy_of = [&copies](const std::shared_ptr<Inode>& inode) {
      std::shared_ptr<Inode>& copy = copies[inode.get()];
      if (!copy && inode) copy = std::make_shared<Inode>(*inode);
      return copy;
    };
    auto next = std::make_unique<FaultyFiles>();
    for (const auto& [path, inode] : names_) next->names_[path] = copy_of(inode);
    for (const auto& [path, inode] : synced_names_) next->synced_names_[path] = copy_of(inode);
    for (const Change& change : pending_) next->pending_.push_back({change.to, change.from, copy_of(change.inode)});
    next->folders_ = folders_;
    return next;
  }

  /// For damage done on purpose; as if it had always been so.
  std::string contents(const std::string& path) const {
    MutexLock lock(mutex_);
    const auto found = names_.find(path);
    return found == names_.end() ? "" : found->second->content;
  }
  void put(const std::string& path, std::string bytes) {
    MutexLock lock(mutex_);
    auto inode = std::make_shared<Inode>();
    inode->synced = bytes.size();
    inode->content = std::move(bytes);
    names_[path] = synced_names_[path] = inode;
    folders_.insert(path.substr(0, path.rfind('/')));
  }
  void drop(const std::string& path) {
    MutexLock lock(mutex_);
    names_.erase(path);
    synced_names_.erase(path);
  }
  std::vector<std::string> paths() const {
    MutexLock lock(mutex_);
    std::vector<std::string> all;
    for (const auto& [path, inode] : names_) all.push_back(path);
    return all;
  }

  // FileSystem.
  Result<std::unique_ptr<File>> create(const std::string& path) override {
    MutexLock lock(mutex_);
    if (names_.contains(path)) return Error{Fault::invalid, "EEXIST", "cannot create " + path + ": it exists"};
    auto inode = std::make_shared<Inode>();
    if (Result<void> done = change({path, {}, inode}, "create " + path); !done.ok()) return done.error();
    return std::unique_ptr<File>(new Handle(*this, inode, path));
  }
  Result<std::unique_ptr<File>> open(const std::string& path) override {
    MutexLock lock(mutex_);
    const auto found = names_.find(path);
    if (found == names_.end())
      return Error{Fault::invalid, "ENOENT", "cannot open " + path + ": No such file or directory"};
    return std::unique_ptr<File>(new Handle(*this, found->second, path));
  }
  Result<void> rename(const std::string& from, const std::string& to) override {
    MutexLock lock(mutex_);
    const auto found = names_.find(from);
    if (found == names_.end()) return Error{Fault::invalid, "ENOENT", "cannot rename " + from};
    return change({to, from, found->second}, "rename " + from);
  }
  Result<void> remove(const std::string& path) override {
    MutexLock lock(mutex_);
    if (!names_.contains(path)) return Error{Fault::invalid, "ENOENT", "cannot remove " + path};
    return change({{}, path, nullptr}, "remove " + path);
  }
  Result<void> make_folder(const std::string& path) override {
    MutexLock lock(mutex_);
    if (names_.contains(path)) return {};
    folders_.insert(path);
    return {};
  }
  Result<std::vector<std::string>> list(const std::string& folder) override {
    MutexLock lock(mutex_);
    if (names_.contains(folder))
      return Error{Fault::invalid, "ENOTDIR", "cannot list the folder " + folder + ": Not a directory"};
    if (!folders_.contains(folder))
      return Error{Fault::invalid, "ENOENT", "cannot list the folder " + folder + ": No such file or directory"};
    std::vector<std::string> all;
    for (const auto& [path, inode] : names_)
      if (path.starts_with(folder + "/")) all.push_back(path.substr(folder.size() + 1));
    return all;
  }
  Result<void> sync_folder(const std::string& folder) override {
    MutexLock lock(mutex_);
    if (is_failing(folder)) return failure("sync the folder " + folder);
    pending_.clear();
    synced_names_ = names_;
    step();
    return {};
  }
  Result<std::unique_ptr<FolderLock>> lock(const std::string& path) override {
    MutexLock lock(mutex_);
    if (!locks_.insert(path).second) return Error{Fault::unavailable, "EWOULDBLOCK", path + " is locked by process 1"};
    return std::unique_ptr<FolderLock>(new Lock(*this, path));
  }

 private:
  struct Inode {
    std::string content;
    std::size_t synced = 0;                                     // everything before it is safe, but for:
    std::vector<std::pair<std::size_t, std::size_t>> doubtful;  // what a failed sync left
  };
  using Names = std::map<std::string, std::shared_ptr<Inode>>;

  /// A change of names: `from` goes, `to` is now `inode`.
  struct Change {
    std::string to, from;
    std::shared_ptr<Inode> inode;
    void apply(Names& names) const {
      if (!from.empty()) names.erase(from);
      if (!to.empty()) names[to] = inode;
    }
  };

  class Handle final : public File {
   public:
    Handle(FaultyFiles& disk, std::shared_ptr<Inode> inode, std::string path)
        : disk_(disk), inode_(std::move(inode)), path_(std::move(path)) {}
    Result<void> append(std::string_view bytes) override { return disk_.append(*inode_, path_, bytes); }
    Result<void> sync() override { return disk_.sync(*inode_, path_); }
    Result<std::size_t> read(std::uint64_t offset, char* into, std::size_t size) override {
      MutexLock lock(disk_.mutex_);
      const std::string& content = inode_->content;
      const std::size_t begin = std::min<std::size_t>(offset, content.size());
      return content.copy(into, size, begin);
    }

   private:
    FaultyFiles& disk_;
    const std::shared_ptr<Inode> inode_;
    const std::string path_;
  };

  class Lock final : public FolderLock {
   public:
    Lock(FaultyFiles& disk, std::string path) : disk_(disk), path_(std::move(path)) {}
    ~Lock() override {
      MutexLock lock(disk_.mutex_);
      disk_.locks_.erase(path_);
    }

   private:
    FaultyFiles& disk_;
    const std::string path_;
  };

  static std::string survived(const Inode& inode, Loss loss, std::mt19937& random) {
    std::string bytes = inode.content;
    if (loss == Loss::nothing) {
      // What a failed sync left is still gone.
    } else if (loss == Loss::all) {
      bytes.resize(inode.synced);
    } else {
      bytes.resize(inode.synced + random() % (bytes.size() - inode.synced + 1));
    }
    const auto spoil = [&](std::size_t begin, std::size_t end) {
      end = std::min(end, bytes.size());
      for (std::size_t at = begin; at < end;) {
        const std::size_t block_end = std::min(end, (at / kBlock + 1) * kBlock);
        const std::size_t from = random() % 4 == 0 ? at + random() % (block_end - at) : at;  // torn within the block
        if (random() % 2 == 0)
          for (std::size_t i = from; i < block_end; ++i)
            bytes[i] = loss == Loss::garbage ? static_cast<char>(random()) : '\0';
        at = block_end;
      }
    };
    if (loss == Loss::blocks || loss == Loss::garbage) spoil(inode.synced, bytes.size());
    for (const auto& [begin, end] : inode.doubtful) {
      if (loss == Loss::nothing || loss == Loss::all) {
        for (std::size_t i = begin; i < std::min(end, bytes.size()); ++i) bytes[i] = '\0';
      } else {
        spoil(begin, end);
      }
    }
    return bytes;
  }

  std::size_t used() const LOCKSTEP_REQUIRES(mutex_) {
    std::size_t bytes = 0;
    for (const auto& [path, inode] : names_) bytes += inode->content.size();
    return bytes;
  }
  bool is_failing(const std::string& what) const LOCKSTEP_REQUIRES(mutex_) {
    return steps_ == fail_step || (!failing_part_.empty() && what.find(failing_part_) != std::string::npos);
  }
  Error failure(const std::string& what) LOCKSTEP_REQUIRES(mutex_) {
    step();
    return Error{Fault::io, "EIO", "cannot " + what + ": Input/output error"};
  }
  void step() LOCKSTEP_REQUIRES(mutex_) {
    ++steps_;
    if (after_step) after_step(steps_);
  }

  Result<void> change(Change change, const std::string& what) LOCKSTEP_REQUIRES(mutex_) {
    if (is_failing(what)) return failure(what);
    change.apply(names_);
    pending_.push_back(std::move(change));
    step();
    return {};
  }

  Result<void> append(Inode& inode, const std::string& path, std::string_view bytes) {
    MutexLock lock(mutex_);
    if (is_failing(path)) {
      std::mt19937 random(seed + static_cast<unsigned>(steps_));
      inode.content.append(bytes.substr(0, random() % (bytes.size() + 1)));
      return failure("write to " + path);
    }
    const std::size_t room = capacity - std::min(capacity, used());
    inode.content.append(bytes.substr(0, room));
    step();
    if (room < bytes.size())
      return Error{Fault::disk_full, "ENOSPC", "cannot write to " + path + ": No space left on device"};
    return {};
  }

  Result<void> sync(Inode& inode, const std::string& path) {
    MutexLock lock(mutex_);
    while (holding_) released_.wait(mutex_);
    const std::size_t begin = std::exchange(inode.synced, inode.content.size());
    if (is_failing(path)) {
      inode.doubtful.emplace_back(begin, inode.synced);
      return failure("sync " + path);
    }
    step();
    return {};
  }

  mutable Mutex mutex_;
  Names names_ LOCKSTEP_GUARDED_BY(mutex_);
  Names synced_names_ LOCKSTEP_GUARDED_BY(mutex_);
  std::vector<Change> pending_ LOCKSTEP_GUARDED_BY(mutex_);
  std::set<std::string> folders_ LOCKSTEP_GUARDED_BY(mutex_);
  std::set<std::string> locks_ LOCKSTEP_GUARDED_BY(mutex_);
  std::size_t steps_ LOCKSTEP_GUARDED_BY(mutex_) = 0;
  std::string failing_part_ LOCKSTEP_GUARDED_BY(mutex_);
  bool holding_ LOCKSTEP_GUARDED_BY(mutex_) = false;
  CondVar released_;
};

}  // namespace lockstep::kv::testing

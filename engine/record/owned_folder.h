// owned_folder.h: a private folder that exists only while its process lives, even when that process is killed.
//
// The owner holds an flock on the folder itself. The kernel gives it back when the owner dies, however it dies, so a
// folder with a free lock is a leftover. No process ids can be reused, and it is right across containers that share a
// disk.
#pragma once

#include <string>

#include "kv/base/result.h"

namespace lockstep {

/// Owns one folder; removes it, with all that is in it, at the end of its life. Movable. Not thread-safe.
class OwnedFolder {
 public:
  /// Makes PARENT/PREFIX + random letters with `mode`, less the umask. Fault::permission, disk_full or io.
  static Result<OwnedFolder> make(const std::string& parent, const std::string& prefix, unsigned mode = 0700);

  /// Removes the folders PARENT/PREFIX… of this user that have lost their owners. Gives how many. Cannot fail: what
  /// cannot be removed stays.
  static int remove_stale(const std::string& parent, const std::string& prefix) noexcept;

  OwnedFolder(OwnedFolder&& other) noexcept;
  OwnedFolder& operator=(OwnedFolder&&) = delete;
  ~OwnedFolder();

  const std::string& path() const noexcept { return path_; }

  /// The folder has got another name and is to stay.
  void disown() noexcept;

 private:
  OwnedFolder(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  std::string path_;
  int fd_ = -1;  ///< of the folder; holds the lock
};

/// Makes the folder and its missing parents. Fault::permission, disk_full or io, with the path.
Result<void> make_folders(const std::string& path);

/// The fault that an errno of a file operation means.
Fault fault_of_errno(int error) noexcept;

/// "`doing` PATH: the system's words for `error`", with its fault.
Error file_error(std::string_view doing, const std::string& path, int error);

/// $TMPDIR, or /tmp.
std::string temporary_folder();

}  // namespace lockstep

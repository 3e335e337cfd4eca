// Moves 10 from one account to the other, whoever else is at it.
#include <array>
#include <cstdio>
#include <string>

#include "kv/sync_facade.h"

namespace kv = lockstep::kv;

lockstep::Result<void> transfer(kv::SyncTransaction& txn, const char* from, const char* to, int amount) {
  txn.prefetch(std::array<kv::KeyView, 2>{from, to});  // a hint: both are fetched from memory at once
  std::string balance;
  for (const auto& [account, by] : {std::pair(from, -amount), std::pair(to, +amount)}) {
    lockstep::Result<bool> found = txn.read_for_update(account, balance);  // parks this thread while it has to wait
    if (!found.ok()) return found.error();
    lockstep::Result<void> written = txn.write(account, std::to_string(std::stoi(balance) + by));
    if (!written.ok()) return written;
  }
  return txn.commit();
}

int main() {
  auto opened = kv::Store::open({.protocol = "2pl-detect"});  // or occ, snapshot …; .path = "folder" keeps the data
  if (!opened.ok()) return std::fprintf(stderr, "%s\n", opened.error().message.c_str()), 1;
  kv::Store& store = **opened;

  kv::SyncTransaction setup(store.begin());
  if (!setup.write("alice", "100").ok() || !setup.write("bob", "100").ok() || !setup.commit().ok()) return 1;

  while (true) {
    kv::SyncTransaction txn(store.begin({.label = "T1"}));
    lockstep::Result<void> done = transfer(txn, "alice", "bob", 10);
    if (done.ok()) break;
    std::fprintf(stderr, "%s\n", done.error().message.c_str());  // what, on which key, with whom
    if (!lockstep::is_retry_safe(done.fault())) return 1;        // a deadlock, say, is: the store has rolled back
  }

  std::vector<kv::Row> rows;
  kv::SyncTransaction audit(store.begin());
  if (!audit.scan("", "", 100, rows).ok()) return 1;
  for (const kv::Row& row : rows) std::printf("%s %s\n", row.key.c_str(), row.value.c_str());
}

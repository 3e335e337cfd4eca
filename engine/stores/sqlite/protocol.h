// protocol.h: the protocols of SQLite: how a transaction begins × how the file is journalled.
//
//   what blocks what    rollback journal                                   WAL
//   read                SHARED; waits while another commits                a snapshot; never waits
//   first write         RESERVED; waits for another writer                 the write lock; waits for another writer
//   write after read    refused at once while another writes (waiting      the same; and BUSY_SNAPSHOT when another
//                       could never end: it needs us to stop reading)      has committed since we read
//   commit              EXCLUSIVE; waits until all readers have ended      never waits
//
// Source: https://www.sqlite.org/lockingv3.html, https://www.sqlite.org/wal.html,
// https://www.sqlite.org/lang_transaction.html
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/store/traits.h"

namespace lockstep::sqlite {

/// When a transaction takes its lock.
enum class BeginMode : std::uint8_t {
  deferred,   ///< at its first read and its first write
  immediate,  ///< the right to write at begin
  exclusive,  ///< everything at begin; with WAL the same as immediate
};

enum class Journal : std::uint8_t { rollback, wal };

struct Protocol {
  BeginMode begin = BeginMode::deferred;
  Journal journal = Journal::wal;
};

/// "BEGIN IMMEDIATE" …
const char* begin_statement(BeginMode mode) noexcept;

/// What every protocol is; the first is the default.
std::vector<ProtocolTraits> protocol_list();

std::optional<Protocol> protocol_named(std::string_view name) noexcept;

}  // namespace lockstep::sqlite

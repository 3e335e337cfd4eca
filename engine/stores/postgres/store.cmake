# What the PostgreSQL store is linked with; found in the root's CMakeLists.txt. Read by engine/CMakeLists.txt.
list(APPEND store_links PostgreSQL::PostgreSQL PkgConfig::PQXX)
# Uses the names of a whole namespace, which its neighbours in a unity build would see.
list(APPEND sources_apart stores/postgres/backend.cc)
# Apart, so that the batches of a unity build stay as they were.
list(APPEND sources_apart stores/postgres/saved_tables.cc)
# g++ 12 with AddressSanitizer sees uninitialised values inside of std::regex, where there are none (GCC's bug 105562).
list(APPEND sources_apart stores/postgres/log/incidents.cc)
set_source_files_properties(stores/postgres/log/incidents.cc PROPERTIES COMPILE_OPTIONS
  "$<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>")

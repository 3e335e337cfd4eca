# What the PostgreSQL store is linked with; found in the root's CMakeLists.txt. Read by engine/CMakeLists.txt.
list(APPEND store_links PostgreSQL::PostgreSQL PkgConfig::PQXX)
# Uses the names of a whole namespace, which its neighbours in a unity build would see.
list(APPEND sources_apart stores/postgres/backend.cc)

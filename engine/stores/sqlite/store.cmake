# What the SQLite store is linked with; found in the root's CMakeLists.txt. Read by engine/CMakeLists.txt.
list(APPEND store_links SQLite::SQLite3)

# The MariaDB store is built where its client library is (root's CMakeLists.txt). Read by engine/CMakeLists.txt.
if(TARGET PkgConfig::LIBMARIADB)
  list(APPEND store_links PkgConfig::LIBMARIADB)
  # Apart, so that the batches of a unity build are the same with it and without.
  file(GLOB sources CONFIGURE_DEPENDS RELATIVE "${CMAKE_CURRENT_SOURCE_DIR}" stores/mariadb/*.cc)
  list(APPEND sources_apart ${sources})
else()
  list(APPEND stores_left_out mariadb)
endif()

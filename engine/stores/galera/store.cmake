# The store of Galera clusters is the MariaDB store on several nodes, and is built where that one is. Read by
# engine/CMakeLists.txt.
if(TARGET PkgConfig::LIBMARIADB)
  # Apart, so that the batches of a unity build are the same with it and without.
  file(GLOB sources CONFIGURE_DEPENDS RELATIVE "${CMAKE_CURRENT_SOURCE_DIR}" stores/galera/*.cc)
  list(APPEND sources_apart ${sources})
else()
  list(APPEND stores_left_out galera)
endif()

# The Redis store is built where its client library is (root's CMakeLists.txt). Read by engine/CMakeLists.txt.
if(TARGET PkgConfig::HIREDIS)
  # Its headers are for this folder alone: what else is compiled stays the same with it and without.
  list(APPEND store_links ${HIREDIS_LINK_LIBRARIES})
  file(GLOB sources CONFIGURE_DEPENDS RELATIVE "${CMAKE_CURRENT_SOURCE_DIR}" stores/redis/*.cc)
  set_source_files_properties(${sources} PROPERTIES INCLUDE_DIRECTORIES "${HIREDIS_INCLUDE_DIRS}")
  # Apart, so that the batches of a unity build are too.
  list(APPEND sources_apart ${sources})
else()
  list(APPEND stores_left_out redis)
endif()

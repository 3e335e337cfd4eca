# The store on two servers is made of the store on one, and linked with what that is linked with. Read by engine/CMakeLists.txt.
# Apart, so that the batches of a unity build stay as they were.
file(GLOB sources CONFIGURE_DEPENDS RELATIVE "${CMAKE_CURRENT_SOURCE_DIR}" stores/postgres-2/*.cc)
list(APPEND sources_apart ${sources})

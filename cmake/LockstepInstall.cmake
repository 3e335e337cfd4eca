# LockstepInstall: what `cmake --install BUILD --component kv` (or program) puts where find_package(lockstep) finds it.
include(CMakePackageConfigHelpers)
set(LOCKSTEP_PACKAGE "${CMAKE_INSTALL_LIBDIR}/cmake/lockstep")

# lockstep_install(TARGETS ... HEADERS ...)
# TARGETS by their names in the tree (kv/base is lockstep::kv::base here and there), HEADERS from the current folder on. They are
# included by their path from the root of the tree, as here: #include "kv/store.h".
function(lockstep_install)
  cmake_parse_arguments(ARG "" "" "TARGETS;HEADERS" ${ARGN})
  foreach(name IN LISTS ARG_TARGETS)
    string(REPLACE "/" "_" target "lockstep_${name}")
    string(REPLACE "/" "::" exported "${name}")
    set_target_properties(${target} PROPERTIES EXPORT_NAME "${exported}")
    install(TARGETS ${target} EXPORT lockstep ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT kv)
  endforeach()
  file(RELATIVE_PATH folder "${PROJECT_SOURCE_DIR}" "${CMAKE_CURRENT_SOURCE_DIR}")
  foreach(header IN LISTS ARG_HEADERS)
    get_filename_component(below "${folder}/${header}" DIRECTORY)
    install(FILES "${header}" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/lockstep/${below}" COMPONENT kv)
  endforeach()

  install(EXPORT lockstep NAMESPACE lockstep:: FILE lockstep-targets.cmake DESTINATION "${LOCKSTEP_PACKAGE}" COMPONENT kv)
  lockstep_install_package(kv)
endfunction()

# lockstep_install_program()
# The program, the library that it loads into programs of others, and the functions that make tests of them.
function(lockstep_install_program)
  install(TARGETS lockstep RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}" COMPONENT program OPTIONAL)
  # Where the program looks for it: library_path() in engine/foreign/process.cc.
  install(TARGETS lockstep_preload LIBRARY DESTINATION "lib/lockstep" COMPONENT program OPTIONAL)
  install(FILES "${PROJECT_SOURCE_DIR}/cmake/LockstepExplore.cmake" "${PROJECT_SOURCE_DIR}/cmake/LockstepExploreTests.cmake"
    DESTINATION "${LOCKSTEP_PACKAGE}" COMPONENT program)
  lockstep_install_package(program)
endfunction()

# lockstep_install_package(COMPONENT): what find_package() looks for.
function(lockstep_install_package COMPONENT)
  configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/lockstep-config.cmake.in"
    "${PROJECT_BINARY_DIR}/lockstep-config.cmake" INSTALL_DESTINATION "${LOCKSTEP_PACKAGE}")
  write_basic_package_version_file("${PROJECT_BINARY_DIR}/lockstep-config-version.cmake" COMPATIBILITY SameMinorVersion)
  install(FILES "${PROJECT_BINARY_DIR}/lockstep-config.cmake" "${PROJECT_BINARY_DIR}/lockstep-config-version.cmake"
    DESTINATION "${LOCKSTEP_PACKAGE}" COMPONENT ${COMPONENT})
endfunction()

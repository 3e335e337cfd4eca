# lockstep_install: what `cmake --install BUILD --component kv` puts where find_package(lockstep) finds it.
include(CMakePackageConfigHelpers)

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

  set(package "${CMAKE_INSTALL_LIBDIR}/cmake/lockstep")
  install(EXPORT lockstep NAMESPACE lockstep:: FILE lockstep-targets.cmake DESTINATION "${package}" COMPONENT kv)
  configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/lockstep-config.cmake.in"
    "${PROJECT_BINARY_DIR}/lockstep-config.cmake" INSTALL_DESTINATION "${package}")
  write_basic_package_version_file("${PROJECT_BINARY_DIR}/lockstep-config-version.cmake" COMPATIBILITY SameMinorVersion)
  install(FILES "${PROJECT_BINARY_DIR}/lockstep-config.cmake" "${PROJECT_BINARY_DIR}/lockstep-config-version.cmake"
    DESTINATION "${package}" COMPONENT kv)
endfunction()

# lockstep_library, lockstep_catalogue, lockstep_tests: the only ways a target is made here.
# lockstep_store_catalogue, lockstep_protocol_catalogue: what stores and protocols there are. A program that has further ones compiles a
# catalogue of its own, which then takes the place of the library's.

# lockstep_library(NAME SOURCES ... HEADERS ... LINKS ... [PRIVATE_LINKS ...] [PRECOMPILE ...])
# A static library lockstep_NAME with the alias lockstep::NAME. Includes start at the root of the tree. PRECOMPILE: the
# headers that most of its sources include; every source still includes what it needs.
function(lockstep_library NAME)
  cmake_parse_arguments(ARG "" "" "SOURCES;HEADERS;LINKS;PRIVATE_LINKS;PRECOMPILE" ${ARGN})
  string(REPLACE "/" "_" target "lockstep_${NAME}")
  if(ARG_SOURCES)
    add_library(${target} STATIC ${ARG_SOURCES} ${ARG_HEADERS})
    target_include_directories(${target} PUBLIC
      "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>" "$<BUILD_INTERFACE:${PROJECT_BINARY_DIR}/generated>"
      "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/lockstep>")
    target_link_libraries(${target} PUBLIC ${ARG_LINKS} PRIVATE ${ARG_PRIVATE_LINKS})
    target_precompile_headers(${target} PRIVATE ${ARG_PRECOMPILE})
  else()
    add_library(${target} INTERFACE)
    target_include_directories(${target} INTERFACE "${PROJECT_SOURCE_DIR}" "${PROJECT_BINARY_DIR}/generated")
    target_link_libraries(${target} INTERFACE ${ARG_LINKS})
  endif()
  string(REPLACE "/" "::" alias "lockstep::${NAME}")
  add_library(${alias} ALIAS ${target})
endfunction()

# lockstep_catalogue(OUT FILE.cc TEMPLATE FILE.cc.in NAMES ... DECLARATION "..." ENTRY "...")
# Writes a source file that lists functions by name. In DECLARATION and ENTRY, @NAME@ stands for the name as people type
# it, @FUNCTION@ for the C++ identifier and @FILE@ for the source file. Made at configure time from file names, so that a new file is in the
# catalogue and no registration object can be dropped by the linker.
function(lockstep_catalogue)
  cmake_parse_arguments(PARSE_ARGV 0 ARG "" "OUT;TEMPLATE;DECLARATION;ENTRY" "NAMES")  # keeps semicolons
  set(declarations "")
  set(entries "")
  foreach(NAME IN LISTS ARG_NAMES)
    string(MAKE_C_IDENTIFIER "${NAME}" FUNCTION)
    string(REGEX REPLACE "^_+" "" FUNCTION "${FUNCTION}")
    string(REPLACE "-" "_" FILE "${NAME}.cc")
    string(CONFIGURE "${ARG_DECLARATION}" line @ONLY)
    string(APPEND declarations "${line}\n")
    string(CONFIGURE "${ARG_ENTRY}" line @ONLY)
    string(APPEND entries "    ${line}\n")
  endforeach()
  set(LOCKSTEP_DECLARATIONS "${declarations}")
  set(LOCKSTEP_ENTRIES "${entries}")
  configure_file("${ARG_TEMPLATE}" "${ARG_OUT}" @ONLY)
endfunction()

# lockstep_store_catalogue(OUT FILE.cc FOLDERS ...): one folder is one store: FOLDER/NAME/backend.cc defines `BackendKind backend_NAME()`.
# Without those that this machine has no library for.
function(lockstep_store_catalogue)
  cmake_parse_arguments(ARG "" "OUT" "FOLDERS" ${ARGN})
  set(names "")
  foreach(folder IN LISTS ARG_FOLDERS)
    file(GLOB sources CONFIGURE_DEPENDS RELATIVE "${folder}" "${folder}/*/backend.cc")
    foreach(source IN LISTS sources)
      get_filename_component(name "${source}" DIRECTORY)
      list(APPEND names "${name}")
    endforeach()
  endforeach()
  get_property(left_out GLOBAL PROPERTY LOCKSTEP_STORES_LEFT_OUT)
  set(LOCKSTEP_STORES_NOT_HERE "")
  if(left_out)
    list(REMOVE_ITEM names ${left_out})
    list(JOIN left_out "\", \"" joined)
    set(LOCKSTEP_STORES_NOT_HERE "\"${joined}\"")
  endif()
  list(SORT names)
  lockstep_catalogue(
    OUT         "${ARG_OUT}"
    TEMPLATE    "${PROJECT_SOURCE_DIR}/engine/stores/backend_catalogue.cc.in"
    NAMES       ${names}
    DECLARATION "BackendKind backend_@FUNCTION@();"
    ENTRY       "backend_@FUNCTION@(),")
  # Alone in its object file, so that another catalogue can take its place.
  set_source_files_properties("${ARG_OUT}" PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
endfunction()

# lockstep_protocol_catalogue(OUT FILE.cc FOLDERS ...): one file is one protocol of kv: FOLDER/2pl_detect.cc defines
# `ProtocolEntry protocol_2pl_detect()` and is called 2pl-detect by people.
function(lockstep_protocol_catalogue)
  cmake_parse_arguments(ARG "" "OUT" "FOLDERS" ${ARGN})
  set(names "")
  foreach(folder IN LISTS ARG_FOLDERS)
    file(GLOB sources CONFIGURE_DEPENDS "${folder}/*.cc")
    foreach(source IN LISTS sources)
      get_filename_component(name "${source}" NAME_WE)
      string(REPLACE "_" "-" name "${name}")
      list(APPEND names "${name}")
    endforeach()
  endforeach()
  list(SORT names)
  lockstep_catalogue(
    OUT         "${ARG_OUT}"
    TEMPLATE    "${PROJECT_SOURCE_DIR}/kv/protocols/protocols.cc.in"
    NAMES       ${names}
    DECLARATION "ProtocolEntry protocol_@FUNCTION@();"
    ENTRY       "named(\"@NAME@\", protocol_@FUNCTION@()),")
  set_source_files_properties("${ARG_OUT}" PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
endfunction()

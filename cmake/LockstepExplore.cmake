# LockstepExplore: the interleavings of a program as tests of ctest (docs/programs.md). find_package(lockstep) includes this file;
# it may also be copied, or included from the tree.
find_program(LOCKSTEP_PROGRAM lockstep HINTS "${LOCKSTEP_PREFIX}/bin"
  DOC "the program lockstep, which the tests of lockstep_explore_test() and lockstep_explore_gtest() call")
set(LOCKSTEP_EXPLORE_FOLDER "${CMAKE_CURRENT_LIST_DIR}")

# For functions of this file. Sets `options`: those of lockstep.
macro(lockstep_explore_options)
  cmake_parse_arguments(ARG "" "BUDGET;STRATEGY;JUNIT;FILTER;PREFIX" "ARGUMENTS;PROPERTIES" ${ARGN})
  set(options --no-record)
  foreach(option BUDGET STRATEGY JUNIT)
    if(ARG_${option})
      string(TOLOWER "--${option}" name)
      list(APPEND options ${name} ${ARG_${option}})
    endif()
  endforeach()
endmacro()

# lockstep_explore_test(NAME TARGET [ARGUMENTS ...] [BUDGET 60s] [STRATEGY exhaustive] [JUNIT FILE] [PROPERTIES ...])
# The test NAME fails when any order of the pthread operations of TARGET, called with ARGUMENTS, hangs, crashes or fails. It is
# skipped when the budget is spent before all orders have been run and none was bad. With a strategy of chance it passes then.
function(lockstep_explore_test NAME TARGET)
  lockstep_explore_options(${ARGN})
  add_test(NAME ${NAME} COMMAND "${LOCKSTEP_PROGRAM}" explore ${options} -- $<TARGET_FILE:${TARGET}> ${ARG_ARGUMENTS})
  set_tests_properties(${NAME} PROPERTIES SKIP_RETURN_CODE 5 ${ARG_PROPERTIES})
endfunction()

# lockstep_explore_gtest(TARGET [PREFIX explore.] [FILTER "Suite.*"] [ARGUMENTS ...] [BUDGET 60s] [STRATEGY exhaustive]
#                        [PROPERTIES ...])
# A test "explore.Suite.Test" as above for each test of TARGET, which is made with GoogleTest. ctest asks the program for them when
# it begins: a test that is new in the program is new in ctest.
function(lockstep_explore_gtest TARGET)
  lockstep_explore_options(${ARGN})
  if(NOT DEFINED ARG_PREFIX)
    set(ARG_PREFIX "explore.")
  endif()
  set(script "${CMAKE_CURRENT_BINARY_DIR}/lockstep_explore_${TARGET}")
  # Of several configurations ctest is told one.
  get_property(has_several GLOBAL PROPERTY GENERATOR_IS_MULTI_CONFIG)
  set(which "")
  if(has_several)
    set(which "-$<CONFIG>")
    file(WRITE "${script}.cmake" "include(\"${script}-\${CTEST_CONFIGURATION_TYPE}.cmake\" OPTIONAL)\n")
  endif()
  file(GENERATE OUTPUT "${script}${which}.cmake" CONTENT
"set(program [==[$<TARGET_FILE:${TARGET}>]==])
set(lockstep [==[${LOCKSTEP_PROGRAM}]==])
set(prefix [==[${ARG_PREFIX}]==])
set(filter [==[${ARG_FILTER}]==])
set(options [==[${options}]==])
set(arguments [==[${ARG_ARGUMENTS}]==])
set(properties [==[${ARG_PROPERTIES}]==])
include([==[${LOCKSTEP_EXPLORE_FOLDER}/LockstepExploreTests.cmake]==])
")
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES "${script}.cmake")
endfunction()

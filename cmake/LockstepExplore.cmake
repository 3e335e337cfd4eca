# LockstepExplore: the interleavings of a program as a test of ctest (docs/programs.md). Copy this file, or include it from the tree.
find_program(LOCKSTEP_PROGRAM lockstep DOC "the program lockstep, which lockstep_explore_test() calls")

# lockstep_explore_test(NAME TARGET [ARGUMENTS ...] [BUDGET 60s] [STRATEGY exhaustive] [JUNIT FILE])
# The test NAME fails when any order of the pthread operations of TARGET, called with ARGUMENTS, hangs, crashes or fails. It is
# skipped when the budget is spent before all orders have been run and none was bad. With a strategy of chance it passes then.
function(lockstep_explore_test NAME TARGET)
  cmake_parse_arguments(ARG "" "BUDGET;STRATEGY;JUNIT" "ARGUMENTS" ${ARGN})
  set(options --no-record)
  foreach(option BUDGET STRATEGY JUNIT)
    if(ARG_${option})
      string(TOLOWER "--${option}" name)
      list(APPEND options ${name} ${ARG_${option}})
    endif()
  endforeach()
  add_test(NAME ${NAME} COMMAND "${LOCKSTEP_PROGRAM}" explore ${options} -- $<TARGET_FILE:${TARGET}> ${ARG_ARGUMENTS})
  set_tests_properties(${NAME} PROPERTIES SKIP_RETURN_CODE 5)
endfunction()

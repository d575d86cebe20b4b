# SPDX-License-Identifier: MIT
# When cross-compiling: builds tools/embed.c with the compiler of the build machine, while CMake configures.
set(PIPIT_BUILD_CC "$ENV{CC_FOR_BUILD}" CACHE STRING
  "C compiler of the build machine, with options, when cross-compiling; default: CC_FOR_BUILD, or cc")

# build_embed(RESULT): sets RESULT to the path of the program.
function(build_embed result)
  set(program ${PROJECT_BINARY_DIR}/embed-for-build-machine)
  separate_arguments(compiler UNIX_COMMAND "${PIPIT_BUILD_CC}")
  if(NOT compiler)
    find_program(PIPIT_FOUND_BUILD_CC NAMES cc gcc clang NO_CMAKE_FIND_ROOT_PATH)
    set(compiler ${PIPIT_FOUND_BUILD_CC})
  endif()
  if(NOT compiler)
    message(FATAL_ERROR "tools/embed.c runs on the build machine, which has no cc: set PIPIT_BUILD_CC, or PIPIT_EMBED_TOOL to a pipit-embed")
  endif()
  execute_process(COMMAND ${compiler} -O2 ${PROJECT_SOURCE_DIR}/tools/embed.c -o ${program} -lz
    RESULT_VARIABLE status ERROR_VARIABLE errors)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "tools/embed.c cannot be built for the build machine, where it needs zlib and its headers. Set PIPIT_BUILD_CC "
      "to the compiler and its options, or PIPIT_EMBED_TOOL to a pipit-embed.\n${errors}")
  endif()
  set_property(DIRECTORY ${PROJECT_SOURCE_DIR} APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tools/embed.c)
  set(${result} ${program} PARENT_SCOPE)
endfunction()

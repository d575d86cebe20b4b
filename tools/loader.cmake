# SPDX-License-Identifier: MIT
# The end of `cmake --install`: the loader then finds libpipit.so, or the user is told what to do.
#
# Programs that link a library in /usr/local/lib end in "cannot open shared object file" until ldconfig, as root, has read that
# directory into the loader's cache. PIPIT_LIBDIR: where the library was installed, relative to the prefix or absolute.

# A package of a distribution, or a system other than this one: its own installation runs ldconfig.
if(NOT "$ENV{DESTDIR}" STREQUAL "" OR CMAKE_CROSSCOMPILING)
  return()
endif()
# A user's PATH has no sbin. musl has no such cache.
find_program(PIPIT_LDCONFIG ldconfig PATHS /sbin /usr/sbin)
if(NOT PIPIT_LDCONFIG)
  return()
endif()
execute_process(COMMAND ${PIPIT_LDCONFIG} -N -v RESULT_VARIABLE status OUTPUT_VARIABLE listing ERROR_QUIET)
if(NOT status EQUAL 0)
  return()
endif()

get_filename_component(libdir "${PIPIT_LIBDIR}" REALPATH BASE_DIR "${CMAKE_INSTALL_PREFIX}")
# "/usr/local/lib: (from /etc/ld.so.conf.d/libc.conf:2)", and without the parentheses before glibc 2.33.
string(REGEX MATCHALL "(^|\n)/[^:\n]*:" searched "${listing}")
set(is_searched FALSE)
foreach(directory IN LISTS searched)
  string(REGEX REPLACE "^\n|:$" "" directory "${directory}")
  get_filename_component(directory "${directory}" REALPATH)
  if(directory STREQUAL libdir)
    set(is_searched TRUE)
  endif()
endforeach()

if(NOT is_searched)
  message(STATUS "The loader does not search ${libdir}: link programs with -Wl,-rpath,${libdir}, or set LD_LIBRARY_PATH.")
  return()
endif()
execute_process(COMMAND ${PIPIT_LDCONFIG} RESULT_VARIABLE status OUTPUT_QUIET ERROR_QUIET)
if(status EQUAL 0)
  message(STATUS "ldconfig: the loader finds libpipit.so in ${libdir}.")
else()
  message(STATUS "The loader does not know of libpipit.so yet: run ldconfig as root.")
endif()

# hebb._hot: the calls of one step, for every CPython from 3.11 on. It lies beside libhebb, so that the package in
# python/ runs on this build tree:  PYTHONPATH=python HEBB_NATIVE=BUILD/library python3
find_package(Python3 3.11 COMPONENTS Interpreter Development.Module)
if(NOT Python3_Development.Module_FOUND)
  if(HEBB_WHEEL)
    message(FATAL_ERROR "The wheel needs the headers of Python 3.11 or later")
  endif()
  message(STATUS "No headers of Python 3.11 or later: the Python package is not built")
  return()
endif()
add_library(hebb_python MODULE ${CMAKE_CURRENT_LIST_DIR}/src/_hot.c)
set_target_properties(hebb_python PROPERTIES PREFIX "" OUTPUT_NAME _hot SUFFIX .abi3.so C_STANDARD 11 C_VISIBILITY_PRESET hidden
  LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/library)
target_include_directories(hebb_python PRIVATE ${CMAKE_SOURCE_DIR})
target_include_directories(hebb_python SYSTEM PRIVATE ${Python3_INCLUDE_DIRS})
target_compile_options(hebb_python PRIVATE -Wall -Wextra -Werror)

if(NOT HEBB_WHEEL)
  return()
endif()
# What the wheel holds beside the sources of the package: both, the library of rules, and what libhebb needs and a
# system may not have (of the C and C++ run time it takes the system's). DT_RPATH, unlike DT_RUNPATH, is also that of
# what these libraries need themselves.
set_target_properties(hebb_shared PROPERTIES INSTALL_RPATH "$ORIGIN" NO_SONAME ON VERSION "" SOVERSION "")
target_link_options(hebb_shared PRIVATE -Wl,--disable-new-dtags -Wl,--as-needed -Wl,--gc-sections -Wl,--exclude-libs,ALL -s)
install(TARGETS hebb_shared hebb_python LIBRARY DESTINATION hebb/_native/lib COMPONENT python)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/stdlib DESTINATION hebb/_native/share/hebb COMPONENT python)
install(CODE "
  file(GET_RUNTIME_DEPENDENCIES LIBRARIES \"$<TARGET_FILE:hebb_shared>\" RESOLVED_DEPENDENCIES_VAR needed
    PRE_EXCLUDE_REGEXES \"^lib(c|m|dl|pthread|rt|resolv|gcc_s|stdc\\\\+\\\\+)\\\\.so\" \"^ld-linux\")
  foreach(library \${needed})
    file(INSTALL \"\${library}\" DESTINATION \"\${CMAKE_INSTALL_PREFIX}/hebb/_native/lib\" FOLLOW_SYMLINK_CHAIN)
  endforeach()" COMPONENT python)

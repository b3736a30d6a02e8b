# hebb._hot: the calls of one step, for every CPython from 3.11 on. It lies beside libhebb, so that the package in
# python/ runs on this build tree:  PYTHONPATH=python HEBB_NATIVE=BUILD/library python3
find_package(Python3 3.11 COMPONENTS Interpreter Development.Module)
if(NOT Python3_Development.Module_FOUND)
  message(STATUS "No headers of Python 3.11 or later: the Python package is not built")
  return()
endif()
add_library(hebb_python MODULE ${CMAKE_CURRENT_LIST_DIR}/src/_hot.c)
set_target_properties(hebb_python PROPERTIES PREFIX "" OUTPUT_NAME _hot SUFFIX .abi3.so C_STANDARD 11 C_VISIBILITY_PRESET hidden
  LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/library)
target_include_directories(hebb_python PRIVATE ${CMAKE_SOURCE_DIR})
target_include_directories(hebb_python SYSTEM PRIVATE ${Python3_INCLUDE_DIRS})
target_compile_options(hebb_python PRIVATE -Wall -Wextra -Werror)

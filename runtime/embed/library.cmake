# libhebb: the compiler and the runtime behind one C table (hebb.h), with pkg-config and CMake packages.
include(GNUInstallDirs)
file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/library/exports.map CONTENT "{ global: hebb_get_api; local: *; };\n" @ONLY)
add_library(hebb_live STATIC runtime/embed/live_rule.cpp)
target_compile_options(hebb_live PRIVATE ${HEBB_WARNINGS})
target_link_libraries(hebb_live PUBLIC hebb_embed)
file(GLOB library_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/library/*.cpp)
add_library(hebb_shared SHARED ${library_sources})
set_target_properties(hebb_shared PROPERTIES OUTPUT_NAME hebb VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}
  CXX_VISIBILITY_PRESET hidden LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/library)
target_compile_options(hebb_shared PRIVATE ${HEBB_WARNINGS})
target_compile_definitions(hebb_shared PRIVATE HEBB_VERSION="${PROJECT_VERSION}" HEBB_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
target_link_libraries(hebb_shared PRIVATE hebb_live hebb_experiment ${CMAKE_DL_LIBS})
target_link_options(hebb_shared PRIVATE -Wl,--version-script=${CMAKE_BINARY_DIR}/library/exports.map -Wl,--no-undefined)

set(installed_prefix "\${pcfiledir}/../..")
file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/library/hebb.pc @ONLY CONTENT "prefix=${installed_prefix}
libdir=\${prefix}/lib
includedir=\${prefix}/include

Name: hebb
Description: Synaptic plasticity rules, compiled while a program runs
Version: ${PROJECT_VERSION}
Libs: -L\${libdir} -lhebb
Cflags: -I\${includedir}
")
file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/library/HebbConfig.cmake @ONLY CONTENT "# find_package(Hebb) gives the target Hebb::hebb.
get_filename_component(hebb_prefix \"\${CMAKE_CURRENT_LIST_DIR}/../../..\" ABSOLUTE)
if(NOT TARGET Hebb::hebb)
  add_library(Hebb::hebb SHARED IMPORTED)
  set_target_properties(Hebb::hebb PROPERTIES
    IMPORTED_LOCATION \"\${hebb_prefix}/lib/libhebb.so.${PROJECT_VERSION}\"
    IMPORTED_SONAME \"libhebb.so.${PROJECT_VERSION_MAJOR}\"
    INTERFACE_INCLUDE_DIRECTORIES \"\${hebb_prefix}/include\")
endif()
")
include(CMakePackageConfigHelpers)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/library/HebbConfigVersion.cmake
                                 VERSION ${PROJECT_VERSION} COMPATIBILITY SameMinorVersion)
install(TARGETS hebb_shared LIBRARY DESTINATION lib COMPONENT library)
install(FILES runtime/embed/hebb.h DESTINATION include COMPONENT library)
install(FILES ${CMAKE_BINARY_DIR}/library/hebb.pc DESTINATION lib/pkgconfig COMPONENT library)
install(FILES ${CMAKE_BINARY_DIR}/library/HebbConfig.cmake ${CMAKE_BINARY_DIR}/library/HebbConfigVersion.cmake
        DESTINATION lib/cmake/Hebb COMPONENT library)
install(DIRECTORY stdlib DESTINATION share/hebb COMPONENT library)

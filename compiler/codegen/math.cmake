# hebb_math: the functions of compiler/expr/math.h, our own of math/inline.cpp and libclc's, twice: compiled for the
# interpreter and for constants, and as bitcode (symbols hebb_math_bitcode_begin, _end) for the code
# generator to inline. Both come from one optimised module whose every fused multiply-add is explicit,
# so both give the same bits. Compiled for x86-64-v3, the least CPU that Hebb accepts.
find_program(LLVM_LINK NAMES llvm-link-22 REQUIRED)
find_program(LLVM_OPT NAMES opt-22 REQUIRED)
find_program(LLVM_LLC NAMES llc-22 REQUIRED)
find_program(CLANG NAMES clang-22 REQUIRED)
find_file(LIBCLC NAMES nvptx64--.bc PATHS /usr/lib/clc /usr/share/clc REQUIRED)

# hebb_NAMEf and hebb_NAME call libclc's functions, whose names are mangled as in OpenCL C. The rest of
# math.h is in math/inline.cpp.
set(wrappers "")
function(wrap arguments name types)
  string(LENGTH ${name} length)
  foreach(type ${types})
    string(SUBSTRING ${type} 0 1 letter)
    set(suffix "")
    if(type STREQUAL float)
      set(suffix f)
    endif()
    set(mangled "_Z${length}${name}${letter}")
    set(parameters "${type} %a")
    if(arguments EQUAL 2)
      string(APPEND mangled ${letter})
      string(APPEND parameters ", ${type} %b")
    endif()
    string(REGEX REPLACE " %[ab]" "" unnamed "${parameters}")
    string(APPEND wrappers
      "declare ${type} @${mangled}(${unnamed})\n"
      "define ${type} @hebb_${name}${suffix}(${parameters}) {\n"
      "  %r = call ${type} @${mangled}(${parameters})\n  ret ${type} %r\n}\n")
  endforeach()
  set(wrappers "${wrappers}" PARENT_SCOPE)
endfunction()
set(both float double)
foreach(name sin cos tan sinh cosh asin acos atan erf)
  wrap(1 ${name} "${both}")
endforeach()
wrap(2 atan2 "${both}")
wrap(2 pow double)

set(math_source ${CMAKE_CURRENT_LIST_DIR}/math)
set(math_dir ${CMAKE_BINARY_DIR}/math)
file(MAKE_DIRECTORY ${math_dir})
file(CONFIGURE OUTPUT ${math_dir}/wrappers.ll CONTENT "${wrappers}" @ONLY)
file(CONFIGURE OUTPUT ${math_dir}/bitcode.S @ONLY CONTENT ".section .rodata
.balign 16
.globl hebb_math_bitcode_begin
hebb_math_bitcode_begin:
.incbin \"${math_dir}/host.bc\"
.globl hebb_math_bitcode_end
hebb_math_bitcode_end:
.byte 0
.section .note.GNU-stack
")

# Vectorising is left to the module that the functions are inlined into.
add_custom_command(
  OUTPUT ${math_dir}/host.bc
  COMMAND ${LLVM_LINK} --suppress-warnings --only-needed --internalize -S wrappers.ll ${LIBCLC} -o linked.ll
  COMMAND sed -E -f ${math_source}/libclc_to_host.sed linked.ll > libclc.ll
  COMMAND ${CLANG} -std=c++20 -Wall -Wextra -Werror -O2 -ffp-contract=off -fno-math-errno -fno-vectorize
          -fno-slp-vectorize -fno-exceptions -fno-asynchronous-unwind-tables --target=x86_64-unknown-linux-gnu
          -S -emit-llvm ${math_source}/inline.cpp -o inline.ll
  COMMAND sed -E "s/\"(target-cpu|target-features|tune-cpu|min-legal-vector-width)\"=\"[^\"]*\"//g"
          inline.ll > own.ll
  COMMAND ${LLVM_LINK} -S libclc.ll own.ll -o host.ll
  COMMAND ${LLVM_OPT} -passes=default<O2> -vectorize-loops=false -vectorize-slp=false host.ll -o host.bc
  DEPENDS ${math_dir}/wrappers.ll ${LIBCLC} ${math_source}/libclc_to_host.sed ${math_source}/inline.cpp
  WORKING_DIRECTORY ${math_dir} VERBATIM COMMENT "Math functions")
add_custom_command(
  OUTPUT ${math_dir}/math.o ${math_dir}/bitcode.o
  COMMAND ${LLVM_LLC} -O2 -mcpu=x86-64-v3 -relocation-model=pic -filetype=obj host.bc -o math.o
  COMMAND ${CMAKE_C_COMPILER} -c bitcode.S -o bitcode.o
  DEPENDS ${math_dir}/host.bc ${math_dir}/bitcode.S
  WORKING_DIRECTORY ${math_dir} VERBATIM)
add_library(hebb_math STATIC ${math_dir}/math.o ${math_dir}/bitcode.o)
set_target_properties(hebb_math PROPERTIES LINKER_LANGUAGE C)

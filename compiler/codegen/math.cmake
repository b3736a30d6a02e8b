# hebb_math: the functions of compiler/expr/math.h, from libclc's bitcode, twice: compiled for the
# interpreter and for constants, and as bitcode (symbols hebb_math_bitcode_begin, _end) for the code
# generator to inline. Both come from one optimised module whose every fused multiply-add is explicit,
# so both give the same bits. Compiled for x86-64-v3, the least CPU that Hebb accepts.
find_program(LLVM_LINK NAMES llvm-link-22 REQUIRED)
find_program(LLVM_OPT NAMES opt-22 REQUIRED)
find_program(LLVM_LLC NAMES llc-22 REQUIRED)
find_file(LIBCLC NAMES nvptx64--.bc PATHS /usr/lib/clc /usr/share/clc REQUIRED)

# hebb_NAMEf and hebb_NAME call libclc's functions, whose names are mangled as in OpenCL C.
set(wrappers "")
function(wrap arguments name)
  string(LENGTH ${name} length)
  foreach(type float double)
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
    string(REGEX REPLACE " %[ab]" "" types "${parameters}")
    string(APPEND wrappers
      "declare ${type} @${mangled}(${types})\n"
      "define ${type} @hebb_${name}${suffix}(${parameters}) {\n"
      "  %r = call ${type} @${mangled}(${parameters})\n  ret ${type} %r\n}\n")
  endforeach()
  set(wrappers "${wrappers}" PARENT_SCOPE)
endfunction()
foreach(name exp expm1 log log1p sin cos tan tanh sinh cosh asin acos atan erf)
  wrap(1 ${name})
endforeach()
foreach(name pow atan2)
  wrap(2 ${name})
endforeach()

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
  COMMAND sed -E -f ${CMAKE_CURRENT_LIST_DIR}/libclc_to_host.sed linked.ll > host.ll
  COMMAND ${LLVM_OPT} -passes=default<O2> -vectorize-loops=false -vectorize-slp=false host.ll -o host.bc
  DEPENDS ${math_dir}/wrappers.ll ${LIBCLC} ${CMAKE_CURRENT_LIST_DIR}/libclc_to_host.sed
  WORKING_DIRECTORY ${math_dir} VERBATIM COMMENT "Math functions from libclc")
add_custom_command(
  OUTPUT ${math_dir}/math.o ${math_dir}/bitcode.o
  COMMAND ${LLVM_LLC} -O2 -mcpu=x86-64-v3 -relocation-model=pic -filetype=obj host.bc -o math.o
  COMMAND ${CMAKE_C_COMPILER} -c bitcode.S -o bitcode.o
  DEPENDS ${math_dir}/host.bc ${math_dir}/bitcode.S
  WORKING_DIRECTORY ${math_dir} VERBATIM)
add_library(hebb_math STATIC ${math_dir}/math.o ${math_dir}/bitcode.o)
set_target_properties(hebb_math PROPERTIES LINKER_LANGUAGE C)

# hebb_block: runtime/embed/block.c for libhebb, and as bitcode for every target of `hebb build`
# (symbols hebb_block_TARGET_begin, _end; TARGET_vjp: with the gradient of a step). Small code without a library: no vectors, no memset.
set(block_source ${CMAKE_CURRENT_LIST_DIR})
set(block_dir ${CMAKE_BINARY_DIR}/block)
file(MAKE_DIRECTORY ${block_dir})
set(block_flags -std=c11 -pedantic -Wall -Wextra -Werror -Oz -ffreestanding -fno-builtin -fno-vectorize
    -fno-slp-vectorize -fno-stack-protector -fno-asynchronous-unwind-tables -ffp-contract=off
    -fno-ident -emit-llvm -c -I${CMAKE_SOURCE_DIR})

set(block_incbin ".section .rodata\n")
set(block_bitcode "")
function(block_for target triple sources)
  set(flags ${block_flags} ${ARGN})
  set(parts "")
  set(commands "")
  foreach(source ${sources})
    list(APPEND parts ${block_dir}/${source}.${target}.bc)
    list(APPEND commands COMMAND ${CLANG} --target=${triple} -fPIC ${flags} ${block_source}/${source}.c
                         -o ${block_dir}/${source}.${target}.bc)
  endforeach()
  set(result ${block_dir}/${target}.bc)
  add_custom_command(OUTPUT ${result} ${commands} COMMAND ${LLVM_LINK} ${parts} -o ${result}
                     DEPENDS ${block_source}/block.c ${block_source}/block.h ${block_source}/fma.c
                             ${CMAKE_SOURCE_DIR}/runtime/hebb_abi.h VERBATIM)
  string(APPEND block_incbin ".balign 16\n.globl hebb_block_${target}_begin\nhebb_block_${target}_begin:\n"
         ".incbin \"${result}\"\n.globl hebb_block_${target}_end\nhebb_block_${target}_end:\n.byte 0\n")
  set(block_incbin "${block_incbin}" PARENT_SCOPE)
  set(block_bitcode ${block_bitcode} ${result} PARENT_SCOPE)
endfunction()
block_for(x86_64 x86_64-unknown-linux-gnu block)
block_for(aarch64 aarch64-unknown-linux-gnu block)
block_for(wasm32 wasm32-unknown-unknown "block;fma")
block_for(x86_64_vjp x86_64-unknown-linux-gnu block -DHEBB_VJP)
block_for(aarch64_vjp aarch64-unknown-linux-gnu block -DHEBB_VJP)
block_for(wasm32_vjp wasm32-unknown-unknown "block;fma" -DHEBB_VJP)
file(CONFIGURE OUTPUT ${block_dir}/bitcode.S @ONLY CONTENT "${block_incbin}
.section .note.GNU-stack
")
add_custom_command(
  OUTPUT ${block_dir}/bitcode.o
  COMMAND ${CMAKE_C_COMPILER} -c ${block_dir}/bitcode.S -o ${block_dir}/bitcode.o
  DEPENDS ${block_dir}/bitcode.S ${block_bitcode} VERBATIM)

add_library(hebb_block STATIC ${block_source}/block.c ${block_dir}/bitcode.o)
set_target_properties(hebb_block PROPERTIES C_STANDARD 11 POSITION_INDEPENDENT_CODE ON LINKER_LANGUAGE C)
target_include_directories(hebb_block PUBLIC ${CMAKE_SOURCE_DIR})
target_compile_definitions(hebb_block PRIVATE HEBB_VJP)
target_compile_options(hebb_block PRIVATE $<$<COMPILE_LANGUAGE:C>:-Wall;-Wextra;-Werror;-pedantic>)

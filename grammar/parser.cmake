# Target hebb_antlr: the parser that ANTLR writes from Hebb.g4. Only compiler/parse/parse.cpp sees it.
find_program(ANTLR4 antlr4 REQUIRED)
find_library(ANTLR4_RUNTIME antlr4-runtime REQUIRED)
find_path(ANTLR4_INCLUDE antlr4-runtime.h PATH_SUFFIXES antlr4-runtime REQUIRED)

set(hebb_generated ${CMAKE_BINARY_DIR}/grammar)
set(hebb_parser_sources ${hebb_generated}/HebbLexer.cpp ${hebb_generated}/HebbParser.cpp)
# -encoding: without it the non-ASCII characters of the grammar are lost where the locale is C.
add_custom_command(
  OUTPUT ${hebb_parser_sources} ${hebb_generated}/HebbLexer.h ${hebb_generated}/HebbParser.h
  COMMAND ${ANTLR4} -Dlanguage=Cpp -encoding UTF-8 -no-listener -no-visitor -package hebb_grammar
          -Werror -Xexact-output-dir -o ${hebb_generated} ${CMAKE_SOURCE_DIR}/grammar/Hebb.g4
  DEPENDS ${CMAKE_SOURCE_DIR}/grammar/Hebb.g4
  COMMENT "Generating the parser from grammar/Hebb.g4" VERBATIM)

add_library(hebb_antlr STATIC ${hebb_parser_sources})
target_include_directories(hebb_antlr SYSTEM PUBLIC ${hebb_generated} ${ANTLR4_INCLUDE})
target_link_libraries(hebb_antlr PUBLIC ${ANTLR4_RUNTIME})
target_compile_options(hebb_antlr PRIVATE -w -O1)
set_target_properties(hebb_antlr PROPERTIES CXX_STANDARD 17)

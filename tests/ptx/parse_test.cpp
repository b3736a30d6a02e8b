// What the parser takes, and that whatever it does not know is refused with line and text.

#include "tests/ptx/one_instruction.h"

namespace hebb::emulator {
namespace {

std::string refusal(const std::string& text) {
  const Result<Module> module = parse(text);
  return module.ok() ? "accepted" : module.error();
}
/// Of one statement in line 10 of a kernel.
std::string of_statement(const std::string& statement) { return refusal(kernel_text(".param .u64 p", statement + "\n")); }

TEST(PtxParse, WhatIsNotKnownIsRefusedWithLineAndText) {
  EXPECT_EQ(of_statement("frobnicate.b32 %w1, %w2;"), "line 10: unknown opcode: 'frobnicate.b32': frobnicate.b32 %w1, %w2;");
  EXPECT_EQ(of_statement("add.sat.s32 %w1, %w2, %w3;"), "line 10: unknown modifiers: 'add.sat.s32': add.sat.s32 %w1, %w2, %w3;");
  EXPECT_EQ(of_statement("ld.volatile.global.b32 %w1, [%d1];"), "line 10: unknown modifiers: 'ld.volatile.global.b32': ld.volatile.global.b32 %w1, [%d1];");
  EXPECT_EQ(of_statement("bar.sync 0;"), "line 10: unknown opcode: 'bar.sync': bar.sync 0;");
  EXPECT_EQ(of_statement("atom.global.add.f32 %w1, [%d1], %w2;"), "line 10: unknown opcode: 'atom.global.add.f32': atom.global.add.f32 %w1, [%d1], %w2;");
  EXPECT_EQ(of_statement(".loc 1 2 3;"), "line 10: unknown directive: '.loc': .loc 1 2 3;");
  EXPECT_EQ(refusal(".version 7.0\n.target sm_80\n.address_size 64\n.extern .func f();\n"), "line 4: unknown directive: '.extern': .extern .func f();");
  EXPECT_EQ(refusal(".version 7.0\n.target sm_80\n.address_size 32\n"), "line 4: addresses of 64 bits only: ");
}

TEST(PtxParse, InstructionsWhoseResultIsTheDevicesOwnAreRefused) {
  EXPECT_EQ(of_statement("ex2.approx.f32 %w1, %w2;"), "line 10: 'ex2.approx.f32' is approximate: its result is the device's own: ex2.approx.f32 %w1, %w2;");
  EXPECT_EQ(of_statement("div.full.f32 %w1, %w2, %w3;"), "line 10: 'div.full.f32' is approximate: its result is the device's own: div.full.f32 %w1, %w2, %w3;");
  EXPECT_EQ(of_statement("add.rn.ftz.f32 %w1, %w2, %w3;"), "line 10: 'add.rn.ftz.f32' flushes subnormal numbers: add.rn.ftz.f32 %w1, %w2, %w3;");
  EXPECT_EQ(of_statement("mul.f32 %w1, %w2, %w3;"), "line 10: 'mul.f32' names no rounding or another than .rn: without one it may be fused: mul.f32 %w1, %w2, %w3;");
  EXPECT_EQ(of_statement("add.rz.f64 %d1, %d2, %d3;"), "line 10: 'add.rz.f64' names no rounding or another than .rn: without one it may be fused: add.rz.f64 %d1, %d2, %d3;");
}

TEST(PtxParse, OperandsHaveTheWidthOfTheInstruction) {
  EXPECT_EQ(of_statement("add.s32 %w1, %w2, %d3;"), "line 10: '%d3' has 64 bits, the instruction takes 32: add.s32 %w1, %w2, %d3;");
  EXPECT_EQ(of_statement("setp.lt.s32 %w1, %w2, %w3;"), "line 10: '%w1' has 32 bits, the instruction takes 0: setp.lt.s32 %w1, %w2, %w3;");
  EXPECT_EQ(of_statement("ld.global.b32 %h1, [%d1];"), "line 10: '%h1' has 16 bits, the instruction takes 32: ld.global.b32 %h1, [%d1];");
  EXPECT_EQ(of_statement("add.s32 %w1, %w9, 1;"), "line 10: no register or variable '%w9': add.s32 %w1, %w9, 1;");
  EXPECT_EQ(of_statement("add.s32 %w1, %w01, 1;"), "line 10: no register or variable '%w01': add.s32 %w1, %w01, 1;");
  EXPECT_EQ(of_statement("add.rn.f32 %w1, %w2, 1;"), "line 10: a whole number in an instruction on reals: add.rn.f32 %w1, %w2, 1;");
  EXPECT_EQ(of_statement("add.s32 %w1, %w2, 0f3F800000;"), "line 10: a number of 32 bits in an instruction of another type: add.s32 %w1, %w2, 0f3F800000;");
  EXPECT_EQ(of_statement("add.rn.f64 %d1, %d2, 0f3F800000;"), "line 10: a number of 32 bits in an instruction of another type: add.rn.f64 %d1, %d2, 0f3F800000;");
  EXPECT_EQ(of_statement("add.s32 %w1, %w2, 4294967296;"), "line 10: a number of more than 32 bits: add.s32 %w1, %w2, 4294967296;");
  EXPECT_EQ(of_statement("add.s32 %w1, %w2, -2147483648;"), "accepted");
  EXPECT_EQ(of_statement("and.b64 %d1, %d2, 0xFFFFFFFFFFFFFFFF;"), "accepted");
}

TEST(PtxParse, MistakesOfTheText) {
  EXPECT_EQ(of_statement("add.s32 %w1, %w2;"), "line 10: expected ',', found ';': add.s32 %w1, %w2;");
  EXPECT_EQ(of_statement("add.s32 %w1, %w2, %w3"), "line 11: expected ';', found 'ret': ret;");
  EXPECT_EQ(of_statement("bra L;"), "line 13: no label 'L': ");
  EXPECT_EQ(of_statement("L: L: ret;"), "line 10: label 'L' a second time: L: L: ret;");
  EXPECT_EQ(of_statement(".reg .b32 %w<3>;"), "line 10: register '%w' a second time: .reg .b32 %w<3>;");
  EXPECT_EQ(of_statement("/* never ends"), "line 10: a comment does not end");
  EXPECT_EQ(of_statement("add.s32 %w1, %w2, 1 ?;"), "line 10: unexpected character '?'");
  EXPECT_EQ(of_statement("st.param.b32 [p], %w1;"), "line 10: 'st.param.b32' writes what only the host may write: st.param.b32 [p], %w1;");
  EXPECT_EQ(of_statement("ld.global.b32 %w1, [p];"), "line 10: 'p' lies in another memory: ld.global.b32 %w1, [p];");
  EXPECT_EQ(refusal(""), "line 1: expected '.version', found the end of the text: ");
  EXPECT_EQ(refusal(".version 7.0\n.target sm_80\n.address_size 64\n.visible .entry k() {\n"), "line 5: expected an instruction, found the end of the text: ");
}

TEST(PtxParse, ScopesOfRegistersEnd) {
  EXPECT_EQ(of_statement("{ .reg .b32 t; mov.b64 {t, %w1}, %d1; }"), "accepted");
  EXPECT_EQ(of_statement("{ .reg .b32 t; } mov.b32 %w1, t;"), "line 10: no register or variable 't': { .reg .b32 t; } mov.b32 %w1, t;");
}

TEST(PtxParse, ParametersAreLaidOutByTheirAlignment) {
  const Result<Module> module = parse(kernel_text(
      ".param .u32 a, .param .u64 .ptr .global .align 16 b, .param .b8 c, .param .align 8 .b8 d[12], .param .f32 e", ""));
  ASSERT_TRUE(module.ok()) << module.error();
  const std::vector<Parameter>& parameters = module->functions[0].parameters;
  ASSERT_EQ(parameters.size(), 5u);
  const uint32_t offsets[] = {0, 8, 16, 24, 36}, sizes[] = {4, 8, 1, 12, 4};
  for (size_t k = 0; k < 5; ++k) {
    EXPECT_EQ(parameters[k].offset, offsets[k]) << parameters[k].name;
    EXPECT_EQ(parameters[k].bytes, sizes[k]) << parameters[k].name;
  }
  EXPECT_EQ(module->functions[0].parameter_bytes, 40u);
}

}  // namespace
}  // namespace hebb::emulator

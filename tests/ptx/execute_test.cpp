// Threads, memory and its faults, the order of threads.

#include <functional>

#include "tests/ptx/one_instruction.h"

namespace hebb::emulator {
namespace {

struct Ran {
  RunResult result;
  std::vector<uint32_t> words;
};

/// Runs the statements of a kernel on words of memory, whose address is in %d1, their number in %w1 and
/// the number of the thread in %w2; %d2 is the address of that thread's word.
Ran run_on(std::vector<uint32_t> words, const Grid& grid, const std::string& body, const RunOptions& options = {}, size_t given = ~size_t(0)) {
  const std::string start =
      "ld.param.b64 %d1, [p];\nld.param.b32 %w1, [n];\nmov.u32 %w3, %ctaid.x;\nmov.u32 %w4, %ntid.x;\nmov.u32 %w5, %tid.x;\n"
      "mad.lo.s32 %w2, %w3, %w4, %w5;\nmul.wide.u32 %d2, %w2, 4;\nadd.s64 %d2, %d1, %d2;\n";
  const Result<Module> module = parse(kernel_text(".param .u64 p, .param .u32 n", start + body + "\n"));
  EXPECT_TRUE(module.ok()) << module.error();
  DeviceMemory memory;
  struct { uint64_t address; uint32_t count; } parameters{memory.allocate(4 * words.size()), static_cast<uint32_t>(words.size())};
  memory.write(parameters.address, words.data(), 4 * std::min(given, words.size()));
  Ran ran;
  ran.result = run(*module, module->functions[0], grid, {reinterpret_cast<const uint8_t*>(&parameters), 12}, memory, options);
  memory.read(parameters.address, words.data(), 4 * words.size(), false);
  ran.words = words;
  return ran;
}

void expect_fault(const Ran& ran, FaultKind kind, const std::string& part) {
  ASSERT_FALSE(ran.result.ok);
  EXPECT_EQ(ran.result.fault.kind, kind) << ran.result.fault.message;
  EXPECT_NE(ran.result.fault.message.find(part), std::string::npos) << ran.result.fault.message;
}

constexpr Grid kTwelve = {.blocks = {3, 1, 1}, .threads = {4, 1, 1}};

TEST(PtxExecute, EveryThreadRunsOnceInAnyOrder) {
  for (const uint64_t order : {0, 1, 2, 99}) {
    const Ran ran = run_on(std::vector<uint32_t>(12, 5), kTwelve, "ld.global.b32 %w6, [%d2];\nmad.lo.s32 %w6, %w2, 10, %w6;\nst.global.b32 [%d2], %w6;", {.order = order});
    ASSERT_TRUE(ran.result.ok) << ran.result.fault.message;
    EXPECT_EQ(ran.result.counts.threads, 12u);
    EXPECT_EQ(ran.result.counts.instructions, 12u * 12);
    for (uint32_t k = 0; k < 12; ++k) EXPECT_EQ(ran.words[k], 10 * k + 5);
  }
}

TEST(PtxExecute, ThreeDimensionsOfBlocksAndThreads) {
  const Grid grid = {.blocks = {2, 3, 2}, .threads = {2, 1, 2}};
  const Ran ran = run_on(std::vector<uint32_t>(48, 0), grid,
                         "mov.u32 %w1, %ctaid.z;\nmov.u32 %w2, %nctaid.y;\nmov.u32 %w3, %ctaid.y;\nmad.lo.s32 %w1, %w1, %w2, %w3;\n"
                         "mov.u32 %w2, %nctaid.x;\nmov.u32 %w3, %ctaid.x;\nmad.lo.s32 %w1, %w1, %w2, %w3;\nmov.u32 %w3, %tid.z;\n"
                         "mov.u32 %w2, %ntid.z;\nmad.lo.s32 %w1, %w1, %w2, %w3;\nmov.u32 %w3, %tid.x;\nmad.lo.s32 %w1, %w1, 2, %w3;\n"
                         "mul.wide.u32 %d2, %w1, 4;\nadd.s64 %d2, %d2, %d1;\nst.global.b32 [%d2], %w1;");
  ASSERT_TRUE(ran.result.ok) << ran.result.fault.message;
  for (uint32_t k = 0; k < 48; ++k) EXPECT_EQ(ran.words[k], k);
}

TEST(PtxExecute, LoopsAndGuards) {
  const Ran ran = run_on(std::vector<uint32_t>(12, 0), kTwelve,
                         "mov.u32 %w6, 0;\nmov.u32 %w7, 0;\nLOOP: setp.ge.u32 %p1, %w7, %w2;\n@%p1 bra DONE;\n"
                         "add.s32 %w7, %w7, 1;\nand.b32 %w8, %w7, 1;\nsetp.eq.u32 %p2, %w8, 1;\n@%p2 add.s32 %w6, %w6, %w7;\n"
                         "@!%p2 add.s32 %w6, %w6, 100;\nbra.uni LOOP;\nDONE: st.global.b32 [%d2], %w6;");
  ASSERT_TRUE(ran.result.ok) << ran.result.fault.message;
  for (uint32_t k = 0; k < 12; ++k) {
    uint32_t sum = 0;
    for (uint32_t j = 1; j <= k; ++j) sum += j % 2 ? j : 100;
    EXPECT_EQ(ran.words[k], sum);
  }
}

TEST(PtxExecute, HalvesVectorsAndNarrowLoads) {
  const Ran ran = run_on({0x80ff7f01, 2, 3, 4, 0, 0, 0, 0}, {},
                         "ld.global.v4.b32 {%w1, %w2, %w3, %w4}, [%d1];\nmov.b64 %d3, {%w2, %w3};\nmov.b64 {_, %w5}, %d3;\n"
                         "ld.global.s8 %w6, [%d1+3];\nld.global.u8 %w7, [%d1+2];\nld.global.u16 %h1, [%d1+0];\ncvt.u32.u16 %w8, %h1;\n"
                         "st.global.v2.b32 [%d1+16], {%w5, %w6};\nst.global.v2.b32 [%d1+24], {%w7, %w8};");
  ASSERT_TRUE(ran.result.ok) << ran.result.fault.message;
  EXPECT_EQ(ran.words, (std::vector<uint32_t>{0x80ff7f01, 2, 3, 4, 3, 0xffffff80, 0xff, 0x7f01}));
}

TEST(PtxExecute, AddressesOutsideAnAllocationAreFaults) {
  const std::string load = "ld.global.b32 %w6, [%d2];", store = "st.global.b32 [%d2], %w2;";
  Ran ran = run_on(std::vector<uint32_t>(11, 0), kTwelve, load);
  expect_fault(ran, FaultKind::Address, "kernel 'k', line 18, block (2, 0, 0), thread (3, 0, 0): reads 4 bytes at");
  expect_fault(ran, FaultKind::Address, "0 bytes past the end of the 44 at 0x7");
  expect_fault(ran, FaultKind::Address, "ld.global.b32 %w6, [%d2];");
  expect_fault(run_on(std::vector<uint32_t>(11, 0), kTwelve, store), FaultKind::Address, "writes 4 bytes at");
  expect_fault(run_on({1}, {}, "ld.global.b32 %w6, [%d1+-4];"), FaultKind::Address, "4 bytes before the 4 at");
  expect_fault(run_on({1}, {}, "mov.b64 %d1, 0;\nld.global.b32 %w6, [%d1];"), FaultKind::Address, "far from any allocation");
  expect_fault(run_on({1, 2}, {}, "ld.global.b64 %d3, [%d1+4];"), FaultKind::Misaligned, "is not a multiple of 8");
  expect_fault(run_on({1}, {}, "ld.global.b64 %d3, [%d1];"), FaultKind::Address, "reads 8 bytes");
  expect_fault(run_on({1}, {}, "ld.param.b32 %w6, [p+12];"), FaultKind::Address, "outside the 12 bytes of parameters");
}

TEST(PtxExecute, BytesThatNobodyWroteAreNotRead) {
  const std::string copy = "ld.global.b32 %w6, [%d2];\nst.global.b32 [%d2], %w6;";
  expect_fault(run_on(std::vector<uint32_t>(12, 0), kTwelve, copy, {}, 11), FaultKind::Address, "reads what nobody wrote");
  EXPECT_TRUE(run_on(std::vector<uint32_t>(12, 0), kTwelve, copy).result.ok);
  EXPECT_TRUE(run_on(std::vector<uint32_t>(12, 0), kTwelve, "st.global.b32 [%d2], %w2;\nld.global.b32 %w6, [%d2];", {}, 0).result.ok);
}

TEST(PtxExecute, ThreadsOfOneLaunchShareNothingThatIsWritten) {
  for (const uint64_t order : {0, 5}) {
    const RunOptions options{.order = order};
    const std::vector<uint32_t> words(12, 0);
    expect_fault(run_on(words, kTwelve, "st.global.b32 [%d1], %w2;", options), FaultKind::Launch, "writes what thread");
    expect_fault(run_on(words, kTwelve, "st.global.b32 [%d1], 7;", options), FaultKind::Launch, "wrote in this launch");  // the same value too
    expect_fault(run_on(words, {.threads = {2, 1, 1}}, "xor.b32 %w2, %w2, 1;\nmul.wide.u32 %d3, %w2, 4;\nadd.s64 %d3, %d1, %d3;\nld.global.b32 %w6, [%d3];\nst.global.b32 [%d2], %w6;", options),
                 FaultKind::Launch, "in this launch");
    // All read the last word, and the last thread writes it.
    expect_fault(run_on(words, kTwelve, "ld.global.b32 %w6, [%d1+44];\nsetp.ne.s32 %p1, %w2, 11;\n@%p1 bra END;\nst.global.b32 [%d1+44], %w6;\nEND:", options), FaultKind::Launch, "in this launch");
    EXPECT_TRUE(run_on(words, kTwelve, "ld.global.b32 %w6, [%d1+44];", options).result.ok);
  }
}

TEST(PtxExecute, TheReadOnlyPathSeesNoWrite) {
  expect_fault(run_on({1}, {}, "ld.global.nc.b32 %w6, [%d1];\nst.global.b32 [%d1], %w6;"), FaultKind::Launch, "writes what");
  expect_fault(run_on({1}, {}, "st.global.b32 [%d1], 3;\nld.global.nc.b32 %w6, [%d1];"), FaultKind::Launch, "reads what");
  EXPECT_TRUE(run_on({1}, {}, "ld.global.b32 %w6, [%d1];\nst.global.b32 [%d1], %w6;").result.ok);
}

TEST(PtxExecute, LocalMemoryBelongsToItsThread) {
  const std::string declare = ".local .align 8 .b8 depot[16];\n.reg .b64 %SP, %SPL;\nmov.b64 %SPL, depot;\ncvta.local.u64 %SP, %SPL;\n";
  const Ran ran = run_on(std::vector<uint32_t>(12, 0), kTwelve,
                         declare + "st.local.b32 [%SPL+4], %w2;\nadd.s64 %d3, %SP, 4;\nld.b32 %w6, [%d3];\nld.local.b32 %w7, [depot+4];\n"
                                   "add.s32 %w6, %w6, %w7;\nst.global.b32 [%d2], %w6;");
  ASSERT_TRUE(ran.result.ok) << ran.result.fault.message;
  for (uint32_t k = 0; k < 12; ++k) EXPECT_EQ(ran.words[k], 2 * k);
  const std::string once = "setp.ne.s32 %p1, %w2, 0;\n@%p1 bra READ;\nst.local.b32 [depot], 1;\nREAD: ld.local.b32 %w6, [depot];";
  expect_fault(run_on(std::vector<uint32_t>(12, 0), kTwelve, declare + once), FaultKind::Address, "local memory that nobody wrote");
  expect_fault(run_on({1}, {}, declare + "st.local.b32 [depot+16], 1;"), FaultKind::Address, "outside the local memory of 16 bytes");
  expect_fault(run_on({1}, {}, declare + "ld.global.b32 %w6, [%SPL];"), FaultKind::Address, "far from any allocation");
}

TEST(PtxExecute, TablesOfTheModuleAreReadNotWritten) {
  const auto with_table = [](const std::string& body) {
    return cat(".version 7.0\n.target sm_80\n.address_size 64\n.const .align 4 .b8 bytes[4] = {1, 2, 0xff, 4};\n.global .f64 real = 0d3FF0000000000000;\n",
               ".visible .entry k(.param .u64 p)\n{\n.reg .b32 %w<3>;\n.reg .b64 %d<5>;\nld.param.b64 %d1, [p];\n", body, "\nret;\n}\n");
  };
  const auto ran = [&](const std::string& body, uint64_t* word) {
    const Result<Module> module = parse(with_table(body));
    EXPECT_TRUE(module.ok()) << module.error();
    DeviceMemory memory;
    load_variables(*module, memory);
    const uint64_t address = memory.allocate(8);
    const RunResult result = run(*module, module->functions[0], {}, {reinterpret_cast<const uint8_t*>(&address), 8}, memory);
    memory.read(address, word, 8, false);
    return result;
  };
  uint64_t word = 0;
  EXPECT_TRUE(ran("ld.const.b32 %w1, [bytes];\nst.global.b32 [%d1], %w1;\nmov.b64 %d2, bytes;\nld.global.u8 %w2, [%d2+2];\nst.global.b32 [%d1+4], %w2;", &word).ok);
  EXPECT_EQ(word, 0xff'04ff0201ull);
  EXPECT_TRUE(ran("ld.global.f64 %d2, [real];\nst.global.b64 [%d1], %d2;", &word).ok);
  EXPECT_EQ(word, 0x3FF0000000000000u);
  const RunResult written = ran("st.global.b32 [bytes], 1;", &word);
  EXPECT_NE(written.fault.message.find("writes what it may only read"), std::string::npos) << written.fault.message;
}

TEST(PtxExecute, LaunchesThatCannotBe) {
  expect_fault(run_on({1}, {.blocks = {0, 1, 1}}, ""), FaultKind::Launch, "a grid of no or too many threads");
  expect_fault(run_on({1}, {.blocks = {1u << 31, 4, 1}}, ""), FaultKind::Launch, "a grid of no or too many threads");
  expect_fault(run_on({1}, {.threads = {1025, 1, 1}}, ""), FaultKind::Launch, "blocks of more than 1024 threads");
  expect_fault(run_on({1}, {}, "L: bra L;", {.steps_per_launch = 1000}), FaultKind::Timeout, "more than 1000 instructions in one launch");
  expect_fault(run_on({1}, {}, "trap;"), FaultKind::Launch, "traps");
}

TEST(PtxExecute, FreedMemoryIsNamed) {
  DeviceMemory memory;
  const uint64_t address = memory.allocate(100);
  EXPECT_EQ(memory.bytes_in_use(), 100u);
  EXPECT_TRUE(memory.free(address));
  EXPECT_FALSE(memory.free(address));
  EXPECT_EQ(memory.bytes_in_use(), 0u);
  EXPECT_NE(memory.describe(address + 50).find("which was freed"), std::string::npos);
  EXPECT_NE(memory.allocate(100), address);
}

}  // namespace
}  // namespace hebb::emulator

// Kernels over all pairs.

#include "compiler/codegen/emit_columns.h"
#include "compiler/codegen/kernel_emitter.h"

namespace hebb::emitting {
namespace {

/// The columns of one posts loop are walked in tiles of this many posts when a running sum per post has
/// to be kept on the stack.
constexpr int64_t kScratchPosts = 512;

/// Bytes of a matrix for which tiles pay, and how many posts they have; measured with bench/.
constexpr int64_t kCacheTileFrom = 1 << 20, kCacheTileTo = 16 << 20, kCacheTilePosts = 128;

}  // namespace

Value* KernelEmitter::padded_end() {
  if (is_chain()) return launch_.post_end;
  Value* up = b_.CreateAnd(b_.CreateNSWAdd(launch_.post_end, b_.getInt64(15)), ~uint64_t{15});
  Value* is_last = b_.CreateICmpEQ(launch_.post_end, launch_.post_count);
  return b_.CreateSelect(is_last, up, launch_.post_end, "post_padded_end");
}

void KernelEmitter::emit_dense() {
  Value* const begin = launch_.post_begin;
  Value* const end = padded_end();
  if (options_.math == MathMode::Exact && goes_by_columns(program_, kernel_, stages_, registers())) return emit_by_columns(begin, end);
  if (!has_scan(At::Pre)) {
    if (is_chain()) return emit_rows(begin, end);
    if (!layout_.memory_bound || matrix_bytes() < kCacheTileFrom) return emit_rows(begin, end);
    return emit_tiles(begin, end, cache_tile(begin, end), /*to_and_fro=*/true);
  }
  // A chain along posts must see all of them in one go, else tiles keep the scratch small.
  const bool whole = has_sum(At::Uniform) || has_scan(At::Post);
  Value* tile = whole ? b_.CreateNSWSub(end, begin) : b_.getInt64(kScratchPosts);
  for (const Scan& scan : kernel_.scans)
    if (scan.along == At::Pre)
      scratch_[scan.as.value] = b_.CreateAlloca(real_, tile, program_[scan.as].name);
  emit_tiles(begin, end, tile, /*to_and_fro=*/false);
}

int KernelEmitter::registers() const { return options_.vector_bits == 512 ? 32 : 16; }

void KernelEmitter::emit_by_columns(Value* begin, Value* end) {
  const unsigned lanes = options_.vector_bits / real_->getPrimitiveSizeInBits();
  const ColumnLoops loops{.program = program_, .kernel = kernel_, .stages = stages_, .builder = b_, .function = function_,
                          .aliases = aliases_, .real = real_, .lanes = lanes, .row = launch_.row,
                          .pre_begin = launch_.pre_begin, .pre_end = launch_.pre_end,
                          .element = [&](ColumnId column, uint32_t element) { return element_pointer({column, element}); },
                          .uniform = [&](ExprId id) { return shared_[id.value]; }};
  // Rows a large power of two apart meet in the cache, and many of them are more than it holds.
  constexpr uint64_t kMeet = 512;
  Value* const row = b_.CreateNSWMul(launch_.row, b_.getInt64(real_->getPrimitiveSizeInBits() / 8));
  Value* const all = b_.CreateNSWMul(b_.CreateNSWMul(row, b_.CreateNSWSub(launch_.pre_end, launch_.pre_begin)), b_.getInt64(dense_places()));
  Value* const by_rows = b_.CreateOr(b_.CreateIsNull(b_.CreateAnd(row, kMeet - 1)), b_.CreateICmpSGT(all, b_.getInt64(kCacheTileFrom)));
  Value* const vectors = b_.CreateAnd(b_.CreateNSWSub(end, begin), ~uint64_t{lanes - 1});
  Value* const middle = b_.CreateSelect(by_rows, begin, b_.CreateNSWAdd(begin, vectors));
  emit_columns(loops, begin, middle);
  emit_rows(middle, end);
}

Value* KernelEmitter::cache_tile(Value* begin, Value* end) {
  Value* const posts = b_.CreateNSWSub(end, begin);
  Value* const rows = b_.CreateNSWSub(launch_.pre_end, launch_.pre_begin);
  Value* const bytes = b_.CreateNSWMul(
      b_.CreateNSWMul(posts, rows), b_.getInt64(dense_places() * real_->getPrimitiveSizeInBits() / 8));
  Value* const fits = b_.CreateAnd(b_.CreateICmpSGE(bytes, b_.getInt64(kCacheTileFrom)),
                                   b_.CreateICmpSLE(bytes, b_.getInt64(kCacheTileTo)));
  return b_.CreateSelect(fits, b_.getInt64(kCacheTilePosts), posts, "tile");
}

int64_t KernelEmitter::matrix_bytes() const {
  const Space& domain = program_[kernel_.domain];
  return program_[domain.pre].size * program_[domain.post].size * dense_places() *
         static_cast<int64_t>(real_->getPrimitiveSizeInBits() / 8);
}

int64_t KernelEmitter::dense_places() const {
  std::map<Place, bool> places;
  for (const Store& effect : kernel_.stores) places[{effect.into, effect.element}];
  for (const Place& place : self_loads()) places[place];
  return static_cast<int64_t>(places.size());
}

void KernelEmitter::emit_tiles(Value* begin, Value* end, Value* tile, bool to_and_fro) {
  Value* const posts = b_.CreateNSWSub(end, begin);
  Value* const at_least_one = b_.CreateSelect(b_.CreateICmpSGT(tile, b_.getInt64(1)), tile, b_.getInt64(1));
  Value* const round_up = b_.CreateNSWSub(at_least_one, b_.getInt64(1));
  Value* const count = b_.CreateSDiv(b_.CreateNSWAdd(posts, round_up), at_least_one);
  Value* const last = b_.CreateNSWSub(count, b_.getInt64(1));
  Value* const odd = b_.CreateTrunc(launch_.step, b_.getInt1Ty());
  loop("tile", b_.getInt64(0), count, b_.getInt64(1), [&](Value* index) {
    if (to_and_fro) index = b_.CreateSelect(odd, b_.CreateNSWSub(last, index), index);
    Value* const tile_begin = b_.CreateNSWAdd(begin, b_.CreateNSWMul(index, at_least_one));
    Value* const past = b_.CreateNSWAdd(tile_begin, at_least_one);
    Value* const tile_end = b_.CreateSelect(b_.CreateICmpSLT(past, end), past, end);
    clear_scratch(tile_begin, tile_end);
    emit_rows(tile_begin, tile_end);
  });
}

void KernelEmitter::clear_scratch(Value* begin, Value* end) {
  if (scratch_.empty()) return;
  tile_begin_ = begin;
  loop("clear", begin, end, b_.getInt64(1), [&](Value* post) {
    for (const Scan& scan : kernel_.scans)
      if (scan.along == At::Pre)
        store(llvm::ConstantFP::get(real_, 0.0), scratch_pointer(scan, post), scan.as);
  });
}

Value* KernelEmitter::scratch_pointer(const Scan& scan, Value* post) {
  return offset(scratch_.at(scan.as.value), b_.CreateNSWSub(post, tile_begin_));
}

void KernelEmitter::emit_rows(Value* post_begin, Value* post_end) {
  const int together = layout_.rows_together;
  Value* middle = launch_.pre_begin;
  if (together > 1) {
    Value* count = b_.CreateNSWSub(launch_.pre_end, launch_.pre_begin);
    Value* blocks = b_.CreateAnd(count, ~static_cast<uint64_t>(together - 1));
    middle = b_.CreateNSWAdd(launch_.pre_begin, blocks, "pre_middle");
    loop("pre", launch_.pre_begin, middle, b_.getInt64(together),
         [&](Value* pre) { emit_pre(pre, together, post_begin, post_end); });
  }
  loop("pre.rest", middle, launch_.pre_end, b_.getInt64(1),
       [&](Value* pre) { emit_pre(pre, 1, post_begin, post_end); });
}

void KernelEmitter::emit_pre(Value* pre, int count, Value* post_begin, Value* post_end) {
  std::vector<RowValues> rows(count);
  for (int lane = 0; lane < count; ++lane) {
    RowValues& row = rows[lane];
    row.nodes.resize(program_.pool.size());
    row.index = lane == 0 ? pre : b_.CreateNSWAdd(pre, b_.getInt64(lane));
    find_rows(row);
    for (const uint32_t id : stages_.pre) compute(id, nullptr, row, lane);
    for (const Accumulate& sum : kernel_.accumulates)
      if (sum.at == At::Pre) open_running(sum, lane, offset(element_pointer(place(sum)), row.index));
    for (const Scan& scan : kernel_.scans) {
      if (scan.along != At::Post) continue;
      Value*& slot = running(scan.as, 0, lane);
      if (slot == nullptr) slot = variable(program_[scan.as].name + ".sum");
      b_.CreateStore(llvm::ConstantFP::get(real_, 0.0), slot);
    }
  }
  emit_post_loop(rows, count, post_begin, post_end);
  for (int lane = 0; lane < count; ++lane)
    for (const Accumulate& sum : kernel_.accumulates)
      if (sum.at == At::Pre)
        close_running(sum, lane, offset(element_pointer(place(sum)), rows[lane].index));
}

void KernelEmitter::find_rows(RowValues& row) {
  const auto find = [&](Place place) {
    if (row.pointers.contains(place)) return;
    Value* distance = b_.CreateNSWMul(row.index, launch_.row);
    row.pointers[place] = b_.CreateInBoundsGEP(real_, element_pointer(place), distance);
  };
  for (const Place& place : self_loads()) find(place);
  for (const Store& effect : kernel_.stores) find({effect.into, effect.element});
}

}  // namespace hebb::emitting

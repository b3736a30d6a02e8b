// Kernels over some of the pairs.

#include "compiler/codegen/cut_blocks.h"
#include "compiler/codegen/kernel_emitter.h"
#include "compiler/program/row_order.h"

namespace hebb::emitting {
namespace {

/// Synapses of a neuron from which on vectors of them pay; and where each takes so many multiply-adds.
constexpr double kShortRow = 64, kShortLongRow = 4;
constexpr int kLongSynapse = 100;

/// Multiply-adds of a synapse from which on vectors pay that are gathered a number at a time, where no synapse is asked whether it
/// needs a rare arm.
constexpr int kGatheredSynapse = 12;

/// Rows of spiking neurons that are asked for before they are computed.
constexpr int64_t kRowsAhead = 2;

/// Synapses of a row for which it is decided together whether one of them needs what few do; a multiple of every vector.
constexpr int64_t kSynapseChunk = 64;

}  // namespace

Value* KernelEmitter::index_at(Value* array, Value* at, unsigned bits, const char* name) {
  llvm::Type* type = b_.getIntNTy(bits);
  llvm::LoadInst* load = b_.CreateLoad(type, b_.CreateInBoundsGEP(type, array, at), name);
  load->setMetadata(llvm::LLVMContext::MD_invariant_load, llvm::MDNode::get(context_, {}));
  note_parallel(load);
  return bits == 64 ? load : b_.CreateZExt(load, b_.getInt64Ty(), name);
}

unsigned KernelEmitter::index_bits(SpaceId neurons) const {
  return static_cast<unsigned>(8 * index_bytes(program_[neurons].size));
}

bool KernelEmitter::gathers_pay() const {
  // Vectors of 256 bits are gathered, and scattered, a number at a time: only enough arithmetic pays for that.
  constexpr unsigned kNoScatter = 256, kScatter = 512;
  if (options_.vector_bits == kScatter) return true;
  const int least = rare_.selects.empty() ? kGatheredSynapse : kLongSynapse;
  return options_.vector_bits == kNoScatter && synapse_work(program_, kernel_, stages_) >= least;
}

llvm::MDNode* KernelEmitter::synapse_hints() {
  if (!gathers_pay() || has_sum(At::Pre) || has_sum(At::Uniform)) return nullptr;
  const bool is_long = synapse_work(program_, kernel_, stages_) >= kLongSynapse;
  const bool in_chunks = !rare_.selects.empty();
  if (expected_row() < (is_long ? kShortLongRow : kShortRow)) return nullptr;
  parallel_ = llvm::MDNode::getDistinct(context_, {});
  return vector_hints(is_long || in_chunks);
}

bool KernelEmitter::is_packed() const {
  constexpr unsigned kNarrowest = 128, kScatter = 512;
  const bool has_draw = std::any_of(long_order_.begin(), long_order_.end(), [&](uint32_t id) { return program_.pool[ExprId{id}].op == Op::Draw; });
  return !long_order_.empty() && options_.vector_bits >= kNarrowest && options_.vector_bits < kScatter && rounds_.most == 0 &&
         kernel_.scans.empty() && !has_sum(At::Pre) && !has_sum(At::Uniform) && !has_draw && expected_row() >= kShortLongRow;
}

bool KernelEmitter::is_of_synapse(uint32_t id) const {
  return kernel_.rows == Rows::OfPost ? stages_.level[id] != kUniform : (stages_.level[id] & kPost) != 0;
}

void KernelEmitter::order_long_synapse() {
  if (domain_ != SpaceKind::Sparse || synapse_work(program_, kernel_, stages_) < kLongSynapse) return;
  const ExprPool& pool = program_.pool;
  const bool of_post = kernel_.rows == Rows::OfPost;
  const auto of_synapse = [&](uint32_t id) { return stages_.live[id] && is_of_synapse(id); };
  std::vector<bool> inside(pool.size());
  for (uint32_t id = 0; id < pool.size(); ++id)
    inside[id] = of_synapse(id) && !info(pool[ExprId{id}].op).is_leaf && !(of_post && stages_.level[id] == kPost);
  std::vector<RowEffect> effects;
  for (const Store& store : kernel_.stores) effects.push_back({{store.value}});
  for (const Accumulate& sum : kernel_.accumulates) effects.push_back({taken_by(pool, sum)});
  // What is read, and what is the same along a column, comes first.
  for (uint32_t id = 0; id < pool.size(); ++id)
    if (of_synapse(id) && !inside[id]) long_order_.push_back(id);
  for (const uint32_t id : order_of_row(pool, inside, effects).order)
    if (id < pool.size()) long_order_.push_back(id);
  function_->addFnAttr(kLongBlocks);
}

double KernelEmitter::expected_row() const {
  const Space& domain = program_[kernel_.domain];
  const auto pres = static_cast<double>(program_[domain.pre].size), posts = static_cast<double>(program_[domain.post].size);
  const Connect& how = domain.connect;
  double count = 0;
  switch (how.wiring) {
    case Wiring::All: count = pres * posts; break;
    case Wiring::OneToOne: count = pres; break;
    case Wiring::Random: count = how.p * pres * posts; break;
    case Wiring::FixedIndegree: count = static_cast<double>(how.degree) * posts; break;
    case Wiring::FixedOutdegree: count = static_cast<double>(how.degree) * pres; break;
    case Wiring::Distance: {  // posts in the disc, or under the bell
      const double disc = how.within > 0 ? 3.14 * how.within * how.within : posts;
      const double bell = how.sigma > 0 ? 6.28 * how.sigma * how.sigma : disc;
      count = pres * std::min(posts, how.p * std::min(disc, bell));
      break;
    }
    case Wiring::List: count = how.edges ? static_cast<double>(how.edges->size()) : 0; break;
  }
  return count / (kernel_.rows == Rows::OfPost ? posts : pres);
}

void KernelEmitter::emit_sparse() {
  if (is_packed()) find_strands();
  if (kernel_.rows == Rows::All)
    return loop("pre", launch_.pre_begin, launch_.pre_end, b_.getInt64(1),
                [&](Value* pre) { emit_synapses_of_pre(pre); });
  const bool ahead = kernel_.rows == Rows::OfPre;
  if (ahead)
    for (int64_t k = 0; k < kRowsAhead; ++k) fetch_row(b_.CreateNSWAdd(launch_.list_begin, b_.getInt64(k)));
  loop("list", launch_.list_begin, launch_.list_end, b_.getInt64(1), [&](Value* at) {
    Value* neuron = index_at(launch_.list, at, 32, "neuron");
    if (ahead) fetch_row(b_.CreateNSWAdd(at, b_.getInt64(kRowsAhead)));
    ahead ? emit_synapses_of_pre(neuron) : emit_synapses_of_post(neuron);
  });
}

void KernelEmitter::fetch_row(Value* at) {
  llvm::BasicBlock* const fetch = llvm::BasicBlock::Create(context_, "fetch", function_);
  llvm::BasicBlock* const after = llvm::BasicBlock::Create(context_, "fetched", function_);
  b_.CreateCondBr(b_.CreateICmpSLT(at, launch_.list_end), fetch, after);
  b_.SetInsertPoint(fetch);
  Value* const neuron = index_at(launch_.list, at, 32, "next");
  Value* const begin = index_at(launch_.row_begin, neuron, 64, "next_begin");
  Value* const end = index_at(launch_.row_end, neuron, 64, "next_end");
  std::map<Place, bool> written;
  for (const Place& place : self_loads()) written[place];
  for (const Store& effect : kernel_.stores) written[{effect.into, effect.element}] = true;
  constexpr unsigned kLine = 64, kMostLines = 8;  // of a column: the machine sees what a long row goes on with
  const auto lines = [&](Value* array, unsigned element_bytes, bool write) {
    Value* const per_line = b_.getInt64(kLine / element_bytes);
    Value* const most = b_.CreateNSWAdd(begin, b_.getInt64(kMostLines * kLine / element_bytes));
    loop("line", begin, b_.CreateSelect(b_.CreateICmpSLT(most, end), most, end), per_line, [&](Value* synapse) {
      Value* const where = b_.CreateInBoundsGEP(b_.getInt8Ty(), array, b_.CreateNSWMul(synapse, b_.getInt64(element_bytes)));
      b_.CreateIntrinsic(llvm::Intrinsic::prefetch, {b_.getPtrTy()},
                         {where, b_.getInt32(write ? 1 : 0), b_.getInt32(3), b_.getInt32(1)});
    });
  };
  lines(launch_.post_index, index_bits(program_[kernel_.domain].post) / 8, false);
  for (const auto& [place, write] : written) lines(element_pointer(place), real_->getPrimitiveSizeInBits() / 8, write);
  b_.CreateBr(after);
  b_.SetInsertPoint(after);
}

void KernelEmitter::emit_synapses_of_pre(Value* pre) {
  RowValues row;
  row.nodes.resize(program_.pool.size());
  row.index = pre;
  for (const uint32_t id : stages_.pre) compute(id, nullptr, row, 0);
  for (const Accumulate& sum : kernel_.accumulates)
    if (sum.at == At::Pre) open_running(sum, 0, offset(element_pointer(place(sum)), pre));
  Value* begin = index_at(launch_.row_begin, pre, 64, "row_begin");
  Value* end = index_at(launch_.row_end, pre, 64, "row_end");
  if (is_packed()) {
    emit_in_packs(begin, end, nullptr, row);
  } else if (rare_.selects.empty() && rounds_.most == 0) {
    emit_synapses(begin, end, row);
  } else {
    const int64_t chunk = rounds_.most > 0 ? kRoundChunk : kSynapseChunk;
    loop("chunk", begin, end, b_.getInt64(chunk), [&](Value* from) {
      Value* const past = b_.CreateNSWAdd(from, b_.getInt64(chunk));
      Value* const to = b_.CreateSelect(b_.CreateICmpSLT(past, end), past, end);
      if (rounds_.most > 0) {
        rounds_begin_ = from;
        emit_rounds(from, to, row);
      }
      if (rare_.selects.empty()) return emit_synapses(from, to, row);
      emit_either(b_.CreateIsNull(emit_rare(from, to, row)), [&](bool none) {
        none_is_rare_ = none;
        emit_synapses(from, to, row);
      });
      none_is_rare_ = false;
    });
  }
  for (const Accumulate& sum : kernel_.accumulates)
    if (sum.at == At::Pre) close_running(sum, 0, offset(element_pointer(place(sum)), pre));
}

void KernelEmitter::emit_synapses(Value* begin, Value* end, RowValues& row) {
  const unsigned bits = index_bits(program_[kernel_.domain].post);
  llvm::MDNode* const hints = synapse_hints();
  loop("synapse", begin, end, b_.getInt64(1), [&](Value* synapse) {
    row.synapse = synapse;
    emit_row_block(index_at(launch_.post_index, synapse, bits, "post"), {row}, 1);
  }, hints);
  parallel_ = nullptr;
}

Value* KernelEmitter::emit_rare(Value* begin, Value* end, RowValues& of_pre) {
  Value* const some = flag();
  const unsigned bits = index_bits(program_[kernel_.domain].post);
  std::vector<ExprId> conditions;
  for (const auto& [id, left] : rare_.selects) conditions.push_back(program_.pool[ExprId{id}].operands[0]);
  const std::vector<bool> needed = live_nodes(program_.pool, conditions);
  const auto wanted = [&](uint32_t id) { return id < needed.size() && needed[id]; };
  parallel_ = llvm::MDNode::getDistinct(context_, {});
  loop("rare", begin, end, b_.getInt64(1), [&](Value* synapse) {
    RowValues row = of_pre;
    row.synapse = synapse;
    Value* const post = index_at(launch_.post_index, synapse, bits, "post");
    for (const uint32_t id : stages_.post)
      if (wanted(id)) compute(id, post, row, 0);
    for (const uint32_t id : stages_.rows.back())
      if (wanted(id)) compute(id, post, row, 0);
    Value* any = b_.CreateLoad(b_.getInt32Ty(), some);
    for (const auto& [id, left] : rare_.selects) {
      Value* const holds = truth_of(b_, value(program_.pool[ExprId{id}].operands[0], row));
      any = b_.CreateOr(any, b_.CreateZExt(left == 1 ? b_.CreateNot(holds) : holds, b_.getInt32Ty()));
    }
    b_.CreateStore(any, some);
  }, gathers_pay() && !is_packed() ? vector_hints(/*masked=*/true) : nullptr);
  parallel_ = nullptr;
  return b_.CreateLoad(b_.getInt32Ty(), some);
}

void KernelEmitter::emit_synapses_of_post(Value* post) {
  Value* begin = index_at(launch_.column_begin, post, 64, "column_begin");
  Value* end = index_at(launch_.column_begin, b_.CreateNSWAdd(post, b_.getInt64(1)), 64, "column_end");
  if (is_packed()) {
    RowValues column;
    column.nodes.resize(program_.pool.size());
    return emit_in_packs(begin, end, post, column);
  }
  const unsigned bits = index_bits(program_[kernel_.domain].pre);
  const auto synapses = [&](Value* from, Value* to) {
    llvm::MDNode* const hints = synapse_hints();
    loop("synapse", from, to, b_.getInt64(1), [&](Value* at) {
      RowValues row;
      row.nodes.resize(program_.pool.size());
      row.index = index_at(launch_.pre_index, at, bits, "pre");
      row.synapse = index_at(launch_.synapse, at, 32, "synapse");
      if (long_order_.empty())
        for (const uint32_t id : stages_.pre) compute(id, nullptr, row, 0);
      emit_row_block(post, {row}, 1);
    }, hints);
    parallel_ = nullptr;
  };
  if (long_order_.empty()) return synapses(begin, end);
  // The synapses of a column lie apart, and long arithmetic hides the next ones from the machine.
  Value* const chunk = b_.getInt64(kSynapseChunk);
  const auto past = [&](Value* from) {
    Value* const to = b_.CreateNSWAdd(from, chunk);
    return b_.CreateSelect(b_.CreateICmpSLT(to, end), to, end);
  };
  fetch_synapses(begin, past(begin));
  loop("chunk", begin, end, chunk, [&](Value* from) {
    Value* const to = past(from);
    fetch_synapses(to, past(to));
    synapses(from, to);
  });
}

void KernelEmitter::fetch_synapses(Value* begin, Value* end) {
  std::map<Place, bool> written;
  for (const Place& place : self_loads()) written[place];
  for (const Store& effect : kernel_.stores) written[{effect.into, effect.element}] = true;
  loop("fetch", begin, end, b_.getInt64(1), [&](Value* at) {
    Value* const synapse = index_at(launch_.synapse, at, 32, "synapse");
    for (const auto& [place, write] : written)
      b_.CreateIntrinsic(llvm::Intrinsic::prefetch, {b_.getPtrTy()},
                         {offset(element_pointer(place), synapse), b_.getInt32(write ? 1 : 0), b_.getInt32(3), b_.getInt32(1)});
  });
}

std::vector<Place> KernelEmitter::self_loads() const {
  std::vector<Place> places;
  for (const std::vector<uint32_t>& ids : stages_.rows)
    for (const uint32_t id : ids) {
      const ExprNode node = program_.pool[ExprId{id}];
      if (node.op == Op::Load && node.leaf.at == At::Self)
        places.push_back({ColumnId{node.leaf.index}, node.leaf.element});
    }
  return places;
}

}  // namespace hebb::emitting

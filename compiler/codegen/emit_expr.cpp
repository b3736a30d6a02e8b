#include "compiler/codegen/emit_expr.h"

#include <llvm/IR/Module.h>

#include "compiler/codegen/math.h"

namespace hebb {
namespace {

using llvm::Intrinsic::ID;

}  // namespace

llvm::Value* truth_of(llvm::IRBuilder<>& builder, const NodeValue& value) {
  if (value.truth != nullptr) return value.truth;
  // Not a number counts as true, as `value != 0` does in C++.
  return builder.CreateFCmpUNE(value.number, llvm::ConstantFP::get(value.number->getType(), 0.0));
}

namespace {

NodeValue truth(llvm::IRBuilder<>& builder, llvm::Value* condition, llvm::Type* type) {
  llvm::Value* number = builder.CreateSelect(condition, llvm::ConstantFP::get(type, 1.0),
                                             llvm::ConstantFP::get(type, 0.0));
  return {.number = number, .truth = condition};
}

llvm::Value* call_math(llvm::IRBuilder<>& builder, const std::string& name,
                       std::span<llvm::Value* const> arguments, llvm::Type* type) {
  llvm::Module& module = *builder.GetInsertBlock()->getModule();
  const std::vector<llvm::Type*> parameters(arguments.size(), type);
  const llvm::FunctionCallee function =
      module.getOrInsertFunction(name, llvm::FunctionType::get(type, parameters, false));
  return builder.CreateCall(function, {arguments.data(), arguments.size()});
}

}  // namespace

NodeValue emit_constant(llvm::Type* type, double value) {
  if (type->isFloatTy())
    return {.number = llvm::ConstantFP::get(
                type->getContext(), llvm::APFloat(static_cast<float>(value)))};
  return {.number = llvm::ConstantFP::get(type->getContext(), llvm::APFloat(value))};
}

NodeValue emit_operation(llvm::IRBuilder<>& builder, Op op, std::span<const NodeValue> operands,
                         llvm::Type* type) {
  llvm::Value* v[3] = {};
  for (size_t k = 0; k < operands.size(); ++k) v[k] = operands[k].number;
  llvm::Value *a = v[0], *b = v[1], *c = v[2];
  llvm::Value* const zero = llvm::ConstantFP::get(type, 0.0);
  llvm::Value* const one = llvm::ConstantFP::get(type, 1.0);
  const auto number = [](llvm::Value* value) { return NodeValue{.number = value}; };
  const auto unary = [&](ID id) { return number(builder.CreateUnaryIntrinsic(id, a)); };

  switch (op) {
    case Op::Neg: return number(builder.CreateFNeg(a));
    case Op::Add: return number(builder.CreateFAdd(a, b));
    case Op::Sub: return number(builder.CreateFSub(a, b));
    case Op::Mul: return number(builder.CreateFMul(a, b));
    case Op::Div: return number(builder.CreateFDiv(a, b));
    case Op::Fma: return number(builder.CreateIntrinsic(llvm::Intrinsic::fma, {type}, {a, b, c}));
    case Op::Sqrt: return unary(llvm::Intrinsic::sqrt);
    case Op::Abs: return unary(llvm::Intrinsic::fabs);
    case Op::Floor: return unary(llvm::Intrinsic::floor);
    case Op::Ceil: return unary(llvm::Intrinsic::ceil);
    case Op::Round: return unary(llvm::Intrinsic::roundeven);
    case Op::Sign: {
      llvm::Value* below = builder.CreateSelect(builder.CreateFCmpOLT(a, zero),
                                                llvm::ConstantFP::get(type, -1.0), a);
      return number(builder.CreateSelect(builder.CreateFCmpOGT(a, zero), one, below));
    }
    case Op::Min: return number(builder.CreateBinaryIntrinsic(llvm::Intrinsic::minimum, a, b));
    case Op::Max: return number(builder.CreateBinaryIntrinsic(llvm::Intrinsic::maximum, a, b));
    case Op::Mod: {
      llvm::Value* quotient =
          builder.CreateUnaryIntrinsic(llvm::Intrinsic::floor, builder.CreateFDiv(a, b));
      return number(builder.CreateFSub(a, builder.CreateFMul(b, quotient)));
    }
    case Op::Less: return truth(builder, builder.CreateFCmpOLT(a, b), type);
    case Op::LessEqual: return truth(builder, builder.CreateFCmpOLE(a, b), type);
    case Op::Equal: return truth(builder, builder.CreateFCmpOEQ(a, b), type);
    case Op::NotEqual: return truth(builder, builder.CreateFCmpUNE(a, b), type);
    case Op::And:
      return truth(builder, builder.CreateAnd(truth_of(builder, operands[0]),
                                              truth_of(builder, operands[1])), type);
    case Op::Or:
      return truth(builder, builder.CreateOr(truth_of(builder, operands[0]),
                                             truth_of(builder, operands[1])), type);
    case Op::Not:
      return truth(builder, builder.CreateNot(truth_of(builder, operands[0])), type);
    case Op::Select: return number(builder.CreateSelect(truth_of(builder, operands[0]), b, c));
    case Op::IsFinite: {
      llvm::Value* magnitude = builder.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, a);
      return truth(builder, builder.CreateFCmpOLT(magnitude, llvm::ConstantFP::getInfinity(type)),
                   type);
    }
    case Op::Exp: case Op::Expm1: case Op::Exprel: case Op::Log: case Op::Log1p: case Op::Pow: case Op::Sin:
    case Op::Cos: case Op::Tan: case Op::Sigmoid: case Op::Tanh: case Op::Sinh: case Op::Cosh: case Op::Asin:
    case Op::Acos: case Op::Atan: case Op::Atan2: case Op::Erf:
      return number(call_math(builder, math_function(op, type->isFloatTy() ? Precision::Float32 : Precision::Float64),
                              {v, operands.size()}, type));
    case Op::Const: case Op::Var: case Op::Load: case Op::Draw: case Op::Dt: break;
  }
  assert(false && "leaves are not operations");
  return {};
}

llvm::Value* emit_exprel_near(llvm::IRBuilder<>& builder, llvm::Value* argument) {
  llvm::Type* const type = argument->getType();
  return call_math(builder, type->isFloatTy() ? "hebb_exprel_nearf" : "hebb_exprel_near", {&argument, 1}, type);
}

llvm::Value* is_exprel_near(llvm::IRBuilder<>& builder, llvm::Value* argument) {
  constexpr double kNear = 0.5;  // as in math/inline.cpp
  return builder.CreateFCmpOLE(builder.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, argument),
                               llvm::ConstantFP::get(argument->getType(), kNear));
}

NodeValue emit_draw(llvm::IRBuilder<>& builder, const DrawSite& site, llvm::Type* type) {
  llvm::Type* const word = builder.getInt32Ty();
  llvm::Type* const wide = builder.getInt64Ty();
  const auto low = [&](llvm::Value* value) { return builder.CreateTrunc(value, word); };
  const auto high = [&](llvm::Value* value) {
    return builder.CreateTrunc(builder.CreateLShr(value, uint64_t{32}), word);
  };

  // Salmon, Moraes, Dror and Shaw, SC'11: Philox4x32 with ten rounds.
  constexpr uint32_t kMultiply0 = 0xD2511F53, kMultiply1 = 0xCD9E8D57;
  constexpr uint32_t kWeyl0 = 0x9E3779B9, kWeyl1 = 0xBB67AE85;
  llvm::Value* k0 = low(site.key);
  llvm::Value* k1 = high(site.key);
  llvm::Value* c0 = low(site.element);
  llvm::Value* c1 = builder.CreateOr(high(site.element), builder.getInt32(site.slot << 24));
  llvm::Value* c2 = low(site.step);
  llvm::Value* c3 = builder.CreateShl(builder.CreateAnd(high(site.step), uint64_t{0xffff}), 16);
  c3 = builder.CreateOr(c3, builder.getInt32(site.site));
  for (int round = 0; round < 10; ++round) {
    const auto product = [&](llvm::Value* counter, uint32_t factor) {
      return builder.CreateMul(builder.CreateZExt(counter, wide), builder.getInt64(factor));
    };
    llvm::Value* p0 = product(c0, kMultiply0);
    llvm::Value* p1 = product(c2, kMultiply1);
    c0 = builder.CreateXor(builder.CreateXor(high(p1), c1), k0);
    c1 = low(p1);
    c2 = builder.CreateXor(builder.CreateXor(high(p0), c3), k1);
    c3 = low(p0);
    k0 = builder.CreateAdd(k0, builder.getInt32(kWeyl0));
    k1 = builder.CreateAdd(k1, builder.getInt32(kWeyl1));
  }

  if (type->isFloatTy()) {  // every sum and product below is exact
    llvm::Value* whole = builder.CreateSIToFP(builder.CreateLShr(c0, uint64_t{9}), type);
    llvm::Value* middle = builder.CreateFAdd(whole, llvm::ConstantFP::get(type, 0.5));
    return {.number = builder.CreateFMul(middle, llvm::ConstantFP::get(type, 0x1p-23))};
  }
  llvm::Value* bits = builder.CreateOr(
      builder.CreateShl(builder.CreateZExt(c0, wide), uint64_t{32}), builder.CreateZExt(c1, wide));
  bits = builder.CreateLShr(bits, uint64_t{12});
  // A 52-bit integer below the exponent of 2^52 is the double 2^52 + integer: no conversion needed.
  llvm::Value* shifted = builder.CreateBitCast(
      builder.CreateOr(bits, builder.getInt64(0x4330000000000000)), type);
  llvm::Value* whole = builder.CreateFSub(shifted, llvm::ConstantFP::get(type, 0x1p52));
  llvm::Value* middle = builder.CreateFAdd(whole, llvm::ConstantFP::get(type, 0.5));
  return {.number = builder.CreateFMul(middle, llvm::ConstantFP::get(type, 0x1p-52))};
}

}  // namespace hebb

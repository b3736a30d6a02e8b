#include "compiler/codegen/math.h"

#include <llvm/Bitcode/BitcodeReader.h>
#include <llvm/IR/Module.h>
#include <llvm/Linker/Linker.h>

#include "compiler/support/text.h"

extern "C" const char hebb_math_bitcode_begin[], hebb_math_bitcode_end[];

namespace hebb {

std::string math_function(Op op, Precision precision) {
  assert(info(op).is_transcendental && "only math functions have a body of their own");
  const std::string_view name = op == Op::Pow ? "pow" : info(op).name;  // spelled "^" for people
  return cat("hebb_", name, precision == Precision::Float32 ? "f" : "");
}

void link_math(llvm::Module& module, bool scales) {
  if (scales)
    for (const auto& [name, scaled] : {std::pair("hebb_expf", "hebb_exp_scaledf"), std::pair("hebb_exp", "hebb_exp_scaled")})
      if (llvm::Function* function = module.getFunction(name)) function->setName(scaled);
  std::vector<std::string> wanted;
  for (const llvm::Function& function : module)
    if (function.isDeclaration() && function.getName().starts_with("hebb_"))
      wanted.push_back(function.getName().str());
  if (wanted.empty()) return;

  const llvm::StringRef bytes(hebb_math_bitcode_begin,
                              static_cast<size_t>(hebb_math_bitcode_end - hebb_math_bitcode_begin));
  // Lazily read: only the bodies that are linked are ever decoded.
  auto library = llvm::getLazyBitcodeModule(llvm::MemoryBufferRef(bytes, "hebb_math"),
                                            module.getContext());
  assert(library && "the embedded math library reads back");
  // The module decides for which CPU everything is compiled.
  (*library)->setDataLayout(module.getDataLayout());
  (*library)->setTargetTriple(module.getTargetTriple());
  [[maybe_unused]] const bool failed =
      llvm::Linker::linkModules(module, std::move(*library), llvm::Linker::LinkOnlyNeeded);
  assert(!failed && "the math library links");

  for (const std::string& name : wanted) {
    llvm::Function* function = module.getFunction(name);
    assert(!function->isDeclaration() && "the math library has every function of math.h");
    function->setLinkage(llvm::GlobalValue::InternalLinkage);
    function->removeFnAttr(llvm::Attribute::NoInline);
    function->addFnAttr(llvm::Attribute::AlwaysInline);
  }
}

}  // namespace hebb

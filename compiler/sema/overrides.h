#pragma once
// What --set gives in place of what the file says.

#include <functional>

#include "compiler/sema/frame.h"

namespace hebb::sema {

/// Reads what --set gives and finds what it is given to; reports what there is not.
void read_overrides(Session& session, FileTable& main);

/// The value of a constant, and the start value of a declaration: what --set says, or what is written.
const ast::ExprPtr& definition(const Session& session, const ast::Const& constant);
const ast::ExprPtr& start_value(const Session& session, const ast::Declaration& declaration);

/// The settings of a population or projection (its node in the tree) with those of --set, of the names that are wanted.
std::vector<ast::Setting> effective_settings(const Session& session, const void* member, const std::vector<ast::Setting>& written,
                                             const std::function<bool(const std::string&)>& wanted);

}  // namespace hebb::sema

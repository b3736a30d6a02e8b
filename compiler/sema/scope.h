#pragma once
// Names inside one declaration, and the three name spaces of a file: values, functions, types.

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <variant>

#include "compiler/ast/ast.h"
#include "compiler/sema/value.h"

namespace hebb::sema {

enum class SymbolKind {
  Constant,  // const, loop variables
  Local,     // function arguments, 'where', lets of handlers: as readable as what they hold
  Parameter,
  Weight,
  State,
  Signal,
  Input,
  Receive,
  Let,
  Reduce,
  Stat,
  Event,  // event port, or an event that the neuron itself emits
  Population,
  Projection,
  Broken,  // reported once; silent from then on
};
std::string_view describe(SymbolKind kind);

/// A name and what it stands for. Definitions are evaluated when somebody first asks, so the order of
/// lines cannot matter.
struct Symbol {
  SymbolKind kind = SymbolKind::Constant;
  Span span;                              // of the name in its declaration
  const ast::Expr* definition = nullptr;  // Constant, Let: not evaluated yet when state is Lazy
  enum class Progress { Lazy, Busy, Done } progress = Progress::Done;
  Value value;        // as it reads in an expression
  VarId variable;     // when it is one
  EventId event;      // Event; Receive: the arrival
  int index = -1;     // Population, Projection
  bool used = false;  // by anything but its own equation
  const ast::Let* let = nullptr;
  const ast::Signal* signal = nullptr;
  const ast::Declaration* declaration = nullptr;  // Parameter, State, Weight: for help on its literal
};

struct Scope {
  Scope* parent = nullptr;
  std::unordered_map<std::string, Symbol> names;
};

struct FileTable;

/// A name at file level, perhaps of another file.
struct Global {
  std::variant<const ast::Const*, const ast::FunctionDecl*, const ast::RuleDecl*, const ast::NeuronDecl*,
               const ast::NetworkDecl*>
      what;
  FileTable* home = nullptr;  // where its own names are looked up
  Span span;                  // the declaration, or the import that brought it here
  bool imported = false;
};

/// Values, functions and types do not collide with each other.
struct FileTable {
  const ast::File* file = nullptr;
  std::string path;    // canonical
  std::string folder;  // of `path`
  std::string root;    // nothing outside this folder is read on its behalf
  std::map<std::string, Global> constants, functions, types;
  std::vector<std::string> type_order;  // visible types, in order of declaration or import
  bool is_main = false;
  bool is_prelude = false;
  bool import_failed = false;  // names may be missing for that reason: silent about them
  bool imports_followed = false;
  bool importing = false;  // its imports are being followed: meeting it again is a cycle
};

}  // namespace hebb::sema

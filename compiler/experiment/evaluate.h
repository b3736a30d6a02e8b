#pragma once
// One experiment or test being evaluated, and the value of an expression in it. A mistake is reported
// once, where it is made; everything that needed the value then ends quietly with nothing.

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>

#include "compiler/ast/ast.h"
#include "compiler/experiment/experiment.h"
#include "compiler/experiment/value.h"
#include "compiler/experiment/wanted.h"

namespace hebb {

struct Let {
  const ast::Expr* definition = nullptr;
  Span span;
  enum class Progress { Waiting, Running, Done } progress = Progress::Waiting;
  std::optional<Value> value;   // Done and none: the mistake was reported
  bool fixed = false;           // of a round, or what the rounds left: its value, whatever happens later
};

/// Names that hold inside one expression: variables of a comprehension, parameters of a function.
struct Scope {
  std::map<std::string, Value> names;
  const Scope* outer = nullptr;
  bool function = false;        // the names outside, lets included, are not visible
};

struct Synapse;   // of a protocol, ready to run; see synapse.h

struct Evaluation {
  const Model& model;
  const Sources& sources;
  const ExperimentOptions& options;
  std::ostream& out;
  Diagnostics& diags;
  std::map<std::string, Let> lets;
  std::map<std::string, Let> constants;   // of the file
  std::map<std::string, const ast::FunctionDecl*> functions;
  std::map<const ast::Run*, Wanted> wanted;
  std::map<std::string, std::shared_ptr<const Synapse>> synapses;   // by rules and parameters
  std::map<std::string, Tensor> fitted;    // "Net.S.theta": what a fit found
  std::vector<const ast::Fit*> fits;       // done so far, and still in force
  std::set<std::string> lost;              // paths whose fit failed: nothing that needs them is performed
  std::set<std::pair<uint32_t, uint32_t>> skipped;   // the actions not performed for that, by where they stand
  int64_t fits_begun = 0;                  // all of them, and those of experiments before: the files of their states are numbered
  const std::vector<ast::Action>* actions = nullptr;   // of the whole experiment
  std::map<std::string, Kernels> compiled; // networks run before, by the text of their program
  std::map<std::string, double> interpreted = {};   // seconds that others were interpreted for, roughly
  const Scope* scope = nullptr;
  int depth = 0;                           // of nested calls of functions
  bool interrupted = false;
  bool some_recordings = false;            // a loss of some of its recordings: see SomeRecordings
  uint64_t loaded = 0;                     // a hash of all data from files, whatever their order
  int plots = 0;                           // without a file name, so far
  std::set<std::string> told_seeds = {};   // what note_seeds said
  std::set<std::string> noted;             // what is said once
};

/// Says on the notes, once, with which seeds something is drawn, unless the command gave one.
void note_seeds(Evaluation& e, std::span<const uint64_t> seeds);
/// Says where something runs, once in an experiment.
void note_once(Evaluation& e, const std::string& text);

std::optional<Value> evaluate(Evaluation& e, const ast::Expr& expr);

/// The value as a Tensor; a text or a table is reported as not being a number.
std::optional<Tensor> evaluate_tensor(Evaluation& e, const ast::Expr& expr);
/// One number, of any dimension.
std::optional<double> evaluate_number(Evaluation& e, const ast::Expr& expr);

/// An argument with its 'for' ranges: the values stacked, one leading axis per range.
std::optional<Value> evaluate_argument(Evaluation& e, const ast::Argument& argument);

/// 'sim.Y.r' as its root and the names after it; Parens are looked through.
struct Chain {
  const ast::Expr* root = nullptr;
  std::vector<ast::Name> members;
  std::string text() const;                // "Y.r"
};
Chain chain_of(const ast::Expr& expr);

const ast::Expr& without_parens(const ast::Expr& expr);

/// What the let of this name is defined as, without parens; nothing: no let is called so here.
const ast::Expr* definition_behind(const Evaluation& e, const ast::Expr& name);

/// Everything that a bare name may mean here, for suggestions.
std::vector<std::string> visible_names(const Evaluation& e);

/// "a number", "an array [3]", "a text", "a table (digits.csv)"
std::string describe(const Value& value);

}  // namespace hebb

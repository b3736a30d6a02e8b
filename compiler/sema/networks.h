#pragma once
// A network while it is being read.

#include "compiler/sema/dynamics.h"
#include "compiler/sema/files.h"

namespace hebb::sema {

struct NetworkReading {
  NetworkReading(Session& session, FileTable& file, Network& network);
  NetworkReading(const NetworkReading&) = delete;
  NetworkReading& operator=(const NetworkReading&) = delete;

  Session& session;
  Network& network;
  DimensionSystem dimensions;
  std::map<uint32_t, DimensionTerm> variable_dimensions;
  Scope scope;
  Frame frame;
  std::map<std::pair<int, std::string>, VarId> population_values;
  /// Dimension of a neuron's variable that its declaration leaves open: one per population.
  std::map<std::pair<int, uint32_t>, DimensionTerm> generic;
};

/// The variable `name` of a population's neuron that others can read; null: it has none.
const Variable* readable_variable(const Model& model, const Neuron& neuron, const std::string& name,
                                  VarId* id);
bool emits(const Neuron& neuron, const std::string& event);
const Neuron* neuron_of_population(const NetworkReading& reading, int population);
DimensionTerm population_dimension(NetworkReading& reading, int population, VarId variable);

/// POP.name or PROJ.name with its dimension; nothing after a report.
struct Target {
  std::string column;
  bool event = false;
  DimensionTerm dimension;
};
std::optional<Target> target_of(NetworkReading& reading, const ast::Expr& expr);

/// settings of a population or of a projection's rule
void read_population_settings(NetworkReading& reading, const ast::Instance& instance, int population);
void read_projection(NetworkReading& reading, const ast::Projection& projection);
void read_abort(NetworkReading& reading, const ast::AbortWhen& abort);
void read_freeze(NetworkReading& reading, const ast::Freeze& freeze);
void read_record(NetworkReading& reading, const ast::Record& record);

}  // namespace hebb::sema

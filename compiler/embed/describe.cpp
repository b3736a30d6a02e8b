#include "compiler/embed/describe.h"

#include "compiler/embed/header.h"
#include "compiler/embed/unit.h"
#include "compiler/expr/transform.h"
#include "compiler/support/machine_format.h"
#include "compiler/support/text.h"
#include "compiler/transform/spelling.h"

namespace hebb {
namespace {

std::string event_name(const Event& event) {
  switch (event.kind) {
    case EventKind::PreEvent: return "pre." + event.name;
    case EventKind::PostEvent: return "post." + event.name;
    case EventKind::Step: return "every step";
    case EventKind::Every: return "every " + event.name;
    case EventKind::OwnEvent:
    case EventKind::Port:
    case EventKind::Arrival: return event.name;
  }
  return {};
}

/// `text` with what LaTeX's text mode does not take as it is marked.
std::string in_text(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '_' || c == '%' || c == '&' || c == '#' || c == '$') out += '\\';
    out += c;
  }
  return out;
}

std::string rule_json(const Model& model, const Rule& rule, FileId file, const Sources& sources) {
  const EmbedUnit unit = embed_unit(model, rule, sources, Precision::Float64, "");
  std::string fields, latex;
  for (const EmbedField& field : unit.fields) {
    std::string shape;
    for (const int64_t extent : field.shape) shape += cat(shape.empty() ? "" : ", ", extent);
    fields += cat(fields.empty() ? "" : ",", "\n    {\"name\": ", json_string(field.name), ", \"c_name\": ", json_string(field.c_name),
                  ", \"kind\": \"", kind_name(field.kind), "\", \"per\": \"", field.place, "\", \"unit\": ", json_string(field.unit),
                  ", \"shape\": [", shape, "], \"meaning\": ", json_string(field.meaning), "}");
  }
  for (const std::string& line : latex_lines(model, rule)) latex += cat(latex.empty() ? "" : ", ", json_string(line));
  return cat("{\"name\": ", json_string(rule.name), ", \"own\": ", rule.span.valid() && rule.span.file == file ? "true" : "false",
             ", \"doc\": ", json_string(rule.doc), ", \"contract\": ", json_string(unit.contract), ", \"uses_steps\": ",
             unit.uses_steps ? "true" : "false", ", \"grid_required\": ", unit.grid_required ? "true" : "false", ", \"draws\": ",
             unit.draws ? "true" : "false", ", \"latex\": [", latex, "], \"fields\": [", fields, "]}");
}

}  // namespace

std::vector<std::string> latex_lines(const Model& model, const Rule& rule) {
  std::vector<std::string> out;
  const auto name = [&](const ExprNode& leaf) {
    return leaf.op == Op::Draw ? std::string("draw") : spelled(model, VarId{leaf.leaf.index}, leaf.leaf.element);
  };
  const auto text = [&](ExprId id) { return to_latex(model.pool, id, name); };
  const auto variable = [&](VarId id, uint32_t element) {
    ExprPool pool;   // the name alone, written as in formulas
    return to_latex(pool, pool.variable(id, element), name);
  };
  for (const VarId id : rule.variables) {
    const Variable& one = model[id];
    if (one.kind != VarKind::Let) continue;
    for (uint32_t e = 0; e < one.value.size(); ++e) out.push_back(cat(variable(id, e), " = ", text(one.value[e])));
  }
  for (const Flow& flow : rule.flows)
    out.push_back(cat("\\frac{\\mathrm{d}}{\\mathrm{d}t} ", variable(flow.variable, flow.element), " = ", text(flow.rate)));
  for (const Jump& jump : rule.jumps) {
    std::vector<std::string> events;
    for (const EventId id : jump.events) events.push_back(event_name(rule.events[id.value]));
    const std::string what = variable(jump.variable, jump.element);
    out.push_back(cat(what, jump.assign ? " \\leftarrow " : cat(" \\leftarrow ", what, " + "), text(jump.value),
                      " \\quad \\text{at ", in_text(joined(events, " or ")), "}"));
  }
  return out;
}

std::string describe_module(const Model& model, FileId file, const Sources& sources) {
  std::string rules, networks;
  for (const Rule& rule : model.rules) rules += cat(rules.empty() ? "" : ",", "\n  ", rule_json(model, rule, file, sources));
  for (const Network& network : model.networks)
    networks += cat(networks.empty() ? "" : ",", "\n  {\"name\": ", json_string(network.name), ", \"own\": ",
                    network.span.valid() && network.span.file == file ? "true" : "false", ", \"doc\": ", json_string(network.doc), "}");
  return cat("{\"rules\": [", rules, "],\n \"networks\": [", networks, "]}\n");
}

}  // namespace hebb

#include "runtime/fit/fit_state.h"

#include <cstring>

#include "compiler/support/bytes.h"
#include "compiler/support/hash.h"
#include "compiler/support/text.h"
#include "runtime/data/atomic_file.h"

namespace hebb {

namespace {

constexpr std::string_view kMagic = "hebb fit state 3\n";   // the number changes with the layout

/// The one list of fields, for both directions.
template <class Visitor, class State>
void visit(Visitor& v, State& s) {
  v(s.update), v(s.x);
  v(s.adam.first), v(s.adam.second), v(s.adam.updates);
  v(s.lbfgs.moves), v(s.lbfgs.changes), v(s.lbfgs.x), v(s.lbfgs.gradient), v(s.lbfgs_loss);
  v(s.damping), v(s.previous), v(s.epoch_sum), v(s.epoch_updates), v(s.stale);
  v(s.best), v(s.best_x), v(s.first_loss), v(s.stopped), v(s.ended);
}

}  // namespace

Status save_state(const std::string& path, const FitIdentity& identity, const FitState& state) {
  ByteWriter writer{std::string(kMagic)};
  writer(identity.source), writer(identity.place), writer(identity.settings), writer(identity.data);
  writer(state.finished);
  writer(static_cast<uint64_t>(state.starts.size()));
  for (const StartState& start : state.starts) visit(writer, start);
  writer(fnv1a(writer.bytes));
  return write_file(path, writer.bytes);
}

Result<FitState> load_state(const std::string& path, const FitIdentity& identity) {
  const auto bytes = read_file(path);
  if (!bytes) return bytes.failure();
  if (!bytes->starts_with(kMagic)) return Failure{cat(quoted(path), " is not the state of a fit of this version")};
  uint64_t check = 0;
  const size_t body = bytes->size() - sizeof check;
  if (bytes->size() > kMagic.size() + sizeof check) std::memcpy(&check, bytes->data() + body, sizeof check);
  if (check != fnv1a(std::string_view(*bytes).substr(0, body))) return Failure{cat(quoted(path), " is damaged")};
  ByteReader reader{std::string_view(*bytes).substr(kMagic.size(), body - kMagic.size())};
  FitIdentity found;
  reader(found.source), reader(found.place), reader(found.settings), reader(found.data);
  const char* differs = found.source != identity.source       ? "the text of the file, of one it imports, or a constant is another"
                        : found.place != identity.place       ? "it stands elsewhere in the file"
                        : found.settings != identity.settings ? "the seed or the precision is another"
                        : found.data != identity.data         ? "the data in the files that are loaded are others"
                                                              : nullptr;
  if (differs) return Failure{cat(quoted(path), " belongs to another fit: ", differs)};
  FitState state;
  uint64_t starts = 0;
  reader(state.finished);
  reader(starts);
  for (uint64_t k = 0; k < starts && reader.ok; ++k) visit(reader, state.starts.emplace_back());
  if (!reader.ok) return Failure{cat(quoted(path), " is damaged")};
  return state;
}

}  // namespace hebb

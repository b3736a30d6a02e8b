#include "compiler/program/device.h"

#include <algorithm>
#include <cassert>
#include <cctype>
#include <optional>
#include <set>
#include <utility>

#include "compiler/program/cut_row.h"
#include "compiler/program/share_sums.h"
#include "compiler/support/text.h"

namespace hebb {
namespace {

bool has_sum(const Kernel& kernel, At at) {
  return std::any_of(kernel.accumulates.begin(), kernel.accumulates.end(),
                     [&](const Accumulate& sum) { return sum.at == at; });
}

Kernel part_of(const Kernel& kernel, const std::string& what) {
  return {.name = cat(kernel.name, " ", what), .domain = kernel.domain, .rows = kernel.rows, .spikes = kernel.spikes};
}

Kernel sums_of(const Kernel& kernel, At at) {
  Kernel out = part_of(kernel, at == At::Pre ? "sums by pre" : at == At::Post ? "sums by post" : "sum");
  std::copy_if(kernel.accumulates.begin(), kernel.accumulates.end(), std::back_inserter(out.accumulates),
               [&](const Accumulate& sum) { return sum.at == at; });
  return out;
}

class Splitter {
 public:
  explicit Splitter(const Program& program) : from_(program) {
    out_.program = program;
    out_.program.kernels.clear();
    out_.pieces.resize(program.kernels.size());
  }

  DeviceProgram run(Resets resets) {
    find_kept();
    for (uint32_t k = 0; k < from_.kernels.size(); ++k) split({k});
    out_.program.plan.init = launches(from_.plan.init);
    out_.program.plan.begin = launches(from_.plan.begin);
    out_.program.plan.step = launches(from_.plan.step);
    if (resets == Resets::InPlan) begin_sums(from_.plan.init, out_.program.plan.init, /*steps=*/false);
    if (resets == Resets::InPlan) begin_sums(from_.plan.step, out_.program.plan.step, /*steps=*/true);
    for (uint32_t k = 0; k < out_.kernels.size(); ++k) finish({k});
    return std::move(out_);
  }

 private:
  void add(KernelId original, Kernel kernel, Spread spread) {
    const size_t sums = kernel.accumulates.size();
    out_.pieces[original.value].push_back(out_.program.add(std::move(kernel)));
    out_.kernels.push_back({.symbol = {}, .spread = spread, .parameters = {}, .fresh = std::vector<bool>(sums)});
  }

  void split(KernelId id) {
    const Kernel& kernel = from_[id];
    switch (from_[kernel.domain].kind) {
      case SpaceKind::Uniform: return split_uniform(id, kernel);
      case SpaceKind::Neurons: return split_neurons(id, kernel);
      case SpaceKind::Dense: return split_dense(id, kernel);
      case SpaceKind::Sparse: return split_sparse(id, kernel);
    }
  }

  /// Many values (first weights of a network inside a rule, drawn each by itself; what neurons work out for its synapses)
  /// would want more registers than a thread should have. With more than `most`, some at a time;
  /// columns that the kernel reads are stored last, by one piece.
  void add_in_parts(KernelId id, const Kernel& kernel, Spread spread, size_t most) {
    constexpr size_t kStores = 4;
    const std::vector<ExprId> all = roots(kernel);
    std::set<uint32_t> read;
    for (const ExprId node : nodes_below(from_.pool, all))
      if (from_.pool[node].op == Op::Load) read.insert(from_.pool[node].leaf.index);
    Kernel last = kernel;
    std::vector<Store> free;
    last.stores.clear();
    for (const Store& store : kernel.stores) (read.contains(store.into.value) ? last.stores : free).push_back(store);
    if (free.size() <= most || !kernel.accumulates.empty()) return add(id, kernel, spread);
    for (size_t begin = 0; begin < free.size(); begin += kStores) {
      Kernel piece = part_of(kernel, cat("part ", begin / kStores));
      const size_t end = std::min(begin + kStores, free.size());
      piece.stores.assign(free.begin() + static_cast<std::ptrdiff_t>(begin), free.begin() + static_cast<std::ptrdiff_t>(end));
      add(id, std::move(piece), spread);
    }
    if (!last.stores.empty()) add(id, std::move(last), spread);
  }

  void split_uniform(KernelId id, const Kernel& kernel) {
    // With more, 64 registers are not enough beside addresses and what one function (exp, a power) works with.
    constexpr size_t kValues = 32;
    const std::string between = cat(kernel.name, " (between ", out_.program.columns.size(), ")");
    const std::vector<Kernel> pieces = cut_row(out_.program, kernel, between, kValues);
    for (const Kernel& piece : pieces) add(id, piece, Spread::One);
    if (!pieces.empty()) return;
    if (kernel.accumulates.empty() || parts_of(kernel).size() <= 1) return add_in_parts(id, kernel, Spread::One, 4);
    for (const At at : {At::Uniform, At::Pre, At::Post}) add_sums(id, kernel, at, Spread::One);
    if (kernel.stores.empty()) return;
    Kernel rest = kernel;
    rest.accumulates.clear();
    add_in_parts(id, rest, Spread::One, 4);
  }

  // A row's loads come before its stores: sums go first, and see what the row held.

  void split_neurons(KernelId id, const Kernel& kernel) {
    if (kernel.accumulates.empty()) return add_in_parts(id, kernel, Spread::Neurons, 16);
    add_sums(id, kernel, At::Uniform, Spread::One);
    add_stores(id, kernel, Spread::Neurons);
  }

  void split_sparse(KernelId id, const Kernel& kernel) {
    add_sums(id, kernel, At::Uniform, Spread::One);
    add_sums(id, kernel, At::Pre, Spread::ByPre);
    add_sums(id, kernel, At::Post, Spread::ByPost);
    add_stores(id, kernel, kernel.rows == Rows::OfPost ? Spread::ColumnBlocks : Spread::RowBlocks);
  }

  /// Of a dense kernel; nothing when no thread could own all its sums and scans.
  static std::optional<Spread> owner(const Kernel& kernel) {
    const auto scans = [&](At along) {
      return std::any_of(kernel.scans.begin(), kernel.scans.end(), [&](const Scan& scan) { return scan.along == along; });
    };
    // A scan along Post belongs to the thread of a pre neuron, as a sum per pre neuron does.
    const bool by_pre = has_sum(kernel, At::Pre) || scans(At::Post), by_post = has_sum(kernel, At::Post) || scans(At::Pre);
    if (has_sum(kernel, At::Uniform) || (by_pre && by_post)) return {};
    return by_pre ? Spread::ByPre : by_post ? Spread::ByPost : Spread::Pairs;
  }

  /// Scans whose results some kernel hands from thread to thread.
  void find_kept() {
    for (const Kernel& kernel : from_.kernels) {
      if (from_[kernel.domain].kind != SpaceKind::Dense || owner(kernel)) continue;
      for (const Scan& scan : kernel.scans) kept_.insert(scan.as.value);
    }
  }

  void split_dense(KernelId id, const Kernel& kernel) {
    const bool keeps = std::any_of(kernel.scans.begin(), kernel.scans.end(), [&](const Scan& scan) { return kept_.contains(scan.as.value); });
    if (const auto spread = owner(kernel); spread && !keeps && (!kernel.scans.empty() || parts_of(kernel).size() <= 1))
      return add(id, kernel, *spread);

    // The result of a scan becomes a column like others.
    for (const Scan& scan : kernel.scans) {
      const Column column{.name = cat(from_[scan.as].name, " (running)"), .space = kernel.domain};
      const ColumnId running = out_.program.find_or_add(column);
      Kernel piece = part_of(kernel, "scan");
      piece.scans = {{.as = running, .along = scan.along, .value = scan.value}};
      piece.stores = {{.into = scan.as, .value = out_.program.pool.load(running, At::Self)}};
      add(id, std::move(piece), scan.along == At::Post ? Spread::ByPre : Spread::ByPost);
    }
    const bool by_post = has_sum(kernel, At::Post), by_pre = has_sum(kernel, At::Pre);
    add_sums(id, kernel, At::Uniform, Spread::One);
    // What is stored shares the reading of one of the sums.
    if (by_pre && by_post) add_sums(id, kernel, At::Pre, Spread::ByPre);
    if (!by_pre && !by_post) return add_stores(id, kernel, Spread::Pairs);
    const At at = by_post ? At::Post : At::Pre;
    const Spread spread = by_post ? Spread::ByPost : Spread::ByPre;
    if (parts_of(sums_of(kernel, at)).size() > 1) {
      add_sums(id, kernel, at, spread);
      return add_stores(id, kernel, Spread::Pairs);
    }
    Kernel last = sums_of(kernel, at);
    last.stores = kernel.stores;
    add(id, std::move(last), spread);
  }

  std::vector<std::vector<size_t>> parts_of(const Kernel& sums) const {
    // Beside which there is room for addresses and for what a row works out; a power alone takes some.
    constexpr size_t kValues = 16, kBesidePower = 6;
    const std::vector<ExprId> below = nodes_below(out_.program.pool, roots(sums));
    const bool powers = std::any_of(below.begin(), below.end(), [&](ExprId id) { return out_.program.pool[id].op == Op::Pow; });
    return share_sums(out_.program.pool, sums, powers ? kBesidePower : kValues);
  }

  void add_sums(KernelId id, const Kernel& kernel, At at, Spread spread) {
    if (!has_sum(kernel, at)) return;
    const Kernel sums = sums_of(kernel, at);
    const std::vector<std::vector<size_t>> parts = parts_of(sums);
    for (size_t part = 0; part < parts.size(); ++part) {
      Kernel piece = sums;
      if (parts.size() > 1) piece.name += cat(" part ", part);
      piece.accumulates.clear();
      for (const size_t sum : parts[part]) piece.accumulates.push_back(sums.accumulates[sum]);
      add(id, std::move(piece), spread);
    }
  }

  void add_stores(KernelId id, const Kernel& kernel, Spread spread) {
    if (kernel.stores.empty()) return;
    Kernel piece = kernel;
    piece.accumulates.clear();
    piece.scans.clear();
    add(id, std::move(piece), spread);
  }

  std::vector<Launch> launches(const std::vector<Launch>& list) const {
    std::vector<Launch> out;
    for (const Launch& launch : list)
      for (const KernelId piece : out_.pieces[launch.kernel.value]) out.push_back({piece, launch.when});
    return out;
  }

  /// Values that are summed into start from their reset: the one kernel that sums begins with it, or a
  /// kernel of its own sets it first.
  void begin_sums(const std::vector<Launch>& original, std::vector<Launch>& list, bool steps) {
    std::vector<ColumnId> columns;
    for (const Launch& launch : original)
      for (const Accumulate& sum : from_[launch.kernel].accumulates)
        if (from_[sum.into].role == Role::Value && std::find(columns.begin(), columns.end(), sum.into) == columns.end())
          columns.push_back(sum.into);
    std::vector<Launch> first;
    std::vector<std::pair<SpaceId, KernelId>> by_space;
    for (const ColumnId column : columns) {
      if (steps && begin_with_reset(column, list)) continue;
      const SpaceId space = from_[column].space;
      auto known = std::find_if(by_space.begin(), by_space.end(), [&](const auto& pair) { return pair.first == space; });
      if (known == by_space.end()) {
        const KernelId id = out_.program.add(Kernel{.name = cat(from_[space].name, " resets"), .domain = space});
        out_.kernels.push_back({.symbol = {}, .spread = from_[space].kind == SpaceKind::Uniform ? Spread::One : Spread::Neurons});
        first.push_back({id});
        by_space.emplace_back(space, id);
        known = std::prev(by_space.end());
      }
      const ExprId value = out_.program.pool.constant(from_[column].reset);
      for (uint32_t e = 0; e < from_[column].width; ++e)
        out_.program.kernels[known->second.value].stores.push_back({.into = column, .element = e, .value = value});
    }
    list.insert(list.begin(), first.begin(), first.end());
  }

  /// Possible when every element has one accumulate, of a kernel that every step launches once and nothing
  /// else does, and nothing reads or writes the column before.
  bool begin_with_reset(ColumnId column, const std::vector<Launch>& list) {
    std::vector<int> sums(static_cast<size_t>(from_[column].width));
    std::vector<std::pair<uint32_t, size_t>> found;   // kernel, accumulate
    bool seen_all = false;
    for (const Launch& launch : list) {
      const Kernel& kernel = out_.program[launch.kernel];
      const std::vector<ExprId> all = roots(kernel);
      for (const ExprId id : nodes_below(out_.program.pool, all)) {
        const ExprNode node = out_.program.pool[id];
        if (node.op == Op::Load && node.leaf.index == column.value && !seen_all) return false;
      }
      if (kernel.spikes == column && !seen_all) return false;
      for (const Store& store : kernel.stores)
        if (store.into == column) return false;
      for (size_t k = 0; k < kernel.accumulates.size(); ++k) {
        if (kernel.accumulates[k].into != column) continue;
        if (launch.when != When::Always || launched(launch.kernel) != 1) return false;
        if (++sums[kernel.accumulates[k].element] > 1) return false;
        found.emplace_back(launch.kernel.value, k);
      }
      seen_all = std::all_of(sums.begin(), sums.end(), [](int n) { return n == 1; });
    }
    if (!seen_all) return false;
    for (const auto& [kernel, sum] : found) out_.kernels[kernel].fresh[sum] = true;
    return true;
  }

  int launched(KernelId id) const {
    int count = 0;
    const Plan& plan = out_.program.plan;
    for (const auto* list : {&plan.init, &plan.begin, &plan.step})
      for (const Launch& launch : *list) count += launch.kernel == id;
    return count;
  }

  void finish(KernelId id);

  const Program& from_;
  DeviceProgram out_;
  std::set<uint32_t> kept_;   // results of scans that need memory
};

/// The parameters, each once, columns first.
std::vector<DeviceParameter> parameters_of(const Program& program, const Kernel& kernel, const DeviceKernel& device) {
  using Kind = DeviceParameter::Kind;
  std::vector<DeviceParameter> out;
  const auto column = [&](ColumnId id, uint32_t element, bool written) {
    // Elements of a uniform column are neighbours.
    if (program[program[id].space].kind == SpaceKind::Uniform) element = 0;
    for (DeviceParameter& known : out)
      if (known.column == id && known.element == element) {
        known.written |= written;
        return;
      }
    out.push_back({.kind = Kind::Column, .column = id, .element = element, .written = written});
  };
  if (kernel.spikes.valid()) column(kernel.spikes, 0, false);
  bool draws = false;
  const auto is_scan = [&](uint32_t id) {
    return std::any_of(kernel.scans.begin(), kernel.scans.end(), [&](const Scan& scan) { return scan.as.value == id; });
  };
  const std::vector<ExprId> all = roots(kernel);
  for (const ExprId id : nodes_below(program.pool, all)) {
    const ExprNode node = program.pool[id];
    draws |= node.op == Op::Draw;
    if (node.op != Op::Load || is_scan(node.leaf.index)) continue;
    const ColumnId read{node.leaf.index};
    column(read, node.leaf.at == At::Fixed ? node.leaf.element % static_cast<uint32_t>(program[read].width) : node.leaf.element, false);
  }
  for (const Store& store : kernel.stores) column(store.into, store.element, true);
  for (const Accumulate& sum : kernel.accumulates) column(sum.into, sum.element, true);

  const SpaceKind kind = program[kernel.domain].kind;
  const auto add = [&](Kind what) { out.push_back({.kind = what}); };
  add(Kind::LaneStride);
  if (kind == SpaceKind::Neurons) add(Kind::Posts);
  if (is_synaptic(kind)) {
    add(Kind::Pres);
    add(Kind::Posts);
  }
  if (kind == SpaceKind::Dense) add(Kind::Row);
  if (draws) add(Kind::Run);
  if (kind != SpaceKind::Sparse) return out;
  if (reads_by_post(device.spread)) {
    for (const Kind what : {Kind::ColumnBegin, Kind::Synapse, Kind::PreIndex}) add(what);
  } else {
    for (const Kind what : {Kind::RowBegin, Kind::PostIndex}) add(what);
  }
  return out;
}

void Splitter::finish(KernelId id) {
  const Kernel& kernel = out_.program[id];
  DeviceKernel& device = out_.kernels[id.value];
  std::string symbol = cat("hebb_", id.value, "_", kernel.name);
  for (char& c : symbol)
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  device.symbol = symbol;
  device.parameters = parameters_of(out_.program, kernel, device);
}

std::string shape_of(const Program& program, const Space& space) {
  switch (space.kind) {
    case SpaceKind::Uniform: return "one";
    case SpaceKind::Neurons: return space.name;
    case SpaceKind::Dense: return cat(program[space.pre].name, " x ", program[space.post].name);
    case SpaceKind::Sparse: return cat("synapses of ", space.name);
  }
  return "";
}

}  // namespace

DeviceProgram for_device(const Program& program, Resets resets) { return Splitter(program).run(resets); }

bool reads_by_post(Spread spread) { return spread == Spread::ByPost || spread == Spread::ColumnBlocks; }

Grid grid_of(Spread spread, int64_t pres, int64_t posts, uint32_t lanes) {
  // Threads that go through many rows each are few: small blocks reach more processors.
  constexpr int64_t kBlock = 128, kSmallBlock = 32, kWarp = 32, kMostY = 65535, kRowsPerThread = 8;
  const auto up = [](int64_t count, int64_t by) { return (count + by - 1) / by; };
  const auto blocks = [](int64_t count) { return static_cast<uint32_t>(count); };
  Grid grid{.z = lanes};
  switch (spread) {
    case Spread::One: break;
    case Spread::Neurons:
      grid.threads = kBlock;
      grid.x = blocks(up(posts, kBlock));
      break;
    case Spread::Pairs: {
      const int64_t threads = std::min(kBlock, up(std::max<int64_t>(posts, 1), kWarp) * kWarp);
      grid.threads = blocks(threads);
      grid.x = pres == 0 ? 0 : blocks(up(posts, threads));
      grid.y = blocks(std::clamp<int64_t>(up(pres, kRowsPerThread), 1, kMostY));
      break;
    }
    case Spread::ByPost:
    case Spread::ByPre:
      grid.threads = kSmallBlock;
      grid.x = blocks(up(spread == Spread::ByPost ? posts : pres, kSmallBlock));
      break;
    case Spread::RowBlocks:
    case Spread::ColumnBlocks:
      grid.threads = kBlock;
      grid.x = blocks(spread == Spread::RowBlocks ? pres : posts);
      break;
  }
  return grid;
}

namespace {

/// Whether a thread goes on from row to row, and the side that it stays at then.
std::optional<At> side_that_stays(const Program& program, const Kernel& kernel, Spread spread) {
  if (!is_synaptic(program[kernel.domain].kind)) return {};
  const bool along_pre = spread == Spread::Pairs || spread == Spread::ByPost || spread == Spread::ColumnBlocks;
  return along_pre ? At::Post : At::Pre;
}

}  // namespace

int64_t least_bytes(const Program& program, KernelId id, Spread spread, Precision precision) {
  const Kernel& kernel = program[id];
  const std::optional<At> stays = side_that_stays(program, kernel, spread);
  std::set<std::pair<uint32_t, uint32_t>> read, written;
  bool draws = false;
  std::vector<ExprId> all;
  for (const Scan& scan : kernel.scans) all.push_back(scan.value);
  for (const Accumulate& sum : kernel.accumulates) all.push_back(sum.value);
  for (const Store& store : kernel.stores) {
    const ExprNode value = program.pool[store.value];
    const bool stays_as_it_is = value.op == Op::Load && value.leaf.index == store.into.value && value.leaf.element == store.element && value.leaf.at == At::Self;
    if (stays_as_it_is) continue;
    all.push_back(store.value);
    written.insert({store.into.value, store.element});
  }
  for (const ExprId node_id : nodes_below(program.pool, all)) {
    const ExprNode node = program.pool[node_id];
    draws |= node.op == Op::Draw;
    if (node.op != Op::Load) continue;
    const Leaf& leaf = node.leaf;
    const bool is_scan = std::any_of(kernel.scans.begin(), kernel.scans.end(), [&](const Scan& scan) { return scan.as.value == leaf.index; });
    const bool once = stays && (leaf.at == *stays || leaf.at == At::Uniform || leaf.at == At::Fixed);
    if (!is_scan && !once) read.insert({leaf.index, leaf.element});
  }
  if (!stays && kernel.spikes.valid()) read.insert({kernel.spikes.value, 0});
  const int64_t real = precision == Precision::Float32 ? 4 : 8;
  const int64_t step_and_key = draws && !stays ? 16 : 0;
  return real * static_cast<int64_t>(read.size() + written.size()) + step_and_key;
}

std::string describe(const Program& program, const DeviceParameter& parameter) {
  using Kind = DeviceParameter::Kind;
  switch (parameter.kind) {
    case Kind::Column: {
      const Column& column = program[parameter.column];
      const Space& space = program[column.space];
      std::string name = column.name;
      if (column.width > 1 && space.kind != SpaceKind::Uniform) name += cat("{", parameter.element, "}");
      if (column.width > 1 && space.kind == SpaceKind::Uniform) name += cat("{0..", column.width - 1, "}");
      return cat(name, " [", shape_of(program, space), "]", column.unit.empty() || column.unit == "1" ? "" : cat(" in ", column.unit),
                 parameter.written ? ", written" : "");
    }
    case Kind::LaneStride: return "elements between two lanes";
    case Kind::Pres: return "pre neurons";
    case Kind::Posts: return "post neurons";
    case Kind::Row: return "elements between two rows";
    case Kind::Run: return "step, then the key of each lane";
    case Kind::RowBegin: return "first synapse of each pre neuron";
    case Kind::PostIndex: return "post neuron of each synapse";
    case Kind::ColumnBegin: return "first entry of each post neuron in the next two";
    case Kind::Synapse: return "synapses by post neuron";
    case Kind::PreIndex: return "pre neuron of each entry";
  }
  return "";
}

std::string describe(const Program& program, KernelId id, Spread spread) {
  const Kernel& kernel = program[id];
  const std::string over = cat(kernel.name, ": over ", shape_of(program, program[kernel.domain]));
  const char* spiking = kernel.rows == Rows::All ? "" : ", of neurons that spike";
  switch (spread) {
    case Spread::One: return cat(over, spiking, "; one thread (block 0 of each lane)");
    case Spread::Neurons: return cat(over, "; thread x per neuron");
    case Spread::Pairs: return cat(over, "; thread x per post neuron, block y and every further one per pre neuron");
    case Spread::ByPost: return cat(over, spiking, "; thread x per post neuron, in order of pre neurons");
    case Spread::ByPre: return cat(over, spiking, "; thread x per pre neuron, in order of post neurons");
    case Spread::RowBlocks: return cat(over, spiking, "; block x per pre neuron, a thread per synapse");
    case Spread::ColumnBlocks: return cat(over, spiking, "; block x per post neuron, a thread per synapse");
  }
  return over;
}

}  // namespace hebb

// Source text → Model: what rules, neurons and networks mean.

#include <gtest/gtest.h>

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>

#include "compiler/expr/transform.h"
#include "compiler/support/text.h"
#include "tests/unit/checked.h"

namespace hebb {
namespace {

using testing::check_text;
using testing::Checked;

/// The lines of print(model) for one declaration, without what the caller does not want to state.
std::string printed(const Checked& result, const std::string& header) {
  const std::string all = print(result.model);
  const size_t begin = all.find(header);
  if (begin == std::string::npos) return "no " + header + " in\n" + all;
  return all.substr(begin, all.find("\n}", begin) + 2 - begin);
}

bool has_line(const std::string& text, const std::string& line) {
  return text.find("  " + line + "\n") != std::string::npos;
}

#define EXPECT_LINE(text, line) \
  EXPECT_TRUE(has_line(text, line)) << "no line\n  " << (line) << "\nin\n" << (text)

const char* kPair = R"(
rule Pair : local {
  param tau_plus = 20 ms, tau_minus = 20 ms;
  param A_plus = 0.01, A_minus = 0.0105;
  weight w in [0, 1];
)";

TEST(Rules, OjaIsOneFlow) {
  const auto r = check_text(
      "rule Oja : local { param eta = 0.1 [1/s]; weight w in [-10, 10];\n"
      "  w' = eta * (pre.r * post.r - post.r^2 * w); }");
  ASSERT_CLEAN(r);
  const std::string text = printed(*r, "rule Oja");
  EXPECT_LINE(text, "param eta : 1/ms = 1e-04");
  EXPECT_LINE(text, "weight w : 1 in [-10, 10]");
  EXPECT_LINE(text, "needs pre.r : 1");
  EXPECT_LINE(text, "w' = eta * (pre.r * post.r - post.r * post.r * w)");
  EXPECT_TRUE(r->model.rules[0].jumps.empty());
}

/// Flows and jumps as text, to compare rules that are written differently.
std::vector<std::string> changes(const Model& model, const Rule& rule) {
  const auto name = [&](const ExprNode& leaf) { return model[VarId{leaf.leaf.index}].name; };
  std::vector<std::string> out;
  for (const Flow& flow : rule.flows)
    out.push_back(cat(model[flow.variable].name, "' = ", to_text(model.pool, flow.rate, name)));
  for (const Jump& jump : rule.jumps) {
    std::string events;
    for (const EventId id : jump.events)
      events += cat(static_cast<int>(rule.events[id.value].kind), rule.events[id.value].name, ' ');
    out.push_back(cat(events, model[jump.variable].name,
                      jump.assign ? " := " : " += ", to_text(model.pool, jump.value, name)));
  }
  return out;
}

TEST(Rules, ImpulseFormAndEventFormAreOneProgram) {
  const auto impulses = check_text(std::string(kPair) + R"(
  x' = -x / tau_plus  + pre.spike;
  y' = -y / tau_minus + post.spike;
  w' = A_plus * x * post.spike - A_minus * y * pre.spike; })");
  const auto events = check_text(std::string(kPair) + R"(
  x' = -x / tau_plus;
  y' = -y / tau_minus;
  on pre.spike  { x += 1;  w -= A_minus * y; }
  on post.spike { y += 1;  w += A_plus * x; } })");
  ASSERT_CLEAN(impulses);
  ASSERT_CLEAN(events);
  EXPECT_EQ(changes(impulses->model, impulses->model.rules[0]),
            changes(events->model, events->model.rules[0]));
  EXPECT_EQ(impulses->model.rules[0].flows.size(), 2u)
      << "w has no flow: everything in its equation happens at spikes";
}

TEST(Rules, MovingALineChangesNothing) {
  const std::vector<std::string> lines = {
      "x' = -x / tau_plus + pre.spike;", "y' = -y / tau_minus + post.spike;",
      "on pre.spike { w -= A_minus * y; }", "on post.spike { w += A_plus * x; }",
      "on pre.spike { w -= 0.001 * w; }"};
  std::vector<int> order = {0, 1, 2, 3, 4};
  std::vector<std::string> first;
  do {
    std::string source = kPair;
    for (const int i : order) source += lines[static_cast<size_t>(i)] + "\n";
    const auto r = check_text(source + "}");
    ASSERT_CLEAN(r);
    std::vector<std::string> now = changes(r->model, r->model.rules[0]);
    std::sort(now.begin(), now.begin() + 2);  // flows keep the order of their lines
    if (first.empty()) first = now;
    ASSERT_EQ(now, first);
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST(Rules, TermsBesideATrainAreItsJump) {
  const auto r = check_text(R"(rule R { param tau = 20 ms; weight w in [0, 1];
    x' = -x / tau + (1 - x) * pre.spike;
    z' = (pre.spike - z) / tau;
    v' = (if w > 0.5 then pre.spike else -pre.spike) * 3 - v / tau;
    w' = z * v * x * 0.1; })");
  ASSERT_CLEAN(r);
  const std::string text = printed(*r, "rule R");
  EXPECT_LINE(text, "on pre.spike: x += 1 - x");
  EXPECT_LINE(text, "z' = -z / tau");
  EXPECT_LINE(text, "on pre.spike: z += 1 / tau");
  EXPECT_LINE(text, "state z : 1/ms");
  EXPECT_LINE(text, "v' = -v / tau") << "nothing is left of the term with the train";
}

TEST(Rules, LetsMayHoldSpikeTrains) {
  const auto r =
      check_text(R"(rule R { weight w in [0, 1]; let s = 2 * pre.spike; w' = s * 0.1 - w * post.spike; })");
  ASSERT_CLEAN(r);
  const std::string text = printed(*r, "rule R");
  EXPECT_LINE(text, "on pre.spike: w += 0.2");
  EXPECT_LINE(text, "on post.spike: w += -w");
}

TEST(Rules, ClopathInfersTheTraceAndTheVoltage) {
  const auto r = check_text(R"(import std.voltage.Clopath;)");
  ASSERT_CLEAN(r);
  const std::string text = printed(*r, "rule Clopath");
  EXPECT_LINE(text, "state xbar : 1/ms");
  EXPECT_LINE(text, "needs post.u : mV");
  EXPECT_LINE(text, "param A_LTP : 1/mV^2 = 8e-05");
}

TEST(Rules, DefinitionsComeInAnyOrder) {
  const auto r =
      check_text(R"(rule R { w' = -h * w / tau; let h = 2 * g; let g = k * w; const k = n + 1; const n = 2;
    param tau = 1 s; weight w in [0, 1]; })");
  ASSERT_CLEAN(r);
  EXPECT_LINE(printed(*r, "rule R"), "let g : 1 = 3 * w");
}

TEST(Rules, TaylorUnrollsToItsTerms) {
  const auto r = check_text(
      R"(rule Taylor : three_factor { param theta[3, 3] = 0; signal R : 1; event trial_end; weight w in [-5, 5];
    on trial_end { w += sum(theta[i, j] * pre.r^i * R^j for i in 0..2, j in 0..1); } })");
  ASSERT_CLEAN(r);
  EXPECT_LINE(
      printed(*r, "rule Taylor"),
      "on trial_end: w += theta[0, 0] + theta[0, 1] * R + theta[1, 0] * pre.r + theta[1, 1] * pre.r * R + "
      "theta[2, 0] * (pre.r * pre.r) + theta[2, 1] * (pre.r * pre.r) * R");
}

TEST(Rules, TheMlpIsScalars) {
  const auto r = check_text(
      R"(rule M : local { const H = 2; param W1[H, 3] ~ normal(0, 0.3), b1[H] = 0, W2[H] = [1, 2], eta = 1e-3 [1/s];
    weight w in [-5, 5]; let h = tanh(W1 @ [pre.r, post.r, w] + b1); w' = eta * (W2 @ h); })");
  ASSERT_CLEAN(r);
  const std::string text = printed(*r, "rule M");
  EXPECT_LINE(text, "w' = eta * (W2[0] * h[0] + W2[1] * h[1])");
  const Rule& rule = r->model.rules[0];
  const Variable& w1 = r->model[rule.variables[0]];
  ASSERT_EQ(w1.init.size(), 6u);
  EXPECT_TRUE(w1.drawn);
  EXPECT_NE(w1.init[0], w1.init[1]) << "one draw for each element";
  EXPECT_EQ(r->model.draw_sites, 6u);
}

TEST(Rules, AfterIsAMarkerOnAState) {
  const auto r =
      check_text(R"(rule Release { param U = 0.5, tau = 1 s; weight w in [0, inf); state u = U, x = 1;
    u' = (U - u) / tau + U * (1 - u) * pre.spike; x' = (1 - x) / tau - after(u) * x * pre.spike; })");
  ASSERT_CLEAN(r);
  const Rule& rule = r->model.rules[0];
  ASSERT_EQ(rule.afters.size(), 1u);
  EXPECT_EQ(r->model[rule.afters[0].of].name, "u");
  EXPECT_EQ(r->model[rule.afters[0].marker].name, "after(u)");
}

TEST(Rules, RulesAdd) {
  const auto r = check_text(R"(import std.stdp.Triplet;
    rule Decay { param tau = 1 [h]; weight w in [0, inf); w' = -w / tau; }
    rule Stable = Triplet(A3p = 5e-3) + Decay(tau = 2 [h]);)");
  ASSERT_CLEAN(r);
  const std::string text = printed(*r, "rule Stable");
  EXPECT_LINE(text, "param A3p : 1 = 0.005");
  EXPECT_LINE(text, "param tau : ms = 7200000");
  EXPECT_LINE(text, "w' = -w / tau");
  EXPECT_LINE(printed(*r, "rule Triplet"), "param A3p : 1 = 0.0062") << "the part itself keeps its value";
  EXPECT_EQ(r->model.find_rule("Stable")->parts.size(), 2u);
}

TEST(Rules, RunningMomentsAreStates) {
  const auto r = check_text(
      R"(rule R { weight w in [0, 1]; stat m = mean(post.r) over 10 ms; stat v = variance(post.r) over 1 s;
    stat c = covariance(pre.r, post.r) over 1 s; on step { w += c - m * m + v; } })");
  ASSERT_CLEAN(r);
  const std::string text = printed(*r, "rule R");
  EXPECT_LINE(text, "m' = (post.r - m) / 10");
  EXPECT_LINE(text, "v' = ((post.r - v.mean) * (post.r - v.mean) - v) / 1000");
  EXPECT_LINE(text, "c' = ((pre.r - c.mean_x) * (post.r - c.mean_y) - c) / 1000");
}

TEST(Rules, IndexedJumps) {
  const auto r = check_text(
      R"(rule R { weight w in [0, 1]; state x[3] = 0, k = 0; on step { x[k] += w; } on pre.spike { x := [w, 2, 3]; }
    on post.spike { w -= x[1]; } })");
  ASSERT_CLEAN(r);
  const std::string text = printed(*r, "rule R");
  EXPECT_LINE(text, "on step: x[2] += if k == 2 then w else 0");
  EXPECT_LINE(text, "on pre.spike: x[0] := w");
  EXPECT_LINE(text, "on post.spike: w += -x[1]");
}

TEST(Values, PowersAreProducts) {
  const auto value = [](const std::string& expression) {
    const auto r = check_text(cat("const x = 3;\nconst y = ", expression, ";"));
    EXPECT_EQ(r->diags.size(), 0u) << r->text();
    return r->model.constants.contains("y") ? r->model.constants.at("y") : std::nan("");
  };
  EXPECT_EQ(value("x^0"), 1);
  EXPECT_EQ(value("0^0"), 1);
  EXPECT_EQ(value("x^5"), 243);
  EXPECT_EQ(value("x^-2"), 1.0 / 9);
  EXPECT_EQ(value("-x^2"), -9);
  EXPECT_EQ(value("4^0.5"), 2);
  EXPECT_EQ(value("2^3^2"), 512);
  EXPECT_EQ(value("mod(-1, 3)"), 2);
  EXPECT_EQ(value("max(1, 2, 3) + min([4, 5])"), 7);
  EXPECT_EQ(value("sum([1, 2, 3]) + prod(i for i in 1..4) + mean([2, 4])"), 33);
  EXPECT_EQ(value("dot([1, 2], [3, 4]) + length([7, 8, 9])"), 14);
  EXPECT_EQ(value("shift([1, 2, 3], 9)[0] + shift([1, 2, 3], 9)[2]"), 11);
  EXPECT_EQ(value("onehot(1, 3)[1] + onehot(1, 3)[0]"), 1);
  EXPECT_EQ(value("pos(-2) + relu(3) + heaviside(2) + clip(5, 0, 1) + sigmoid(0)"), 5.5);
  EXPECT_EQ(value("if x > 2 and not (x == 4) then 10 else 20"), 10);
  EXPECT_EQ(value("([[1, 2], [3, 4]] @ [5, 6])[1]"), 39);
  EXPECT_EQ(value("([[1, 2], [3, 4]])[1, :][0] + ([1, 2, 3])[0..1][1]"), 5);
}

TEST(Values, LiteralsAreScaledOnce) {
  const auto r = check_text(
      "const a = 8 Hz;\nconst b = 0.1 [1/s];\nconst c = 100 [MOhm];\nconst d = 1 [h];\nconst e = 2 [uM];");
  ASSERT_CLEAN(r);
  EXPECT_EQ(r->model.constants.at("a"), 0.008);
  EXPECT_EQ(r->model.constants.at("b"), 1e-4);
  EXPECT_EQ(r->model.constants.at("c"), 0.1);
  EXPECT_EQ(r->model.constants.at("d"), 3600000);
}

TEST(Values, NotANumberPassesThroughClip) {
  const auto r = check_text("const y = clip(0 / 0, 0, 1);");
  ASSERT_CLEAN(r);
  EXPECT_TRUE(std::isnan(r->model.constants.at("y")));
}

TEST(Constants, CanBeSetFromTheCommandLine) {
  const auto r = check_text("const rate = 8 Hz;\nconst twice = 2 * rate;", {{"rate", "20 Hz"}});
  ASSERT_CLEAN(r);
  EXPECT_EQ(r->model.constants.at("twice"), 0.04);
  const auto wrong = check_text("const rate = 8 Hz;", {{"rat", "3"}});
  ASSERT_EQ(wrong->diags.size(), 1u);
  EXPECT_EQ(wrong->diags.all()[0].kind, DiagKind::UnknownOverride);
}

TEST(Functions, AreWrittenOutWithTheirUnits) {
  const auto r = check_text(R"(fun gauss(z, s) = exp(-u^2 / 2) where u = z / s;
    rule R { weight w in [0, 1]; on step { w := gauss(post.u + 60 mV, 3 mV) * gauss(w, 1); } })");
  ASSERT_CLEAN(r);
  EXPECT_LINE(printed(*r, "rule R"), "needs post.u : mV");
}

TEST(Neurons, LifSplitsArrivalsOff) {
  const auto r = check_text("import std.neurons.LIF;");
  ASSERT_CLEAN(r);
  const Neuron& lif = r->model.neurons[0];
  const std::string text = printed(*r, "neuron LIF");
  EXPECT_LINE(text, "on arrival of exc: Ie += exc");
  EXPECT_LINE(text, "on spike: v := v_r");
  EXPECT_LINE(text, "emit spike when theta < v");
  EXPECT_LINE(text, "refractory 2 holds v");
  EXPECT_EQ(lif.emissions.size(), 1u);
  EXPECT_LINE(text, "state Ie : pA");
}

TEST(Neurons, AnEnvironmentDrawsIndexesAndRemembers) {
  const auto r = check_text(R"(neuron Foraging {
    const blocks = [[0.2, 0.8], [0.9, 0.1]];
    input p : 1;
    state bait[2] = 0, trial = 0, history[3] = 0;
    let odour ~ integer(0, 1);
    let x = 0.75 * onehot(odour, 2) + normal(0, 0.05, 2);
    let accept ~ bernoulli(p);
    let reward = accept * bait[odour];
    let fresh ~ bernoulli(blocks[floor(trial / 80)]);
    emit trial_end when accept == 1 { trial += 1; bait[odour] -= reward; history := shift(history, reward); }
    on step { bait += fresh * (1 - bait); } })");
  ASSERT_CLEAN(r);
  const std::string text = printed(*r, "neuron Foraging");
  EXPECT_LINE(text, "on trial_end: history[0] := reward");
  EXPECT_LINE(text, "on trial_end: history[2] := history[1]");
  EXPECT_LINE(text, "let reward : 1 = accept * (if odour < 1 then bait[0] else bait[1])");
  EXPECT_LINE(text, "on step: bait[1] += fresh[1] * (1 - bait[1])");
}

const char* kChoice = R"(
import std.neurons.Input;
import std.neurons.Sigmoid;
const p_reward = 0.8;
rule TaylorReward : three_factor { param theta[2] = 0; signal R : 1; event trial_end; weight w in [-5, 5];
  on trial_end { w += sum(theta[i] * R^i * pre.r for i in 0..1); } }
network Choice {
  signal odor[2];
  event trial_end;
  pop X[2] : Input(r = odor);
  pop H[10] : Sigmoid;
  pop Y[1] : Sigmoid;
  project X -> H as W via TaylorReward { connect all; init w ~ normal(0, 0.1); bind R = reward - mean_reward; drive I += w * pre.r; }
  project H -> Y as V { connect all; init w = 1 / 10; drive I += w * pre.r; }
  signal choice ~ bernoulli(Y.r[0]);
  signal reward ~ bernoulli(choice * p_reward);
  signal mean_reward;
  record mean(W.w) every 1 s as w_mean;
}
)";

TEST(Networks, ChoiceIsWhatItSays) {
  const auto r = check_text(kChoice);
  ASSERT_CLEAN(r);
  const Network& net = r->model.networks[0];
  ASSERT_EQ(net.populations.size(), 3u);
  ASSERT_EQ(net.projections.size(), 2u);
  EXPECT_EQ(net.events, std::vector<std::string>{"trial_end"});
  const Assignment& input = net.populations[0].settings[0];
  EXPECT_TRUE(input.per_neuron);
  EXPECT_EQ(input.value.size(), 2u);
  EXPECT_TRUE(net.projections[0].plastic);
  EXPECT_FALSE(net.projections[1].plastic);
  EXPECT_EQ(r->model[net.projections[1].rule.weight].name, "w") << "static projections have a weight w";
  EXPECT_TRUE(net.projections[0].inits[0].drawn);
  const std::string text = printed(*r, "network Choice");
  EXPECT_LINE(text, "  drive I += w * pre.r");
  EXPECT_LINE(text, "  bind R = reward - mean_reward");
  EXPECT_LINE(text, "record w_mean every 1000");
  const Variable& choice = r->model[net.signals[1]];
  EXPECT_TRUE(choice.drawn);
  EXPECT_EQ(choice.value.size(), 1u);
  EXPECT_TRUE(r->model[net.signals[0]].value.empty()) << "odor is fed";
}

TEST(Networks, EachProjectionHasItsOwnCopyOfTheRule) {
  const auto r = check_text(R"(import std.rate.Oja;
import std.neurons.Linear;
network N { pop X[2] : Linear; pop Y[1] : Linear;
  project X -> Y as A via Oja(eta = 2 [1/s]) { connect all; drive I += w * pre.r; }
  project X -> Y as B via Oja { connect all; drive I += w * pre.r; } })");
  ASSERT_CLEAN(r);
  const Network& net = r->model.networks[0];
  EXPECT_NE(net.projections[0].rule.weight, net.projections[1].rule.weight);
  ASSERT_EQ(net.projections[0].settings.size(), 1u);
  EXPECT_EQ(r->model.pool[net.projections[0].settings[0].value[0]].value, 0.002);
  EXPECT_TRUE(net.projections[1].settings.empty());
}

TEST(Networks, BindAdaptsNames) {
  const auto r = check_text(R"(import std.voltage.Clopath;
import std.neurons.LIF;
network N { pop X[2] : LIF;
  project X -> X as C via Clopath { connect all(self = false); init w = 0.5; bind post.u = post.v; drive exc += 30 pA * w; } })");
  ASSERT_CLEAN(r);
  const ProjectionDef& c = r->model.networks[0].projections[0];
  EXPECT_FALSE(c.self);
  ASSERT_EQ(c.binds.size(), 1u);
  EXPECT_EQ(r->model[c.binds[0].target].name, "u");
  EXPECT_LINE(printed(*r, "network N"), "  bind post.u = post.v");
}

TEST(Networks, StartWeightsMayBeAMatrix) {
  const auto r = check_text(R"(import std.neurons.Linear;
network N { pop X[2] : Linear; pop Y[3] : Linear; project X -> Y as W { connect all; init w = [[1, 2, 3], [4, 5, 6]]; drive I += w * pre.r; } })");
  ASSERT_CLEAN(r);
  EXPECT_EQ(r->model.networks[0].projections[0].inits[0].value.size(), 6u);
  const auto wrong = check_text(R"(import std.neurons.Linear;
network N { pop X[2] : Linear; pop Y[3] : Linear; project X -> Y as W { connect all; init w = [1, 2, 3]; drive I += w * pre.r; } })");
  ASSERT_EQ(wrong->diags.size(), 1u);
  EXPECT_EQ(wrong->diags.all()[0].kind, DiagKind::ShapeMismatch);
}

class InFolder : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / cat("hebb_sema_", ::getpid());
    std::filesystem::create_directories(folder_ / "sub");
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  void write(const std::string& name, const std::string& text) { std::ofstream(folder_ / name) << text; }
  std::unique_ptr<Checked> check_main(const std::string& text) {
    return check_text(text, {}, (folder_ / "main.hebb").string());
  }
  std::filesystem::path folder_;
};

TEST_F(InFolder, FilesAreImportedRelativeToTheirOwnFolder) {
  write("sub/a.hebb", "import \"b.hebb\";\nrule A { weight w in [0, 1]; on step { w -= k * twice(w); } }\n");
  write("sub/b.hebb", "const k = 0.5;\nfun twice(x) = 2 * x;\n");
  const auto r = check_main("import \"sub/a.hebb\";\nrule C = A + A;\n");
  ASSERT_CLEAN(r);
  ASSERT_EQ(r->model.rules.size(), 2u);
  EXPECT_LINE(printed(*r, "rule A"), "on step: w += -0.5 * (2 * w)");
  EXPECT_FALSE(r->model.constants.contains("k")) << "what an import imports stays there";
}

TEST_F(InFolder, AsGivesAPrefixOrANewName) {
  write("mine.hebb", "rule A { weight w in [0, 1]; on step { w -= 0.1; } }\nfun half(x) = x / 2;\n");
  const auto r = check_main(
      "import \"mine.hebb\" as mine;\nimport std.rate.Oja as Hebbian;\nrule B = mine.A + Hebbian;\n"
      "rule D { weight w in [0, 1]; on step { w -= mine.half(w); } }\n");
  ASSERT_CLEAN(r);
  EXPECT_NE(r->model.find_rule("mine.A"), nullptr);
  EXPECT_NE(r->model.find_rule("Hebbian"), nullptr);
  EXPECT_EQ(r->model.find_rule("Oja"), nullptr);
}

TEST_F(InFolder, CyclesAndMissingFilesAreSaidOnce) {
  write("a.hebb", "import \"b.hebb\";\n");
  write("b.hebb", "import \"a.hebb\";\n");
  const auto cycle = check_main("import \"a.hebb\";\n");
  ASSERT_EQ(cycle->diags.size(), 1u) << cycle->text();
  EXPECT_EQ(cycle->diags.all()[0].kind, DiagKind::CyclicDefinition);
  const auto missing = check_main("import \"nothing.hebb\";\n");
  ASSERT_EQ(missing->diags.size(), 1u);
  EXPECT_EQ(missing->diags.all()[0].kind, DiagKind::ImportNotFound);
  const auto absolute = check_main("import \"/etc/passwd\";\n");
  ASSERT_EQ(absolute->diags.size(), 1u);
  EXPECT_EQ(absolute->diags.all()[0].kind, DiagKind::ImportNotAllowed);
}

TEST_F(InFolder, ALinkOutOfTheFolderIsNotFollowed) {
  std::filesystem::create_directories(folder_ / "in");
  write("secret.hebb", "const s = 1;\n");
  std::filesystem::create_symlink(folder_ / "secret.hebb", folder_ / "in" / "link.hebb");
  const auto r = check_text("import \"link.hebb\";\n", {}, (folder_ / "in" / "main.hebb").string());
  ASSERT_EQ(r->diags.size(), 1u) << r->text();
  EXPECT_EQ(r->diags.all()[0].kind, DiagKind::ImportNotAllowed);
}

TEST(Imports, AFolderOfTheLibrary) {
  const auto r = check_text("import std.stdp;\n");
  ASSERT_CLEAN(r);
  EXPECT_NE(r->model.find_rule("PairSTDP"), nullptr);
  EXPECT_NE(r->model.find_rule("Triplet"), nullptr);
  EXPECT_TRUE(r->model.networks.empty()) << "networks of library files are their own tests";
}

}  // namespace
}  // namespace hebb

// The long text of each diagnostic: why it is a mistake, and what is right. The wrong example is the file
// that the tests keep for the code; `hebb explain` shows it with its message.

#include "tools/hebb/command.h"

namespace hebb::tool {

namespace {

constexpr CodeText kTexts[] = {
    {"P01", "Every declaration and every equation ends with ';'. Ends of lines mean nothing, so a missing one\n"
            "shows only where the next declaration begins; the message points to where it belongs.",
     "param tau = 20 ms;"},
    {"P02", "At this place the grammar allows only what the message lists. Often a sign or a keyword before it\n"
            "is missing or misspelt.",
     "weight w in [0, 1];"},
    {"P03", "Each (, [ and { needs its partner, and pairs do not cross. The second place in the message is the\n"
            "bracket that was left open.",
     "w' = eta * (pre.r - w);"},
    {"P04", "A text in double quotes ends on the line it begins on.", "let data = load(\"digits.csv\");"},
    {"P05", "Letters (Greek ones too), digits, quotes, brackets and the operators + - * / @ ^ are what a file\n"
            "is made of. Typographic signs pasted from a text (× · − “) are not.",
     "w' = eta * x;"},
    {"P06", "Keywords cannot be names, except after a dot: post.spike and W.init are fine.", "param rate_0 = 5 [1/s];"},
    {"P07", "Inside 'on' a variable is either increased or replaced, and both can happen at one instant. '='\n"
            "would not say which.",
     "on pre.spike { x += 1; }       # or  x := 1;"},
    {"P08", "Source files are UTF-8 text without NUL bytes. Save the file anew with that encoding.", ""},
    {"P09", "The derivative of w is written w', for every variable, and only the first derivative.", "w' = eta * pre.r;"},
    {"P10", "A number has a digit on both sides of its point, so that 0..2 can be a range.", "param A = 0.5;"},
    {"P11", "Powers are written with ^.", "w' = -w^2;"},
    {"P12", "There are no statements that branch or repeat: a rule is one set of equations. A choice is an\n"
            "expression, a sum has its range inside. Only in an experiment, whole actions are repeated:  for k in 0..9 { … }",
     "w' = if x > 0 then a else b;     let s = sum(c[i] * x^i for i in 0..3);"},
    {"P13", "A second condition is a second 'if' behind 'else'.", "let y = if a then 1 else if b then 2 else 3;"},
    {"P14", "The two signs of an operator stand together.", "x += 1;"},
    {"P15", "A definition has '='. '==' compares, ':=' replaces a value at an event.", "param tau = 20 ms;"},
    {"P16", "Numbers are doubles: up to about 1.8e308. Use 'inf' where no limit is meant.", "weight w in [0, inf);"},
    {"P17", "Brackets and operators may be nested up to a limit that no readable formula reaches. Name the\n"
            "inner parts with 'let'.",
     "let inner = a + b;   w' = inner * c;"},
    {"P18", "Source files are texts that people read: beyond the limit the file is probably data. Numbers are\n"
            "read by experiments with load(\"file.csv\").",
     "let data = load(\"recording.csv\");"},
    {"P19", "Comments begin with # and end with the line; ## documents what follows.", "# a comment"},
    {"P20", "Logic is written in words: and, or, not.", "let both = a > 0 and not b > 1;"},
    {"P21", "There are three changes at an event: +=, -= and :=. Everything else is written out.", "w := w * 2;"},
    {"P22", "Changes at events stand inside 'on EVENT { … }'. Between events a variable follows its equation.",
     "on pre.spike { x += 1; }"},
    {"P23", "Equations are of first order. A second derivative is a second variable.", "v' = a;   x' = v;"},
    {"P24", "A comparison has two sides; join two comparisons with 'and'.", "let inside = 0 < x and x < 1;"},
    {"P25", "'}' ends a block; no ';' follows.", "on pre.spike { x += 1; }"},
    {"P26", "A named value is defined with 'let'; a variable that changes has an equation or a jump.", "let h = tanh(a);"},
    {"P27", "An equation holds at all times, so it stands beside 'on', not inside.", "x' = -x / tau;   on pre.spike { x += 1; }"},
    {"P28", "A unit made of several stands in brackets; without them '20 mV/ms' could divide by a variable ms.",
     "param g = 20 [mV/ms];"},
    {"P29", "This form exists, but belongs into another block: parameters into rules and neurons, populations\n"
            "into networks, actions into experiments and tests.",
     "rule R { param tau = 20 ms; … }"},
    {"P30", "Nothing begins with this word. A file holds import, const, fun, rule, neuron, network, experiment\n"
            "and test.",
     "rule R { … }"},
    {"N01", "A name means a local 'let', then something of the rule, then a constant of the file. Names are case\n"
            "sensitive; values of neurons have pre. or post. in front.",
     "w' = eta * pre.r;"},
    {"N02", "One name means one thing within a block. In rules dt is the step of a run, which no rule sees.", "state um = 0 mV, up = 0 mV;"},
    {"N03", "A definition may use others in any order, but not, in a circle, itself.", "const a = 1;   const b = 2 * a;"},
    {"N04", "'import std.group.Name;' looks in the library, 'import \"file.hebb\";' beside the file that says it.",
     "import std.stdp.PairSTDP;"},
    {"N05", "A file may import from its own folder and below, and from the library, so that checking a file of\n"
            "somebody else reads nothing else.",
     "import \"rules/mine.hebb\";"},
    {"N06", "Functions are the built-in ones and those of 'fun' in the file or its imports.", "fun gauss(z) = exp(-z^2 / 2);"},
    {"N07", "The name exists, but is of another kind: a neuron where a rule is wanted, a function without its\n"
            "brackets.",
     "project X -> Y as W via Oja { … }"},
    {"N08", "Only parameters of a rule or neuron can be set where it is used; in a run also start values, and\n"
            "signals are fed.",
     "project X -> Y as W via Oja(eta = 0.01 [1/s]) { … }"},
    {"N09", "--set NAME=VALUE gives a 'const' of the file another value, Rule.tau a parameter of a rule or neuron wherever nothing else is\n"
            "said, Net.S.tau one of a population or projection.",
     "hebb run file.hebb --set N=200 --set Net.S.eta=0.01"},
    {"U01", "Units: s ms us ns min h day Hz kHz, V mV uV, A mA uA nA pA, S mS uS nS pS, Ohm kOhm MOhm GOhm,\n"
            "F uF nF pF, m mm um nm, mol mmol umol M mM uM nM, K.",
     "param tau = 20 ms;"},
    {"U02", "20 ms^2 could be 20 [ms^2] or (20 ms)^2 = 400 [ms^2]. Say which.", "param a = 20 [ms^2];"},
    {"U04", "Units stand only behind numbers and after ':'. They are no variables.", "x' = -x / 20 ms;"},
    {"D01", "Both sides of +, -, a comparison or '=' have the same dimension, and an equation for x' has that of\n"
            "x divided by time. Units are read from literals and inferred for the rest. The classic case: the\n"
            "amplitude of a rule whose trace is, or is not, divided by its time constant.",
     "param A_LTP = 8e-5 [1/mV^2];"},
    {"D02", "exp, log, tanh and the like, exponents, elements of lists and sides of '@' are plain numbers. Divide\n"
            "by a unit.",
     "let h = tanh(post.u / 1 mV);"},
    {"D03", "The dimension of x^n must be known before anything runs, so n is a literal when x has a unit.", "let y = x^2;"},
    {"E01", "'on' waits for an event: a spike of pre or post, a declared event, a clock or the step.",
     "on pre.spike { … }    on every 1 s { … }    on step { … }"},
    {"E02", "A spike train is a sum of instants, of no width and no height. It can be multiplied by a value and\n"
            "added, nothing else.",
     "x' = -x / tau + 2 * pre.spike;"},
    {"E03", "Two spike trains have no product. To act when both happen, let one leave a trace.",
     "x' = -x / tau + pre.spike;   w' = A * x * post.spike;"},
    {"E04", "A spike train is an instant, not a value: outside equations it cannot be read.", "on pre.spike { w += 0.1; }"},
    {"E05", "Increments at one instant add up, but two ':=' would need an order, and there is none.",
     "on pre.spike or post.spike { w := c; }"},
    {"E06", "A variable has one equation; its terms are added in it.", "w' = f + g;"},
    {"E07", "Weights and states change. Parameters, constants, signals and 'let's do not.", "state x = 0;   on pre.spike { x += 1; }"},
    {"E08", "after(x) is the value of x behind this instant. What x becomes may not depend on it in a circle.",
     "x' = (1 - x) / tau_d - after(u) * x * pre.spike;"},
    {"E09", "after(x) exists at instants only: in 'on' and beside a spike train.", "x' = -x / tau + after(u) * pre.spike;"},
    {"E10", "A draw happens once per event or per step, so it stands in a 'let ~', an 'init ~' or a parameter, not\n"
            "inside an equation.",
     "on pre.spike { let a ~ normal(0, 1);  w += a; }"},
    {"E11", "A clock fires at T, 2T, 3T, …: T is above 0.", "on every 1 s { … }"},
    {"E12", "Sizes, exponents and periods are known before anything runs: numbers and 'const's.", "const H = 10;   param W[H] = 0;"},
    {"E13", "The function is known, but takes other arguments.", "let y = max(a, b);"},
    {"E14", "A parameter has a value; who uses the rule may set another.", "param eta = 0.01 [1/s];"},
    {"E15", "Bounds are [low, high] with low below high, in the unit of the variable, and a start value lies between them.", "weight w in [0, 1];"},
    {"S01", "Arrays are added and multiplied element by element when their shapes agree or one is a number; '@'\n"
            "is the matrix product.",
     "let h = W1 @ [pre.r, post.r, w] + b1;"},
    {"S02", "Arrays inside rules and neurons are small: they are written out element by element. Large arrays\n"
            "are populations and projections.",
     "pop X[1000000] : Input;"},
    {"S03", "Indices begin at 0 and end one before the size; a range a..b holds both ends.", "x[0..2]   # of x[3]"},
    {"S04", "A size is a whole number above 0, known before anything runs.", "pop X[100] : Linear;"},
    {"L01", "After the name of a rule stands what it promises: local, three_factor or nonlocal; or nothing.", "rule Oja : local { … }"},
    {"L02", "A local rule sees its own synapse and its two neurons. A sum over other synapses breaks the promise.",
     "rule Normalise : nonlocal { … }"},
    {"L03", "A local rule is handed nothing from elsewhere. A rule with a third factor says so.", "rule RewardSTDP : three_factor { … }"},
    {"Q01", "A rule reads values of its neurons (post.u); the neuron calls its own otherwise, or has none.",
     "bind post.u = post.v;"},
    {"Q02", "A signal or event of a rule is bound in the network that uses the rule.", "bind R = reward;"},
    {"Q03", "A projection says which synapses exist.", "connect all;"},
    {"Q04", "'drive' adds to a port of the target: 'receive' for spikes, 'input' for values.", "drive exc += 30 pA * w;"},
    {"Q05", "A 'receive' port takes spikes; the source has to emit them.", "emit spike when v > theta { v := v_r; }"},
    {"Q07", "A connectivity must be possible: p lies in [0, 1], a fixed degree is at most the number of neurons on the\n"
            "other side (two synapses never join the same two neurons), one_to_one joins populations of one size, and a\n"
            "delay is a whole number of steps.",
     "connect random(p = 0.1, self = false);"},
    {"Q06", "Neurons without state answer within the step, in the order of the projections. In a circle nobody\n"
            "can begin. A state breaks it.",
     "neuron Leaky { param tau = 10 ms;  input I : 1;  state r = 0;  r' = (I - r) / tau; }"},
    {"G01", "The derivative of a spike's time is not the derivative of what the spike does. Rules fitted to recorded\n"
            "spikes need nothing: feed the spikes, and all derivatives are exact.",
     "run Net for rows(data) with (spikes = data.spikes)"},
    {"G02", "Most functions of experiments have a derivative; sorting, medians and scores such as r2 do not, nor do\n"
            "records that are not a value at every step.",
     "mse(sim.Y.r, data)"},
    {"G03", "Nothing on the way from the path to the loss: the loss reads no recording that depends on it, or the\n"
            "run sets it itself.",
     "let sim = run Net for 10 s;   fit Net.S.theta minimize mse(sim.Y.r, data);"},
    {"G04", "Only one number can be minimised.", "mean((sim.Y.r - data)^2)"},
    {"G05", "The loss, a derivative or a variable of a run became infinite. The fit keeps the best values it met.",
     "fit Net.S.theta minimize loss with (lr = 1e-4, clip = 1);"},
    {"T01", "The language has this form, this version of the program does not run it. The rest of the file is\n"
            "fine.",
     ""},
    {"F01", "A file that is read does not exist or may not be read; or a file that is written may not be. Names\n"
            "are relative to the folder of the source file when read, to the current folder when written.",
     "let data = load(\"data/digits.csv\");"},
    {"F02", "The first line of a CSV file names its columns; an NPZ file names its arrays.", "data.label     matrix(data, \"p0\", \"p63\")"},
    {"F03", "What is fed to a signal of n numbers is an array [steps, n]; to a single signal, a list [steps].",
     "run Net for rows(x) with (signal = x)"},
    {"F04", "Data are numbers. An empty cell or NA reads as NaN, and NaN cannot be fed: replace it first.",
     "let clean = if is_finite(x) then x else 0;"},
    {"R01", "A value grew beyond all bounds, or became 0/0. The run stopped at the end of that step. Rates that\n"
            "are too large for the step are the usual cause, and rules without bounds or decay.",
     "weight w in [0, 1];"},
    {"R02", "The condition of an assert is false; the message shows both sides.", "assert abs(p.dw - 0.01) < 1e-9;"},
    {"R03", "A signal without a definition is fed by the experiment.", "run Net for 10 s with (odor = data.odor)"},
    {"R04", "A signal takes one row a step, and the run has more steps than there are rows.", "run Net for rows(data) with (x = data)"},
    {"R05", "In experiments shapes line up at their last axis, where lengths are equal or 1.", "let centred = X - mean(X, 0);"},
    {"R06", "The message says what the function or the setting takes.", "let w = normal(0, 0.1, [64, 8], seed = 1);"},
    {"R07", "Numbers, texts and tables are three kinds of values. A table gives its columns by name.", "mean(data.label)"},
    {"R08", "The run cannot start, for instance because it would need more memory than the machine has.",
     "final(sim.W.w)     # keeps the last weights instead of those of every step"},
    {"R09", "The network says 'abort when', and the condition came true: the message gives the time and what was looked at. In a batch "
     "such a lane ends with nan in its measures, and the others go on.",
     "let sim = run N for 60 s; print sim.aborted;     # 1 instead of this error"},
    {"W01", "Something is declared and nothing uses it: often a misspelt name.", "param tau = 20 ms;   x' = -x / tau;"},
    {"W04", "A projection without 'drive' changes nothing in its target, and its rule is not looked at.", "drive I += w * pre.r;"},
    {"W07", "No term of the equation is ever negative, and there is no upper bound: the weight grows for ever.",
     "weight w in [0, 1];"},
    {"W09", "Times are rounded to dt. When dt is long against a time constant, pairs within a step are lost; where an equation is\n"
            "solved step by step (hebb explain says which are), a step longer than its time constant is inexact.",
     "run Net for 10 s with (dt = 0.1 ms)"},
    {"W10", "A rule may ask its neurons for a value or an event of any name, so a misspelt event is no mistake of the rule: it becomes a "
     "number that neurons would have to have, or after 'on' an event that they would have to emit.", "x' = -x / tau + pre.spike;"},
};

}  // namespace

const CodeText* code_text(std::string_view code) {
  for (const CodeText& text : kTexts)
    if (text.code == code) return &text;
  return nullptr;
}

}  // namespace hebb::tool

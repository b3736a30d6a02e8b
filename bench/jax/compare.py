"""Hebb against JAX (jit, scan, grad; CPU, float): the behaviour and the neural experiment of examples/papers/inference.

compare.py HEBB FOLDER: HEBB is the command, FOLDER holds behaviour.hebb and neural.hebb with what they import. Prints
seconds per epoch or update of both sides, warm, and from nothing to the first gradient; exits 1 when the gradients differ.
"""
import os
import resource
import subprocess
import sys

import numpy as np

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
import jax
import jax.numpy as jnp

HEBB, FOLDER = sys.argv[1], sys.argv[2]
REPEATS = 5


def cpu(kind=resource.RUSAGE_SELF):
    used = resource.getrusage(kind)
    return used.ru_utime + used.ru_stime


def hebb(file, experiment, **constants):
    """Runs an experiment; its processor time."""
    settings = [f"{name}={value}" for name, value in constants.items()]
    command = [HEBB, "run", os.path.join(FOLDER, file), experiment, "-o", FOLDER, "-q", "--threads", "1"]
    for setting in settings:
        command += ["--set", setting]
    before = cpu(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return cpu(resource.RUSAGE_CHILDREN) - before


def each(file, name, few, many):
    """Processor time that one more epoch or update takes: the rest of the two runs is the same."""
    def one():
        return (hebb(file, "Fit", **{name: many}) - hebb(file, "Fit", **{name: few})) / (many - few)
    return float(np.median([one() for _ in range(3)]))


def powers(v):
    return jnp.stack([jnp.ones_like(v), v, v * v])


# --- behaviour: 2-10-1, one recording an update, Adam --------------------------------------------------

def behaviour_loss(theta, w0, x, r, accept, choice):
    def step(w, now):
        x_t, r_t, ends = now
        y = jnp.tanh(x_t @ w)
        logit = 0.5 * jnp.sum(y)
        by_r = jnp.einsum("ijkl,l->ijk", theta, jnp.stack([1.0, r_t, r_t * r_t]))
        by_y = jnp.einsum("ijk,jn->ikn", by_r, powers(y))
        by_x = jnp.einsum("ikn,im->kmn", by_y, powers(x_t))
        dw = by_x[0] + w * (by_x[1] + w * by_x[2])
        return w + 0.5 * ends * dw, logit
    _, logits = jax.lax.scan(step, w0, (x, r, accept))
    seen = ~jnp.isnan(choice)
    wanted = jnp.where(seen, choice, 0)
    loss = jnp.logaddexp(0, logits) - wanted * logits
    return jnp.sum(jnp.where(seen, loss, 0)) / jnp.sum(seen)


# --- neural: 100 -> 1,000 ------------------------------------------------------------------------------

def neural_loss(theta, w0, x, wanted):
    def step(w, x_t):
        y = jax.nn.sigmoid(x_t @ w)
        by_y = jnp.einsum("ijk,jn->ikn", theta, powers(y))
        by_x = jnp.einsum("ikn,im->kmn", by_y, powers(x_t))
        return w + by_x[0] + w * (by_x[1] + w * by_x[2]), y
    _, y = jax.lax.scan(step, w0, x)
    return jnp.mean((y - wanted) ** 2)


def adam(gradient, theta, state, count, lr=1e-3):
    m, v = state
    m = 0.9 * m + 0.1 * gradient
    v = 0.999 * v + 0.001 * gradient**2
    theta = theta - lr * (m / (1 - 0.9**count)) / (jnp.sqrt(v / (1 - 0.999**count)) + 1e-8)
    return theta, (m, v)


def update_of(loss):
    @jax.jit
    def update(theta, state, count, *data):
        value, gradient = jax.value_and_grad(loss)(theta, *data)
        theta, state = adam(gradient, theta, state, count)
        return theta, state, value
    return update


def first_gradient(theta, w0, recording):
    """From a function to its first gradient: trace, compile, run."""
    begin = cpu()
    jax.jit(jax.grad(behaviour_loss))(theta, w0, *recording).block_until_ready()
    return cpu() - begin


def whole_process():
    """Processor time of a Python that imports JAX, compiles and prints one gradient: what the user of a script waits for."""
    before = cpu(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, __file__, HEBB, FOLDER, "first"], check=True, stdout=subprocess.DEVNULL)
    return cpu(resource.RUSAGE_CHILDREN) - before


def warm(update, theta, recordings, rounds):
    state, count = (jnp.zeros_like(theta), jnp.zeros_like(theta)), 1
    times = []
    for _ in range(rounds + 1):
        begin = cpu()
        for data in recordings:
            theta, state, value = update(theta, state, count, *data)
            count += 1
        value.block_until_ready()
        times.append(cpu() - begin)
    return float(np.median(times[1:]))


def agreement(ours, theirs):
    return float(np.max(np.abs(ours - theirs)) / np.max(np.abs(theirs)))


def behaviour_data(b):
    """Theta, first weights, and x, r, accept, choice of each recording."""
    single = lambda a: jnp.asarray(a, jnp.float32)
    flat = lambda a: a.reshape(a.shape[0], a.shape[1], -1)
    animals = [tuple(map(single, (flat(b["x"])[k], flat(b["r"])[k, :, 0], flat(b["accept"])[k, :, 0], flat(b["choice"])[k, :, 0])))
               for k in range(b["x"].shape[0])]
    return single(b["theta"]), single(b["w"]), animals


def main():
    single = lambda a: jnp.asarray(a, jnp.float32)
    if sys.argv[3:] == ["first"]:
        theta, w, animals = behaviour_data(np.load(os.path.join(FOLDER, "behaviour.npz")))
        first_gradient(theta, w, animals[0])
        return 0
    for file in ("behaviour", "neural"):
        hebb(f"{file}.hebb", "Data")
        hebb(f"{file}.hebb", "Gradient")
    b = np.load(os.path.join(FOLDER, "behaviour.npz"))
    n = np.load(os.path.join(FOLDER, "neural.npz"))
    theta_b, w_b, animals = behaviour_data(b)
    theta_n, w_n = single(n["theta"]).reshape(3, 3, 3), single(n["w"])
    layers = [(single(n["x"][k]), single(n["wanted"][k])) for k in range(n["x"].shape[0])]

    compiling = first_gradient(theta_b, w_b, animals[0])
    gradient_b = np.asarray(sum(np.asarray(jax.grad(behaviour_loss)(theta_b, w_b, *a)) * np.sum(~np.isnan(np.asarray(a[3])))
                                for a in animals) / sum(np.sum(~np.isnan(np.asarray(a[3]))) for a in animals))
    gradient_n = np.asarray(sum(np.asarray(jax.grad(neural_loss)(theta_n, w_n, *l)) for l in layers) / len(layers))
    differences = (agreement(np.load(os.path.join(FOLDER, "behaviour_gradient.npz"))["gradient"].reshape(gradient_b.shape), gradient_b),
                   agreement(np.load(os.path.join(FOLDER, "neural_gradient.npz"))["gradient"].reshape(gradient_n.shape), gradient_n))

    theirs_b = warm(update_of(behaviour_loss), theta_b, [(w_b, *a) for a in animals], REPEATS)
    theirs_n = warm(update_of(neural_loss), theta_n, [(w_n, *l) for l in layers], REPEATS) / len(layers)
    ours_b = each("behaviour.hebb", "epochs", 2, 42)
    ours_n = each("neural.hebb", "updates", 2, 102)
    ours_first = sorted(hebb("start.hebb", "Gradient") for _ in range(3))[1]
    theirs_first = sorted(whole_process() for _ in range(3))[1]

    print(f"JAX {jax.__version__}, one thread, float; processor time\n")
    print(f"{'':46} {'JAX':>10} {'Hebb':>10} {'ratio':>8} {'target':>7}")
    row = lambda what, a, b, unit, target: print(f"{what:46} {a * unit:10.4g} {b * unit:10.4g} {a / b:7.1f}x {target:6}x")
    row("behaviour, 18 recordings, ms an epoch", theirs_b, ours_b, 1e3, 10)
    row("neural 100 -> 1,000, 50 steps, ms an update", theirs_n, ours_n, 1e3, 5)
    row("behaviour, first gradient, whole process, ms", theirs_first, ours_first, 1e3, 30)
    row("  JAX without its import and start", compiling, ours_first, 1e3, 30)
    print(f"\nlargest relative difference of the gradients: behaviour {differences[0]:.1e}, neural {differences[1]:.1e}")
    return 0 if max(differences) < 1e-3 else 1


if __name__ == "__main__":
    sys.exit(main())

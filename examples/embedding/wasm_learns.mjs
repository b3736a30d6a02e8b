// The same rule in a WebAssembly module, run by Node (a page does the same with fetch). It expects the
// numbers of the tests in stdlib/stdp/pair_stdp.hebb.
//
//   hebb build stdlib/stdp/pair_stdp.hebb --emit=shared-lib --target=wasm32 -o pair_stdp.wasm
//   node wasm_learns.mjs pair_stdp.wasm
import { readFileSync } from 'node:fs';

const { instance } = await WebAssembly.instantiate(readFileSync(process.argv[2]), {});
const rule = instance.exports;
rule.memory.grow(16);
const view = () => new DataView(rule.memory.buffer);

// Pointers have 32 bits here; the head of a block has 88 bytes, then pointers in the order of the header.
const block = (rule.__heap_base.value + 63) & ~63, inputs = block + 192, spike = inputs + 64, memory = block + 512;
const pointer = (k) => view().getUint32(block + 88 + 4 * (1 + k), true);
const W = 7, ARRAYS = 14;  // w is the eighth of ten; four more are reserved

function must(code) {
  if (code === 0) return;
  const bytes = new Uint8Array(rule.memory.buffer, rule.pair_stdp_error_text(code));
  throw new Error(new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0))));
}

view().setUint32(block, rule.pair_stdp_abi_version(), true);
view().setUint32(block + 4, Math.ceil((88 + 4 * (ARRAYS + 1)) / 8) * 8, true);
view().setBigInt64(block + 8, 1n, true);   // n_pre
view().setBigInt64(block + 16, 1n, true);  // n_post
const bytes = rule.pair_stdp_bytes(block);
if (bytes < 0n) must(Number(bytes));

function start(w) {
  must(rule.pair_stdp_init(block, memory, bytes, 1n));
  view().setFloat32(pointer(W), w, true);
}
function moment(pre, post) {
  view().setUint32(inputs, rule.pair_stdp_abi_version(), true);
  view().setUint32(inputs + 4, 40, true);
  view().setInt32(spike, 0, true);
  view().setUint32(inputs + 8, spike, true);
  view().setBigInt64(inputs + 16, BigInt(pre), true);
  view().setUint32(inputs + 24, spike, true);
  view().setBigInt64(inputs + 32, BigInt(post), true);
  must(rule.pair_stdp_instant(block, inputs));
}
const flow = (dt) => must(rule.pair_stdp_step(block, 0, dt));
const weight = () => view().getFloat32(pointer(W), true);

let good = true;
function expect(what, found, wanted) {
  const ok = Math.abs(found - wanted) <= 1e-7;
  good &&= ok;
  console.log(`${what.padEnd(24)} ${found.toFixed(7)}  expected ${wanted.toFixed(7)}  ${ok ? 'ok' : 'WRONG'}`);
}
start(0.5); moment(1, 0); flow(10); moment(0, 1);
expect('post 10 ms after pre', weight() - 0.5, 0.0030326533);
start(0.5); moment(0, 1); flow(10); moment(1, 0);
expect('pre 10 ms after post', weight() - 0.5, -0.0031842860);
start(0.5); moment(1, 1);
expect('both at once', weight() - 0.5, 0);
const wrong = rule.pair_stdp_step(block, 0, NaN);
console.log(`a step of NaN ms: code ${wrong}`);
process.exit(good && wrong === -9 ? 0 : 1);

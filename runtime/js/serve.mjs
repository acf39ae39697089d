/**
 * Runs rows on a model for the proof of hello-export: `node serve.mjs model.onnx`.
 *
 * A request on stdin is int32: the number of steps, the steps of each call (a causal model passes
 * its state on from call to call), and the code points. The answer on stdout is, of each step, the
 * code points written, the confidence and the logits, and then the state of a causal model. A
 * classifier answers with its label, the confidence and the logits, a model of `next` with logits
 * and state.
 */

import { readFileSync, readSync, writeSync } from "node:fs";
import { load } from "./hello_rnn.mjs";
import { softmax } from "./network.mjs";

const model = load(readFileSync(process.argv[2]));

/** The next values of stdin; the process ends when it ends. @param {number} count */
function read(count) {
  const bytes = Buffer.alloc(4 * count);
  for (let at = 0; at < bytes.length; ) {
    const size = readSync(0, bytes, at, bytes.length - at, null);
    if (size === 0) process.exit();
    at += size;
  }
  return new Int32Array(bytes.buffer, bytes.byteOffset, count);
}

/** @param {(Int32Array | Float32Array)[]} arrays */
function write(arrays) {
  for (const { buffer, byteOffset, byteLength } of arrays) {
    const bytes = new Uint8Array(buffer, byteOffset, byteLength);
    for (let at = 0; at < byteLength; ) at += writeSync(1, bytes, at);
  }
}

write([Int32Array.of(1)]); // it is open
for (;;) {
  const [steps, chunk] = read(2);
  const codes = Array.from(read(steps));
  if (model.info.task === "classify") {
    const logits = model.classLogits(codes);
    const { best, sum } = softmax(logits);
    write([Int32Array.of(best), Float32Array.of(1 / sum), logits]);
    continue;
  }
  const state = model.zeroState();
  const calls = [];
  for (let start = 0; start < steps; start += chunk) {
    calls.push(model.run(codes.slice(start, start + chunk), state, true));
  }
  if (model.info.task === "rewrite") {
    write(calls.map((call) => call.decoded));
    write(calls.map((call) => call.confidence));
  }
  write(calls.map((call) => call.logits));
  if (model.info.causal) write(state);
}

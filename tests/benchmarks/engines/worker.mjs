// Opens a model and runs it, for `adapters.py`:
//
//     node worker.mjs onnxruntime-node|onnxruntime-web|MODULE.mjs model.onnx
//
// The packages are looked for from the working directory. A request on stdin is a line of JSON, a list of
// [name, type, shape, values] for each input; so is the answer, after a first line when it is open.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [engine, file] = process.argv.slice(2);

async function openPackage() {
  const ort = createRequire(`${process.cwd()}/`)(engine);
  if (engine === "onnxruntime-web") ort.env.wasm.numThreads = 1;
  const session = await ort.InferenceSession.create(readFileSync(file));
  return async (inputs) => {
    const feeds = inputs.map(([name, type, shape, values]) => {
      const data = type === "int32" ? Int32Array.from(values) : Float32Array.from(values);
      return [name, new ort.Tensor(type, data, shape)];
    });
    const outputs = await session.run(Object.fromEntries(feeds));
    return session.outputNames.map((name) => {
      const { type, dims, data } = outputs[name];
      return [name, type, dims, Array.from(data)];
    });
  };
}

/** The module reads a row at a time, which here are put together. */
async function openModule() {
  const { load } = await import(pathToFileURL(engine));
  const model = load(readFileSync(file));
  return (inputs) => {
    const [codepoints, second] = inputs;
    const [batch, time] = codepoints[2];
    const rows = Array.from({ length: batch }, (_, row) => {
      const length = second[0] === "lengths" ? second[3][row] : time;
      const codes = codepoints[3].slice(row * time, row * time + length);
      const state = model.zeroState();
      const width = second[2][2];
      if (second[0] === "state") {
        state.forEach((vector, slot) => {
          const start = (slot * batch + row) * width;
          vector.set(second[3].slice(start, start + width));
        });
      }
      return { ...model.run(codes, state, true), state };
    });
    const outputs = ["decoded", "confidence", "logits"].map((name) => {
      const type = name === "decoded" ? "int32" : "float32";
      const size = time ? rows[0][name].length / (second[0] === "lengths" ? second[3][0] : time) : 1;
      const filled = rows.flatMap((row) => padded(row[name], size * time));
      const width = name === "confidence" || (name === "decoded" && size === 1) ? [] : [size];
      return [name, type, [batch, time, ...width], filled];
    });
    if (second[0] === "lengths") return outputs;
    const state = rows[0].state.flatMap((_, slot) => rows.flatMap((row) => Array.from(row.state[slot])));
    return [...outputs, ["state_out", "float32", second[2], state]];
  };
}

function padded(values, size) {
  const filled = new Array(size).fill(0);
  values.forEach((value, at) => (filled[at] = value));
  return filled;
}

async function answer(work) {
  let said;
  try {
    said = await work();
  } catch (error) {
    said = { error: `${error}` };
  }
  process.stdout.write(`${JSON.stringify(said)}\n`);
}

let run;
await answer(async () => {
  run = await (engine.endsWith(".mjs") ? openModule() : openPackage());
  return {};
});
for await (const line of createInterface({ input: process.stdin })) {
  await answer(async () => ({ outputs: await run(JSON.parse(line)) }));
}
process.exit(); // onnxruntime-web has threads that would go on

// Measures the module and onnxruntime-web (wasm, one thread) in Node, for javascript.py.
//
//     node javascript.mjs start module|web MODULE WEB MODEL TEXT
//     node javascript.mjs decode MODULE WEB ROUNDS TEXT MODEL...
//
// `start` prints the milliseconds from the start of the process to the first text. `decode` prints a
// line of JSON for each model: the median microseconds of the processor for a call of each engine. They
// take turns, and both go from text to text.

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [mode, ...given] = process.argv.slice(2);

async function openModule(path, model) {
  const { load } = await import(pathToFileURL(path));
  const opened = load(readFileSync(model), {});
  return (text) => opened.decode(text);
}

async function openWeb(path, model) {
  const { default: ort } = await import(pathToFileURL(path));
  ort.env.wasm.numThreads = 1;
  const session = await ort.InferenceSession.create(readFileSync(model));
  const causal = session.inputNames.includes("state");
  const slots = causal && session.inputMetadata.find((each) => each.name === "state").shape;
  return async (text) => {
    const codes = Array.from(text, (char) => char.codePointAt(0));
    const codepoints = new ort.Tensor("int32", codes, [1, codes.length]);
    const second = causal
      ? { state: new ort.Tensor("float32", new Float32Array(slots[0] * slots[2]), [slots[0], 1, slots[2]]) }
      : { lengths: new ort.Tensor("int32", [codes.length], [1]) };
    const { decoded } = await session.run({ codepoints, ...second }, ["decoded"]);
    return String.fromCodePoint(...decoded.data);
  };
}

/** Milliseconds of the processor that `calls` calls take; other work does not count. */
async function time(decode, text, calls) {
  const start = process.cpuUsage();
  for (let call = 0; call < calls; call++) {
    const said = decode(text);
    if (said instanceof Promise) await said; // the module has none to wait for
  }
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1000;
}

async function measure(engines, text, rounds) {
  const calls = [], times = engines.map(() => []);
  for (const decode of engines) {
    const warm = text.length < 10 ? 2000 : 100;
    await time(decode, text, warm);
    calls.push(Math.max(3, Math.ceil(50 / ((await time(decode, text, warm)) / warm))));
  }
  for (let round = 0; round <= rounds; round++) {
    for (const [index, decode] of engines.entries()) {
      const took = (await time(decode, text, calls[index])) / calls[index];
      if (round > 0) times[index].push(took);
    }
  }
  return times.map((all) => all.sort((a, b) => a - b)[all.length >> 1] * 1000);
}

if (mode === "start") {
  const [engine, module, web, model, text] = given;
  const decode = await (engine === "module" ? openModule(module, model) : openWeb(web, model));
  const said = await decode(text);
  console.log(JSON.stringify({ said, milliseconds: performance.now() }));
} else {
  const [module, web, rounds, text, ...models] = given;
  for (const model of models) {
    const engines = [await openModule(module, model), await openWeb(web, model)];
    const said = [await engines[0](text), await engines[1](text)];
    if (said[0] !== said[1]) throw new Error(`${model}: ${said.join(" and ")}`);
    console.log(JSON.stringify(await measure(engines, text, Number(rounds))));
  }
}

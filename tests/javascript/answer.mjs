// Answers requests of test_js.py with the module: a line of JSON for each on stdin and stdout.
// An error of any other class than the module's own is named too, and the test sees it.

import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

const { load } = await import(process.argv[2]);

function answer({ model: file, texts, pieces, policy, stream, lenient, how, method }) {
  const model = load(readFileSync(file), { unknown: policy ?? undefined });
  if (lenient && model.unknown === "error") {
    if (model.info.task === "rewrite") model.unknown = "copy";
    else texts = texts.map((text) => known(model, text));
  }
  if (stream) model.stream();
  if (method) return Array.from(model[method](texts[0]));
  const results = texts.map((text) => {
    if (model.info.task === "classify") return model.classify(text);
    if (model.info.task === "next") return { generated: [...model.generate(text, how)].join("") };
    const annotations = model.annotate(text);
    const codes = Array.from(text, (char) => char.codePointAt(0));
    const { logits } = codes.length ? model.run(codes, undefined, true) : { logits: [] };
    const rows = codes.map((_, step) => {
      const labels = logits.length / codes.length;
      return Array.from(logits.subarray(step * labels, (step + 1) * labels));
    });
    return {
      decoded: model.decode(text),
      annotations,
      confidence: annotations.map((each) => each.confidence),
      logits: rows,
      streamed: pieces && model.info.causal ? streamed(model, text, pieces) : null,
    };
  });
  return { info: model.info, results };
}

// The characters of a text that a model reads; for `next`, which begins with one, at least one.
function known(model, text) {
  const alphabet = Array.from(model.info.input_alphabet);
  const found = Array.from(text).filter((char) => alphabet.includes(char)).join("");
  return found || (model.info.task === "next" ? alphabet[0] : "");
}

function streamed(model, text, size) {
  const stream = model.stream();
  let output = "";
  for (let start = 0; start < text.length; start += size) {
    output += stream.feed(text.slice(start, start + size)); // half a character, too
  }
  return output + stream.feed("", { final: true });
}

for await (const line of createInterface({ input: process.stdin })) {
  let said;
  try {
    said = answer(JSON.parse(line));
  } catch (error) {
    said = { error: error.name, message: error.message };
  }
  process.stdout.write(JSON.stringify(said) + "\n");
}

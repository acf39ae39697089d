/**
 * Decodes text with a model of hello-export, in a browser or in Node, without an ONNX engine.
 *
 *     const model = load(await (await fetch("model.onnx")).arrayBuffer());
 *     model.decode("hello");  // "ohlol"
 *
 * A model is an embedding, layers of a recurrence in one or two directions, and a linear layer:
 * `network.mjs` has the equations, and `model_file.mjs` opens the file.
 *
 * Arrays are flat, and comments have their axes: [steps, width] holds `width` values for each step.
 */

import { draw, uniform } from "./drawing.mjs";
import { KEPT, NOTHING, openModel } from "./model_file.mjs";
import { Network, softmax } from "./network.mjs";
import { ModelFileError, checkFinite } from "./tensors.mjs";

export { ModelFileError };

/** The logit of a label that the guard forbids. */
const FORBIDDEN_LOGIT = -(2 ** 100);
/** Characters that a causal model reads at once, at most; this limits its memory. */
const LONGEST_PIECE = 4096;

/** What may change the character before it, in a normal form: marks, and the tails of Hangul. */
const JOINING = /^[\p{M}\u1161-\u1175\u11a8-\u11c2]/u;

/** A character is outside the alphabet of the model, and the policy is `error`. */
export class UnknownCharacterError extends Error {
  name = "UnknownCharacterError";
}
/** The model cannot do what is asked for. */
export class UnsupportedError extends Error {
  name = "UnsupportedError";
}

/** @import {ModelParts, Unknown} from "./model_file.mjs" */
/**
 * @typedef {object} Annotation What a character became.
 * @property {string} read
 * @property {string} written
 * @property {number} confidence The probability of the label; 1 if the character was copied.
 * @property {boolean} known Whether it is in the alphabet.
 */

/**
 * Opens a model.
 *
 * @param {Uint8Array | ArrayBuffer} content the bytes of `model.onnx`
 * @param {{unknown?: Unknown}} [options] a policy in place of the model's: `error` with any model,
 *   `copy` with one whose own policy is `error`
 * @throws {ModelFileError}
 */
export function load(content, { unknown } = {}) {
  return new Model(openModel(content), unknown);
}

class Model extends Network {
  /** @param {ModelParts} parts @param {Unknown} [unknown] */
  constructor(parts, unknown) {
    super(parts);
    const own = parts.info.unknown;
    this.unknown = unknown ?? own;
    if (![own, "error", own === "error" ? "copy" : own].includes(this.unknown)) {
      throw new UnsupportedError(
        `The model has the policy ${own} for unknown characters, and cannot follow ${unknown}.`);
    }
  }

  /** The output for a text. @param {string} text */
  decode(text) {
    return written(this.annotate(text));
  }

  /** What each character of a text becomes. @param {string} text */
  annotate(text) {
    return this.feed(text, this.zeroState());
  }

  /**
   * A text that arrives in pieces: `feed` returns the output for the next one. Unless it is the
   * last (`final`), the first half of a surrogate pair is held back, and by a model with a normal
   * form the last letter and its marks, because more marks may follow.
   */
  stream() {
    this.needTask("rewrite");
    if (!this.info.causal) {
      throw new UnsupportedError("A bidirectional model needs the whole line and cannot stream.");
    }
    const state = this.zeroState();
    let held = "";
    return {
      feed: (piece = "", { final = false } = {}) => {
        const text = held + piece, settled = final ? text.length : this.settled(text);
        const output = written(this.feed(text.slice(0, settled), state)); // may throw
        held = text.slice(settled);
        return output;
      },
    };
  }

  /**
   * Where the part of a text begins that a later piece may change: the first half of a character,
   * and what has no settled normal form.
   *
   * @param {string} text
   */
  settled(text) {
    let at = /[\ud800-\udbff]$/.test(text) ? text.length - 1 : text.length;
    if (this.info.normalization === "none") return at;
    for (const char of Array.from(text.slice(0, at)).reverse()) {
      at -= char.length;
      if (!JOINING.test(char.normalize("NFD"))) return at;
    }
    return 0;
  }

  /** A line's class, and the probability of each; an empty one has none. @param {string} text */
  classify(text) {
    this.needTask("classify");
    const { codes } = this.check(text);
    if (codes.length === 0) return { label: "", confidence: 0, probabilities: [] };
    const logits = this.classLogits(codes);
    checkFinite(logits);
    const { best, sum } = softmax(logits);
    return {
      label: this.info.classes[best], confidence: 1 / sum,
      probabilities: Array.from(logits, (logit) => Math.exp(logit - logits[best]) / sum),
    };
  }

  /** The logits of a line: of its last step, and backward of its first. @param {number[]} codes */
  classLogits(codes) {
    const H = this.info.hidden_size, ids = codes.map((code) => this.id(code));
    const features = this.features(ids, this.zeroState());
    const ends = features.slice(features.length - features.length / ids.length);
    if (!this.info.causal) ends.set(features.subarray(H, 2 * H), H);
    return this.project(ends, new Float32Array(this.parts.count));
  }

  /**
   * Yields the characters with which a model of `next` continues a text, as they are drawn by the
   * rule of `drawing.mjs`: equal arguments give the same text in every language.
   *
   * @param {string} [prompt] an empty one is LF, the start of a line
   * @param {{characters?: number, temperature?: number, top?: number,
   *   seed?: bigint | number}} [how]
   */
  *generate(prompt = "", { characters = 200, temperature = 1, top, seed } = {}) {
    this.needTask("next");
    if (!(temperature >= 0 && temperature < Infinity && (top ?? 1) >= 1)) {
      throw new UnsupportedError(
        `The temperature must be at least 0, and top at least 1: ${temperature}, ${top}.`);
    }
    const drawn = BigInt(seed ?? Math.floor(Math.random() * 2 ** 53));
    let { codes } = this.check(prompt || "\n");
    const state = this.zeroState();
    for (let number = 1; number <= characters; number++) {
      let logits = new Float32Array();
      for (let start = 0; start < codes.length; start += LONGEST_PIECE) {
        logits = this.run(codes.slice(start, start + LONGEST_PIECE), state).logits;
      }
      codes = [this.parts.labels[draw(logits, uniform(drawn, number), temperature, top)]];
      yield String.fromCodePoint(...codes);
    }
  }

  /** @param {"rewrite" | "next" | "classify"} task */
  needTask(task) {
    if (this.info.task !== task) {
      throw new UnsupportedError(`The task of this model is ${this.info.task}, not ${task}.`);
    }
  }

  /**
   * The characters of a text, their code points, and whether the model knows them.
   *
   * @param {string} text
   * @throws {UnknownCharacterError}
   */
  check(text) {
    const form = this.info.normalization;
    const read = Array.from(form === "none" ? text : text.normalize(form.toUpperCase()));
    const codes = read.map((char) => /** @type {number} */ (char.codePointAt(0)));
    const known = codes.map((code) => this.id(code) !== this.parts.unknownId);
    const stranger = known.indexOf(false);
    if (this.unknown === "error" && stranger >= 0) {
      throw new UnknownCharacterError(
        `Character ${stranger + 1} is ${JSON.stringify(read[stranger])}, and the model reads ` +
        `only these: ${this.info.input_alphabet}`);
    }
    return { read, codes, known };
  }

  /**
   * Decodes a text from a state on, and leaves the state behind it there.
   *
   * @param {string} text
   * @param {Float32Array[]} state
   * @throws {UnknownCharacterError} and the state is as it was
   */
  feed(text, state) {
    this.needTask("rewrite");
    const { read, codes, known } = this.check(text);
    /** @type {Annotation[]} */
    const annotations = [];
    const width = this.parts.labelWidth;
    const most = this.info.causal ? LONGEST_PIECE : codes.length;
    for (let start = 0; start < codes.length; start += most) {
      const { decoded, confidence } = this.run(codes.slice(start, start + most), state);
      confidence.forEach((each, step) => {
        let written = "";
        for (let place = step * width; place < (step + 1) * width; place++) {
          if (decoded[place] !== NOTHING) written += String.fromCodePoint(decoded[place]);
        }
        const at = start + step;
        annotations.push({ read: read[at], written, confidence: each, known: known[at] });
      });
    }
    return annotations;
  }

  /**
   * The outputs of the graph for one row, without its batch axis: the label that is best in each
   * step gives `decoded` and, by its probability, `confidence`.
   *
   * @param {number[]} codes [steps]
   * @param {Float32Array[]} [state] of a causal model, which is moved
   * @param {boolean} [all] whether `logits` are [steps, labels], or those of the last step alone
   */
  run(codes, state = this.zeroState(), all = false) {
    const { guard, labels, labelWidth, unknownId, count: L } = this.parts;
    const steps = codes.length, ids = codes.map((code) => this.id(code));
    const features = this.features(ids, state), width = features.length / steps;
    const logits = new Float32Array(all ? steps * L : L);
    const decoded = new Int32Array(steps * labelWidth);
    const confidence = new Float32Array(steps);
    for (let step = 0; step < steps; step++) {
      const row = all ? logits.subarray(step * L, (step + 1) * L) : logits;
      this.project(features.subarray(step * width, (step + 1) * width), row);
      for (let label = 0, at = guard ? guard.classes[ids[step]] * L : 0; label < L; label++, at++) {
        if (guard && !guard.allowed[at]) row[label] = FORBIDDEN_LOGIT;
      }
      const { best, sum } = softmax(row);
      const copied = ids[step] === unknownId && this.info.unknown !== "label";
      for (let place = 0; place < labelWidth; place++) {
        let element = labels[best * labelWidth + place];
        if (copied) element = place === 0 ? KEPT : NOTHING;
        decoded[step * labelWidth + place] = element === KEPT ? codes[step] : element;
      }
      confidence[step] = copied ? 1 : 1 / sum;
    }
    return { decoded, confidence, logits };
  }
}

/** @param {Annotation[]} annotations */
function written(annotations) {
  return annotations.map((each) => each.written).join("");
}

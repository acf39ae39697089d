/**
 * Decodes text with a model of hello-export, in a browser or in Node, without an ONNX engine.
 *
 *     const model = load(await (await fetch("model.onnx")).arrayBuffer());
 *     model.decode("hello");  // "ohlol"
 *
 * A model is an embedding, layers of a recurrence in one or two directions (`cells.mjs`), and a
 * linear layer. `model_file.mjs` opens its file.
 *
 * Arrays are flat, and comments have their axes: [steps, width] holds `width` values for each step.
 */

import { ACTIVATIONS, CELLS, affine } from "./cells.mjs";
import { KEPT, ModelFileError, NOTHING, openModel } from "./model_file.mjs";

export { ModelFileError };

/** The logit of a label that the guard forbids. */
const FORBIDDEN_LOGIT = -(2 ** 100);
/** Characters that a causal model reads at once, at most; this limits its memory. */
const LONGEST_PIECE = 4096;

/** A character is outside the alphabet of the model, and the policy is `error`. */
export class UnknownCharacterError extends Error {
  name = "UnknownCharacterError";
}
/** The model cannot do what is asked for. */
export class UnsupportedError extends Error {
  name = "UnsupportedError";
}

/** @import {ModelParts, Unknown, Weights} from "./model_file.mjs" */
/**
 * @typedef {object} Annotation What a character became.
 * @property {string} read
 * @property {string} written
 * @property {number} confidence The probability of the label; 1 if the character was copied.
 * @property {boolean} known Whether it is in the alphabet.
 */

/** @typedef {(weights: Weights, step: number) => Float32Array} Read W x + b of a step. */

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

class Model {
  /**
   * @param {ModelParts} parts
   * @param {Unknown} [unknown]
   */
  constructor(parts, unknown) {
    this.parts = parts;
    this.info = parts.info;
    const own = parts.info.unknown;
    this.unknown = unknown ?? own;
    if (![own, "error", own === "error" ? "copy" : own].includes(this.unknown)) {
      throw new UnsupportedError(
        `The model has the policy ${own} for unknown characters, and cannot follow ${unknown}.`);
    }
    this.cell = CELLS[parts.info.cell];
    this.activation = ACTIVATIONS[parts.info.nonlinearity];
  }

  /** The output for a text. @param {string} text */
  decode(text) {
    return written(this.annotate(text));
  }

  /** What each character of a text becomes. @param {string} text */
  annotate(text) {
    return this.feed(text, this.zeroState());
  }

  /** A text that arrives in pieces: `feed` returns the output for the next piece. */
  stream() {
    if (!this.info.causal) {
      throw new UnsupportedError("A bidirectional model needs the whole line and cannot stream.");
    }
    const state = this.zeroState();
    return { feed: (/** @type {string} */ piece) => written(this.feed(piece, state)) };
  }

  /**
   * Decodes a text from a state on, and leaves the state behind it there.
   *
   * @param {string} text
   * @param {Float32Array[]} state
   * @throws {UnknownCharacterError} and the state is as it was
   */
  feed(text, state) {
    const read = Array.from(text);
    const codes = read.map((char) => /** @type {number} */ (char.codePointAt(0)));
    const known = codes.map((code) => this.id(code) !== this.parts.unknownId);
    const stranger = known.indexOf(false);
    if (this.unknown === "error" && stranger >= 0) {
      throw new UnknownCharacterError(
        `Character ${stranger + 1} is ${JSON.stringify(read[stranger])}, and the model reads ` +
        `only these: ${this.info.input_alphabet}`);
    }
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

  /** @param {number} code */
  id(code) {
    const { pageStarts, pageIds } = this.parts;
    return pageIds[pageStarts[Math.min(code >> 8, pageStarts.length - 1)] + (code & 255)];
  }

  /** The state before a text: the layers' hidden states, then an LSTM's cell states. */
  zeroState() {
    const slots = this.cell.states * this.info.layers;
    return Array.from({ length: slots }, () => new Float32Array(this.info.hidden_size));
  }

  /**
   * The outputs of the graph for one row, without its batch axis.
   *
   * @param {number[]} codes [steps]
   * @param {Float32Array[]} [state] of a causal model, which is moved
   * @param {boolean} [all] whether `logits` are [steps, labels], or those of the last step alone
   */
  run(codes, state = this.zeroState(), all = false) {
    const { embedding, unknownId, layers } = this.parts;
    const ids = codes.map((code) => this.id(code));
    const width = embedding.length / (unknownId + 1);
    // The first layer reads the vector of a character: W x + b is remembered for each of them.
    /** @type {Read} */
    let read = ({ W, b, seen }, step) => (seen[ids[step]] ??=
      affine(W, b, embedding, ids[step] * width, width, new Float32Array(b.length)));
    let features = new Float32Array();
    layers.forEach((directions, layer) => {
      const own = state.filter((_, slot) => slot % layers.length === layer);
      const output = this.recur(directions, read, ids.length, own);
      const size = output.length / ids.length, x = new Float32Array(directions[0].b.length);
      read = ({ W, b }, step) => affine(W, b, output, step * size, size, x);
      features = output;
    });
    return this.choose(codes, ids, features, all);
  }

  /**
   * One layer: its hidden states, [steps, directions * hidden].
   *
   * @param {Weights[]} directions
   * @param {Read} read gives W x + b of a step
   * @param {number} steps
   * @param {Float32Array[]} before the states; those of a causal model are moved
   */
  recur(directions, read, steps, before) {
    const H = this.info.hidden_size, features = directions.length * H;
    const output = new Float32Array(steps * features);
    directions.forEach((weights, direction) => {
      const r = new Float32Array(weights.c.length);
      const states = this.info.causal ? before : before.map(() => new Float32Array(H));
      for (let n = 0; n < steps; n++) {
        const step = direction === 0 ? n : steps - 1 - n; // backward: from the last to the first
        const x = read(weights, step);
        affine(weights.R, weights.c, states[0], 0, H, r);
        this.cell.step(x, r, states, this.activation);
        output.set(states[0], step * features + direction * H);
      }
    });
    return output;
  }

  /**
   * The best label of each step, and its probability.
   *
   * @param {number[]} codes
   * @param {number[]} ids
   * @param {Float32Array} features [steps, width]
   * @param {boolean} all
   */
  choose(codes, ids, features, all) {
    const { projection, guard, labels, labelWidth, unknownId } = this.parts;
    const steps = ids.length, width = features.length / steps, L = labels.length / labelWidth;
    const logits = new Float32Array(all ? steps * L : L);
    const decoded = new Int32Array(steps * labelWidth);
    const confidence = new Float32Array(steps);
    for (let step = 0; step < steps; step++) {
      const row = all ? logits.subarray(step * L, (step + 1) * L) : logits;
      if (projection) affine(projection.A, projection.b, features, step * width, width, row);
      else row.set(features.subarray(step * width, (step + 1) * width));
      for (let label = 0, at = guard ? guard.classes[ids[step]] * L : 0; label < L; label++, at++) {
        if (guard && !guard.allowed[at]) row[label] = FORBIDDEN_LOGIT;
      }
      let best = 0, sum = 0;
      for (let label = 1; label < L; label++) if (row[label] > row[best]) best = label;
      for (let label = 0; label < L; label++) {
        if (row[label] > FORBIDDEN_LOGIT) sum += Math.exp(row[label] - row[best]);
      }
      const copied = ids[step] === unknownId && this.info.unknown !== "label";
      for (let place = 0; place < labelWidth; place++) {
        let element = labels[best * labelWidth + place];
        if (copied) element = place === 0 ? KEPT : NOTHING;
        decoded[step * labelWidth + place] = element === KEPT ? codes[step] : element;
      }
      confidence[step] = copied ? 1 : 1 / sum; // softmax
    }
    return { decoded, confidence, logits };
  }
}

/** @param {Annotation[]} annotations */
function written(annotations) {
  return annotations.map((each) => each.written).join("");
}

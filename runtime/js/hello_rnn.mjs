/**
 * Decodes text with a model of hello-export, in a browser or in Node, without an ONNX engine.
 *
 *     const model = load(await (await fetch("model.onnx")).arrayBuffer());
 *     model.decode("hello");  // "ohlol"
 *
 * A model is an embedding, layers of a recurrence in one or two directions, and a linear layer. The
 * recurrence reads x, the vector of a character or the output of the layer below, and has a hidden
 * state h. With W, R the weights of x and h, b, c their biases, and * element by element:
 *
 *     RNN   h' = tanh(W x + b + R h + c), or relu instead of tanh
 *
 *     GRU   z = sigmoid(W_z x + b_z + R_z h + c_z)        likewise r
 *           n = tanh(W_n x + b_n + r * (R_n h + c_n))
 *           h' = (1 - z) * n + z * h
 *
 *     LSTM  i = sigmoid(W_i x + b_i + R_i h + c_i)        likewise o, f
 *           g = tanh(W_g x + b_g + R_g h + c_g)
 *           C' = f * C + i * g;  h' = o * tanh(C')
 *
 * Values are float32, as in other engines, and products are summed in float64. Arrays are flat, and
 * comments have their axes: [steps, width] holds `width` values for each step.
 */

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

/**
 * The equations of a cell: from x = W x + b and r = R h + c, [gates * hidden], to the states,
 * [hidden] each. The gates are in ONNX's order.
 *
 * @typedef {(x: Float32Array, r: Float32Array, states: Float32Array[],
 *   activation: (x: number) => number) => void} Step
 */

/** @type {Record<string, {states: number, step: Step}>} */
const CELLS = {
  rnn: {
    states: 1,
    step(x, r, [h], activation) {
      for (let j = 0; j < h.length; j++) h[j] = activation(x[j] + r[j]);
    },
  },
  gru: {
    states: 1,
    step(x, r, [h]) {
      for (let j = 0, H = h.length; j < H; j++) {
        const update = sigmoid(x[j] + r[j]);
        const reset = sigmoid(x[H + j] + r[H + j]);
        const fresh = Math.tanh(x[2 * H + j] + reset * r[2 * H + j]);
        h[j] = (1 - update) * fresh + update * h[j];
      }
    },
  },
  lstm: {
    states: 2,
    step(x, r, [h, c]) {
      for (let j = 0, H = h.length; j < H; j++) {
        const input = sigmoid(x[j] + r[j]);
        const output = sigmoid(x[H + j] + r[H + j]);
        const forget = sigmoid(x[2 * H + j] + r[2 * H + j]);
        c[j] = forget * c[j] + input * Math.tanh(x[3 * H + j] + r[3 * H + j]);
        h[j] = output * Math.tanh(c[j]);
      }
    },
  },
};
const sigmoid = (/** @type {number} */ x) => 1 / (1 + Math.exp(-x));
const ACTIVATIONS = { tanh: Math.tanh, relu: (/** @type {number} */ x) => Math.max(x, 0) };

/**
 * y = A v + b, with `width` values of v from `from` on.
 *
 * @param {Float32Array} A [rows, width]
 * @param {Float32Array} b [rows]
 * @param {Float32Array} v
 * @param {number} from
 * @param {number} width
 * @param {Float32Array} y [rows]
 */
function affine(A, b, v, from, width, y) {
  for (let row = 0, at = 0; row < b.length; row++) {
    let k = from, s0 = b[row], s1 = 0, s2 = 0, s3 = 0; // four sums do not wait for each other
    for (const last = from + width - 3; k < last; k += 4, at += 4) {
      s0 += A[at] * v[k];
      s1 += A[at + 1] * v[k + 1];
      s2 += A[at + 2] * v[k + 2];
      s3 += A[at + 3] * v[k + 3];
    }
    for (; k < from + width; k++, at++) s0 += A[at] * v[k];
    y[row] = s0 + s1 + s2 + s3;
  }
}

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
        const edit = decoded.subarray(step * width, (step + 1) * width);
        const written = String.fromCodePoint(...edit.filter((code) => code !== NOTHING));
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
    let features = new Float32Array(ids.length * width); // [steps, width]
    ids.forEach((id, step) =>
      features.set(embedding.subarray(id * width, (id + 1) * width), step * width));
    layers.forEach((directions, layer) => {
      const own = state.filter((_, slot) => slot % layers.length === layer);
      features = this.recur(directions, features, ids.length, own);
    });
    return this.choose(codes, ids, features, all);
  }

  /**
   * One layer, [steps, width] -> [steps, directions * hidden].
   *
   * @param {Weights[]} directions
   * @param {Float32Array} input
   * @param {number} steps
   * @param {Float32Array[]} before the states; those of a causal model are moved
   */
  recur(directions, input, steps, before) {
    const H = this.info.hidden_size, width = input.length / steps;
    const features = directions.length * H;
    const output = new Float32Array(steps * features);
    directions.forEach(({ W, R, b, c }, direction) => {
      const x = new Float32Array(b.length), r = new Float32Array(c.length);
      const states = this.info.causal ? before : before.map(() => new Float32Array(H));
      for (let n = 0; n < steps; n++) {
        const step = direction === 0 ? n : steps - 1 - n; // backward: from the last to the first
        affine(W, b, input, step * width, width, x);
        affine(R, c, states[0], 0, H, r);
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
    const decoded = new Int32Array(steps * labelWidth).fill(NOTHING);
    const confidence = new Float32Array(steps);
    for (let step = 0; step < steps; step++) {
      const row = all ? logits.subarray(step * L, (step + 1) * L) : logits;
      if (projection) affine(projection.A, projection.b, features, step * width, width, row);
      else row.set(features.subarray(step * width, (step + 1) * width));
      for (let label = 0; guard && label < L; label++) {
        if (!guard.allowed[guard.classes[ids[step]] * L + label]) row[label] = FORBIDDEN_LOGIT;
      }
      let best = 0, sum = 0;
      for (let label = 1; label < L; label++) if (row[label] > row[best]) best = label;
      for (let label = 0; label < L; label++) sum += Math.exp(row[label] - row[best]);
      const copied = ids[step] === unknownId && this.info.unknown !== "label";
      const edit = copied ? [KEPT] : labels.subarray(best * labelWidth, (best + 1) * labelWidth);
      edit.forEach((code, place) => {
        decoded[step * labelWidth + place] = code === KEPT ? codes[step] : code;
      });
      confidence[step] = copied ? 1 : 1 / sum; // softmax
    }
    return { decoded, confidence, logits };
  }
}

/** @param {Annotation[]} annotations */
function written(annotations) {
  return annotations.map((each) => each.written).join("");
}

/**
 * The network: from code points to logits.
 *
 * A recurrence reads x, a character's vector or the output of the layer below, and has a hidden
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
 * Values are float32, as in other engines, and products are summed in float64.
 */

/** @import {ModelParts, Weights} from "./model_file.mjs" */
/** @typedef {(weights: Weights, step: number) => Float32Array} Read W x + b of a step. */

/**
 * The equations of a cell: from x = W x + b and r = R h + c, [gates * hidden], to the states,
 * [hidden] each. `gates` has the order of the gates in x and r, which is ONNX's.
 *
 * @typedef {(x: Float32Array, r: Float32Array, states: Float32Array[],
 *   activation: (x: number) => number) => void} Step
 */

/** @type {Record<string, {gates: string, states: number, step: Step}>} */
export const CELLS = {
  rnn: {
    gates: "i",
    states: 1,
    step(x, r, [h], activation) {
      for (let j = 0; j < h.length; j++) h[j] = activation(x[j] + r[j]);
    },
  },
  gru: {
    gates: "zrh",
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
    gates: "iofc",
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
 * y = A v + b, with `width` values of v from `from` on. Four rows at a time: their sums do not wait
 * for each other, and a value of v is read once.
 *
 * @param {Float32Array} A [rows, width]
 * @param {Float32Array} b [rows]
 * @param {Float32Array} v
 * @param {number} from
 * @param {number} width
 * @param {Float32Array} y [rows]
 */
function affine(A, b, v, from, width, y) {
  const rows = b.length;
  let row = 0;
  for (; row + 3 < rows; row += 4) {
    let s0 = b[row], s1 = b[row + 1], s2 = b[row + 2], s3 = b[row + 3];
    for (let k = 0, at = row * width; k < width; k++, at++) {
      const value = v[from + k];
      s0 += A[at] * value;
      s1 += A[at + width] * value;
      s2 += A[at + 2 * width] * value;
      s3 += A[at + 3 * width] * value;
    }
    y[row] = s0;
    y[row + 1] = s1;
    y[row + 2] = s2;
    y[row + 3] = s3;
  }
  for (; row < rows; row++) {
    let sum = b[row];
    for (let k = 0; k < width; k++) sum += A[row * width + k] * v[from + k];
    y[row] = sum;
  }
  return y;
}

/**
 * The best of some logits, and the sum of e to the power of each less the best: softmax gives the
 * best a probability of 1 / sum.
 *
 * @param {Float32Array} logits
 */
export function softmax(logits) {
  const L = logits.length;
  let best = 0, sum = 0;
  for (let label = 1; label < L; label++) if (logits[label] > logits[best]) best = label;
  for (let label = 0; label < L; label++) sum += Math.exp(logits[label] - logits[best]);
  return { best, sum };
}

export class Network {
  /** @param {ModelParts} parts */
  constructor(parts) {
    this.parts = parts;
    this.info = parts.info;
    this.cell = CELLS[parts.info.cell];
    this.activation = ACTIVATIONS[parts.info.nonlinearity];
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
   * The hidden states of the last layer, [steps, directions * hidden].
   *
   * @param {number[]} ids
   * @param {Float32Array[]} state
   */
  features(ids, state) {
    const { embedding, unknownId, layers } = this.parts;
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
    return features;
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
   * The logits of a step, before the guard.
   *
   * @param {Float32Array} features [width]
   * @param {Float32Array} logits [labels]
   */
  project(features, logits) {
    const { projection } = this.parts;
    if (!projection) logits.set(features);
    else affine(projection.A, projection.b, features, 0, features.length, logits);
    return logits;
  }
}

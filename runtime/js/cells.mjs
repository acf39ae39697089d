/**
 * The cells: from one step to the next.
 *
 * A recurrence reads x, the vector of a character or the output of the layer below, and has a hidden
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

/**
 * The equations of a cell: from x = W x + b and r = R h + c, [gates * hidden], to the states,
 * [hidden] each. The gates are in ONNX's order.
 *
 * @typedef {(x: Float32Array, r: Float32Array, states: Float32Array[],
 *   activation: (x: number) => number) => void} Step
 */

/** @type {Record<string, {states: number, step: Step}>} */
export const CELLS = {
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
export const ACTIVATIONS = { tanh: Math.tanh, relu: (/** @type {number} */ x) => Math.max(x, 0) };

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
export function affine(A, b, v, from, width, y) {
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

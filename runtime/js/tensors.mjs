/**
 * Reads the tensors of `model.onnx`: protobuf messages, of which unknown fields are refused.
 */

/** The file is no model of hello-export, or cut off, or damaged, or too new. */
export class ModelFileError extends Error {
  name = "ModelFileError";
}

/** Checks that logits choose something. @param {Float32Array} logits */
export function checkFinite(logits) {
  if (!logits.every(Number.isFinite)) {
    throw new ModelFileError("The logits of this model are NaN or infinite.");
  }
}

/** The numbers of the types, by the arrays that hold them: of bool and float16 their bits. */
const TYPES = new Map(/** @type {[Function, number][]} */ ([
  [Float32Array, 1], [Int8Array, 3], [Int32Array, 6], [Uint8Array, 9], [Uint16Array, 10],
]));

export class Tensors {
  /** @param {Uint8Array[]} messages */
  constructor(messages) {
    this.byName = new Map(messages.map((bytes) => {
      const tensor = readMessage(bytes, TENSOR);
      return [toText(tensor.name[0]), tensor];
    }));
  }

  /** @param {string} name */
  has(name) {
    return this.byName.has(name);
  }

  /** @param {string} name @returns {number[]} */
  shape(name) {
    return this.byName.get(name)?.dims ?? [];
  }

  /**
   * The values of a tensor of this type and shape.
   *
   * @template T
   * @param {string} name
   * @param {{new (buffer: ArrayBuffer): T, BYTES_PER_ELEMENT: number}} Type
   * @param {number[]} shape -1 stands for any size
   * @returns {T}
   */
  read(name, Type, shape) {
    const tensor = this.byName.get(name);
    need(tensor, `${name} is missing, which is`);
    const { dims, data_type, raw_data } = tensor;
    const size = dims.reduce((product, each) => product * each, Type.BYTES_PER_ELEMENT);
    need(data_type[0] === TYPES.get(Type) && raw_data[0]?.length === size, `${name} is`);
    const same = dims.length === shape.length && dims.every(
      (each, axis) => each > 0 && (each === shape[axis] || shape[axis] === -1));
    need(same, `the shape of ${name} is`);
    return new Type(raw_data[0].slice().buffer);
  }

  /**
   * A weight, which may be stored in float16, or in int8 with a scale for each index of an axis.
   *
   * @param {string} name
   * @param {number[]} shape
   * @param {number} channels the axis
   */
  weight(name, shape, channels) {
    if (this.has(name)) return this.read(name, Float32Array, shape);
    if (this.has(`${name}.float16`)) {
      return Float32Array.from(this.read(`${name}.float16`, Uint16Array, shape), fromFloat16);
    }
    const scale = this.read(
      `${name}.scale`, Float32Array, shape.map((size, axis) => (axis === channels ? size : 1)));
    const stored = this.read(`${name}.int8`, Int8Array, shape);
    const outer = shape.slice(0, channels + 1).reduce((product, size) => product * size);
    const inner = stored.length / outer; // values of one channel that stand together
    return Float32Array.from(
      stored, (value, at) => value * scale[Math.floor(at / inner) % scale.length]);
  }
}

/** @param {number} bits of a float16 */
function fromFloat16(bits) {
  const exponent = (bits >> 10) & 31, fraction = (bits & 1023) / 1024;
  let size = exponent ? (1 + fraction) * 2 ** (exponent - 15) : fraction * 2 ** -14;
  if (exponent === 31) size = fraction ? NaN : Infinity;
  return bits >> 15 ? -size : size;
}

/** @param {Float32Array} matrix [rows, columns] @param {number} columns */
export function transposed(matrix, columns) {
  const rows = matrix.length / columns;
  return matrix.map((_, at) => matrix[(at % rows) * columns + Math.floor(at / rows)]);
}

// Protobuf messages of onnx.proto: the names of their fields, by 8 * number + wire type.

export const MODEL = {
  8: "ir_version", 18: "producer_name", 26: "producer_version", 58: "graph", 66: "opset_import",
  114: "metadata_props",
};
export const GRAPH = { 10: "node", 18: "name", 42: "initializer", 90: "input", 98: "output" };
const TENSOR = { 8: "dims", 16: "data_type", 66: "name", 74: "raw_data" };
export const ENTRY = { 10: "key", 18: "value" };

/**
 * The fields of a message by name: lists of numbers (wire type 0) or of bytes (wire type 2).
 *
 * @param {Uint8Array} bytes
 * @param {Record<number, string>} fields
 */
export function readMessage(bytes, fields) {
  /** @type {Record<string, any[]>} */
  const message = Object.fromEntries(Object.values(fields).map((name) => [name, []]));
  let at = 0;
  const readNumber = () => {
    let number = 0;
    for (let scale = 1; ; scale *= 128) {
      need(at < bytes.length && scale < 2 ** 49, "its encoding is");
      const byte = bytes[at++];
      number += (byte & 127) * scale;
      if (byte < 128) return number;
    }
  };
  while (at < bytes.length) {
    const key = readNumber(), number = readNumber(), name = fields[key];
    need(name, `its field ${key >> 3} is`);
    if (key % 8 === 0) {
      message[name].push(number);
    } else {
      need(at + number <= bytes.length, "its length is");
      message[name].push(bytes.subarray(at, (at += number)));
    }
  }
  return message;
}

/** @param {Uint8Array} bytes */
export function toText(bytes) {
  return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
}

/** @param {unknown} condition @param {string} what is wrong @returns {asserts condition} */
export function need(condition, what) {
  if (!condition) {
    throw new ModelFileError(
      `No model of hello-export, or cut off, or damaged: ${what} not as hello-export writes it.`);
  }
}

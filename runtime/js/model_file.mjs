/**
 * Opens `model.onnx`: its tensors by their names, and the rest from its metadata.
 *
 * `hello_export.graph.onnx_graph` writes the file, and docs/engines.md states the names. The nodes
 * of the graph are not read: the metadata says which network it is. A file from a stranger can give
 * wrong text; it cannot do anything else, and what is no such file ends in a `ModelFileError`.
 */

/** The newest format that is read. */
export const FORMAT_VERSION = 2;

/** In the table of labels. */
export const NOTHING = -1, KEPT = -2;

/** The gates of each cell, in the order of their blocks of rows. */
const GATES = { rnn: "i", gru: "zrh", lstm: "iofc" };

/** The file is no model of hello-export, or cut off, or damaged, or too new. */
export class ModelFileError extends Error {
  name = "ModelFileError";
}

/** @typedef {"error" | "copy" | "label"} Unknown The policy for characters outside the alphabet. */
/**
 * @typedef {object} Weights Of a layer and direction. A gate has `hidden` rows.
 * @property {Float32Array} W [rows, width]
 * @property {Float32Array} R [rows, hidden]
 * @property {Float32Array} b [rows]
 * @property {Float32Array} c [rows]
 * @property {Float32Array[]} seen W x + b of the characters that were read, by their ids
 */
/** @typedef {ReturnType<typeof openModel>} ModelParts */

/**
 * @param {Uint8Array | ArrayBuffer} content the bytes of the file
 * @throws {ModelFileError}
 */
export function openModel(content) {
  try {
    return readParts(new Uint8Array(content));
  } catch (error) {
    if (error instanceof ModelFileError) throw error;
    throw new ModelFileError(`No model of hello-export, or cut off, or damaged (${error}).`);
  }
}

/** @param {Uint8Array} bytes */
function readParts(bytes) {
  const model = readMessage(bytes, MODEL);
  const info = readInfo(Object.fromEntries(model.metadata_props.map((entry) => {
    const { key, value } = readMessage(entry, ENTRY);
    return [toText(key[0]), toText(value[0])];
  })));
  const tensors = new Tensors(readMessage(model.graph[0], GRAPH).initializer);

  // The id of a code point is pageIds[pageStarts[code / 256] + code % 256]. Every code point from
  // the last page on is unknown, and the id of unknown characters is the last.
  const pageStarts = tensors.read("page_starts", Int32Array, [-1]);
  const pageIds = tensors.read("page_ids", Int32Array, [-1]);
  const unknownId = pageIds[pageStarts[pageStarts.length - 1] + 255];
  need(pageIds.every((id) => id >= 0 && id <= unknownId), "page_ids are");
  need(pageStarts.every((at) => at >= 0 && at + 256 <= pageIds.length), "page_starts are");

  const ids = unknownId + 1;
  const embedding = tensors.weight("embedding", [ids, -1], 0);
  let width = embedding.length / ids;
  const gates = GATES[info.cell], rows = gates.length * info.hidden_size;
  /** @type {Weights[][]} of each layer, of each direction */
  const layers = [];
  for (let layer = 0; layer < info.layers; layer++) {
    layers.push((info.causal ? ["forward"] : ["forward", "backward"]).map((direction) => {
      const name = `layer${layer}.${direction}`;
      const biases = tensors.read(`${name}.B_${gates}`, Float32Array, [1, 2 * rows]);
      return {
        W: tensors.weight(`${name}.W_${gates}`, [1, rows, width], 1),
        R: tensors.weight(`${name}.R_${gates}`, [1, rows, info.hidden_size], 1),
        b: biases.subarray(0, rows),
        c: biases.subarray(rows),
        seen: [],
      };
    }));
    width = layers[layer].length * info.hidden_size;
  }

  // What a label writes: code points, KEPT for the one that was read, and NOTHING behind the last.
  const table = tensors.has("label_elements") ? "label_elements" : "label_codepoints";
  const [count, labelWidth = 1] = tensors.shape(table);
  const labels = tensors.read(table, Int32Array, tensors.shape(table));
  need(labels.every((code) => code >= KEPT && code <= 0x10ffff), "its labels are");
  let projection = null; // without one, hidden states are the logits
  if (tensors.has("projection.bias")) {
    projection = {
      A: transposed(tensors.weight("projection.weight", [width, count], 1), count),
      b: tensors.read("projection.bias", Float32Array, [count]),
    };
  }
  need(projection || width === count, "its number of labels is");

  const guard = info.guarded ? readGuard(tensors, ids, count) : null;
  return {
    info, pageStarts, pageIds, unknownId, embedding, layers, projection, guard, labels, labelWidth,
  };
}

/**
 * The guard: ids have classes, and a class has the labels that it allows.
 *
 * @param {Tensors} tensors
 * @param {number} ids
 * @param {number} labels
 */
function readGuard(tensors, ids, labels) {
  const allowed = tensors.read("allowed_labels", Uint8Array, [-1, labels]); // 0 where forbidden
  const classes = tensors.has("class_of_id")
    ? tensors.read("class_of_id", Int32Array, [ids])
    : Int32Array.from({ length: ids }, (_, id) => id); // in format 1 each id is a class
  need(classes.every((each) => each >= 0 && each < allowed.length / labels), "its guard is");
  return { classes, allowed };
}

/** @param {Record<string, string>} metadata */
function readInfo(metadata) {
  const version = metadata.format_version ?? "";
  need(/^[1-9]\d*$/.test(version), "its metadata is");
  if (Number(version) > FORMAT_VERSION) {
    throw new ModelFileError(
      `The model has format ${version}, and this program reads up to format ${FORMAT_VERSION}; ` +
      `take a newer hello_rnn.mjs, or make the page anew with a newer hello-export.`,
    );
  }
  const info = {
    cell: /** @type {keyof typeof GATES} */ (metadata.cell),
    nonlinearity: /** @type {"tanh" | "relu"} */ (metadata.nonlinearity ?? "tanh"),
    causal: /** @type {boolean} */ (JSON.parse(metadata.causal)),
    layers: Number(metadata.layers),
    hidden_size: Number(metadata.hidden_size),
    input_alphabet: /** @type {string} */ (JSON.parse(metadata.input_alphabet)),
    unknown: /** @type {Unknown} */ (metadata.unknown),
    guarded: metadata.guard !== "null",
    training: /** @type {Record<string, any>} */ (JSON.parse(metadata.training)),
  };
  need(Object.hasOwn(GATES, info.cell), "its cell is");
  need(["tanh", "relu"].includes(info.nonlinearity), "its nonlinearity is");
  need(typeof info.causal === "boolean", "its direction is");
  need(info.layers > 0 && info.hidden_size > 0, "its size is");
  need(typeof info.input_alphabet === "string", "its alphabet is");
  need(["error", "copy", "label"].includes(info.unknown), "its policy for unknown characters is");
  return info;
}

// Tensors.

/** The numbers of the types, by the arrays that hold them: of bool and float16 their bits. */
const TYPES = new Map(/** @type {[Function, number][]} */ ([
  [Float32Array, 1], [Int8Array, 3], [Int32Array, 6], [Uint8Array, 9], [Uint16Array, 10],
]));

class Tensors {
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
function transposed(matrix, columns) {
  const rows = matrix.length / columns;
  return matrix.map((_, at) => matrix[(at % rows) * columns + Math.floor(at / rows)]);
}

// Protobuf messages of onnx.proto: the names of their fields, by 8 * number + wire type.

const MODEL = {
  8: "ir_version", 18: "producer_name", 26: "producer_version", 58: "graph", 66: "opset_import",
  114: "metadata_props",
};
const GRAPH = { 10: "node", 18: "name", 42: "initializer", 90: "input", 98: "output" };
const TENSOR = { 8: "dims", 16: "data_type", 66: "name", 74: "raw_data" };
const ENTRY = { 10: "key", 18: "value" };

/**
 * The fields of a message by name: lists of numbers (wire type 0) or of bytes (wire type 2).
 *
 * @param {Uint8Array} bytes
 * @param {Record<number, string>} fields
 */
function readMessage(bytes, fields) {
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
function toText(bytes) {
  return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
}

/**
 * @param {unknown} condition
 * @param {string} what is not as it should be
 * @returns {asserts condition}
 */
function need(condition, what) {
  if (!condition) {
    throw new ModelFileError(
      `No model of hello-export, or cut off, or damaged: ${what} not as hello-export writes it.`);
  }
}

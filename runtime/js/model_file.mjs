/**
 * Opens `model.onnx`: its tensors by their names, and the rest from its metadata.
 *
 * `hello_export.graph.onnx_graph` writes the file, and docs/engines.md states the names. The nodes
 * of the graph are not read: the metadata says which network it is. A file from a stranger can give
 * wrong text; it cannot do anything else, and what is no such file ends in a `ModelFileError`.
 */

import { CELLS } from "./network.mjs";
import { ENTRY, GRAPH, MODEL, ModelFileError, Tensors, need, readMessage, toText, transposed }
  from "./tensors.mjs";

/** The newest format that is read. */
const FORMAT_VERSION = 2;

/** In the table of labels. */
export const NOTHING = -1, KEPT = -2;

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
    const reason = String(error).replace(/[^ -~]/g, "?"); // it may quote the file
    throw new ModelFileError(`No model of hello-export, or cut off, or damaged (${reason}).`);
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

  // The id of a code point is pageIds[pageStarts[code / 256] + code % 256], or pageIds[code] where
  // there are no pageStarts. Every code point from the last page on is unknown, and the id of
  // unknown characters is the last.
  const pageIds = tensors.read("page_ids", Int32Array, [-1]);
  const pageStarts = tensors.has("page_starts")
    ? tensors.read("page_starts", Int32Array, [-1])
    : Int32Array.from({ length: Math.floor(pageIds.length / 256) }, (_, page) => page * 256);
  const unknownId = pageIds[pageStarts[pageStarts.length - 1] + 255];
  need(unknownId >= 0 && pageIds.every((id) => id >= 0 && id <= unknownId), "page_ids are");
  need(pageStarts.every((at) => at >= 0 && at + 256 <= pageIds.length), "page_starts are");

  const ids = unknownId + 1;
  const embedding = tensors.weight("embedding", [ids, -1], 0);
  let width = embedding.length / ids;
  const { gates } = CELLS[info.cell], rows = gates.length * info.hidden_size;
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

  const { labels, labelWidth, count } = readLabels(tensors, info);
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
    info, pageStarts, pageIds, unknownId, embedding, layers, projection, guard,
    labels, labelWidth, count,
  };
}

/**
 * What each label writes, [count, labelWidth]: code points, KEPT for the one that was read, and
 * NOTHING behind the last. Labels of `next` are the alphabet; those of `classify` write nothing.
 *
 * @param {Tensors} tensors
 * @param {ReturnType<typeof readInfo>} info
 */
function readLabels(tensors, info) {
  if (info.task === "classify") {
    return { labels: new Int32Array(), labelWidth: 0, count: info.classes.length };
  }
  if (info.task === "next") {
    const alphabet = Array.from(info.input_alphabet, (char) => char.codePointAt(0) ?? 0);
    const labels = Int32Array.from(alphabet);
    return { labels, labelWidth: 1, count: labels.length };
  }
  const table = tensors.has("label_elements") ? "label_elements" : "label_codepoints";
  const [count, labelWidth = 1] = tensors.shape(table);
  const labels = tensors.read(table, Int32Array, tensors.shape(table));
  need(labels.every((code) => code >= KEPT && code <= 0x10ffff), "its labels are");
  return { labels, labelWidth, count };
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
    task: /** @type {"rewrite" | "next" | "classify"} */ (metadata.task ?? "rewrite"),
    classes: /** @type {string[]} */ (JSON.parse(metadata.classes ?? "[]")),
    cell: metadata.cell,
    nonlinearity: /** @type {"tanh" | "relu"} */ (metadata.nonlinearity),
    causal: /** @type {boolean} */ (JSON.parse(metadata.causal)),
    layers: Number(metadata.layers),
    hidden_size: Number(metadata.hidden_size),
    input_alphabet: /** @type {string} */ (JSON.parse(metadata.input_alphabet)),
    unknown: /** @type {Unknown} */ (metadata.unknown),
    normalization: /** @type {"none" | "nfc" | "nfd"} */ (metadata.normalization ?? "none"),
    guarded: (metadata.guard ?? "null") !== "null",
    training: /** @type {Record<string, any>} */ (JSON.parse(metadata.training)),
  };
  need(["rewrite", "next", "classify"].includes(info.task), "its task is");
  need(["none", "nfc", "nfd"].includes(info.normalization), "its normal form is");
  need(Array.isArray(info.classes), "its classes are");
  need(Object.hasOwn(CELLS, info.cell), "its cell is");
  need(["tanh", "relu"].includes(info.nonlinearity), "its nonlinearity is");
  need(typeof info.causal === "boolean", "its direction is");
  need(info.layers > 0 && info.hidden_size > 0, "its size is");
  need(typeof info.input_alphabet === "string", "its alphabet is");
  need(["error", "copy", "label"].includes(info.unknown), "its policy for unknown characters is");
  return info;
}

/**
 * The ONNX files, run by ONNX Runtime: the very files that the server runs.
 *
 * @typedef {object} Files
 * @property {Uint8Array} pnet
 * @property {Uint8Array} rnet
 * @property {Uint8Array} onet
 * @property {Uint8Array} nms
 * @property {Uint8Array} warp
 * @property {Uint8Array} encoder
 */

import * as ort from "./runtime/ort.wasm.bundle.min.mjs";
import { ALIGNED_SIZE } from "./alignment.js";

/** What the runtime computes by. */
export const PROVIDER = "wasm";

export class Graphs {
  /**
   * @param {Uint8Array} runtime  the WebAssembly of ONNX Runtime
   * @param {Files} files
   * @returns {Promise<Graphs>}
   */
  static async open(runtime, files) {
    ort.env.wasm.numThreads = 1;
    ort.env.wasm.wasmBinary = runtime;
    ort.env.logLevel = "error";
    const sessions = {};
    for (const [name, data] of Object.entries(files)) {
      sessions[name] = await ort.InferenceSession.create(data, {
        executionProviders: [PROVIDER],
        enableMemPattern: false,
        logSeverityLevel: 3,
      });
    }
    ort.env.wasm.wasmBinary = undefined;
    return new Graphs(sessions);
  }

  /** @param {Record<string, ort.InferenceSession>} sessions */
  constructor(sessions) {
    this.sessions = sessions;
    const given = sessions.encoder.inputMetadata.find(({ name }) => name === "given");
    /** Cells per side of a mask. */
    this.cells = given.shape[1];
    this.ones = new Float32Array(this.cells * this.cells).fill(1);
  }

  /** P-Net on every window of a picture. */
  async pnet(rgb, width, height) {
    return this.run("pnet", { rgb: bytes(rgb, [1, height, width, 3]) });
  }

  /** R-Net on crops of 24 pixels. */
  async rnet(rgb, count) {
    return this.run("rnet", { rgb: bytes(rgb, [count, 24, 24, 3]) });
  }

  /** O-Net on crops of 48 pixels. */
  async onet(rgb, count) {
    return this.run("onet", { rgb: bytes(rgb, [count, 48, 48, 3]) });
  }

  /** Greedy non-maximum suppression: indices, best first. */
  async nms(boxes, scores, limit) {
    const { kept } = await this.run("nms", {
      boxes: floats(boxes, [scores.length, 4]),
      scores: floats(scores, [scores.length]),
      limit: floats(Float32Array.of(limit), []),
    });
    return Array.from(kept, Number);
  }

  /** A region seen through a grid: RGB of the aligned face. */
  async warp(region, grid) {
    const { aligned } = await this.run("warp", {
      region: bytes(region.data, [region.height, region.width, 3]),
      grid: floats(grid, [1, ALIGNED_SIZE, ALIGNED_SIZE, 2]),
    });
    return aligned;
  }

  /**
   * Encode an aligned face.
   * @param {Uint8Array} aligned  RGB
   * @param {string[]} outputs  of "logits", "mask" and "seen", what is wanted
   * @param {Float32Array} [mask]  replaces the network's own, in [0, 1]
   * @returns {Promise<Record<string, Float32Array | Uint8Array>>} outputs by name
   */
  async encode(aligned, outputs, mask) {
    const inputs = {
      face: bytes(aligned, [1, ALIGNED_SIZE, ALIGNED_SIZE, 3]),
      given: floats(mask ?? this.ones, [1, this.cells, this.cells]),
      use_given: floats(Float32Array.of(mask ? 1 : 0), [1, 1, 1]),
    };
    return this.run("encoder", inputs, outputs);
  }

  async run(name, inputs, outputs) {
    const session = this.sessions[name];
    const found = await (outputs ? session.run(inputs, outputs) : session.run(inputs));
    return Object.fromEntries(Object.entries(found).map(([key, { data }]) => [key, data]));
  }
}

function bytes(data, shape) {
  return new ort.Tensor("uint8", data, shape);
}

function floats(data, shape) {
  return new ort.Tensor("float32", data, shape);
}

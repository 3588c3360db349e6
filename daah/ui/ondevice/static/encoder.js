/**
 * From a face on a photo to its code: alignment, mask, logits, bits.
 *
 * @typedef {import("./resampling.js").Picture} Picture
 * @typedef {import("./detector.js").Face} Face
 *
 * @typedef {object} Encoded
 * @property {Uint8Array} bits  the code, eight bits per byte, the first one highest
 * @property {Float32Array} logits  that the bits are the signs of
 * @property {Float32Array} mask  rows of `grid` cells, what gated the network, in [0, 1]
 * @property {number} grid  cells per side of the mask
 * @property {number[]} matrix  photo to aligned face: x' = a x + b y + c, y' = d x + e y + f
 * @property {Uint8Array} [aligned]  RGB, 224 pixels per side; where pictures are wanted
 * @property {Uint8Array} [seen]  RGB, the face as the network is given it; where they are wanted
 */

import { ALIGNED_SIZE, grid, sampled, similarity } from "./alignment.js";
import { packed } from "./codes.js";
import { cut } from "./resampling.js";

export class Encoder {
  /** @param {import("./graphs.js").Graphs} graphs */
  constructor(graphs) {
    this.graphs = graphs;
  }

  /**
   * @param {Picture} picture  that the face was found on
   * @param {Face} face
   * @param {object} [options]
   * @param {boolean} [options.pictures]  whether the aligned face and what is seen of it are wanted
   * @param {Float32Array} [options.mask]  a mask of the network's own size in place of its own
   * @returns {Promise<Encoded>}
   */
  async encode(picture, face, { pictures = false, mask } = {}) {
    const matrix = similarity(face.landmarks);
    const aligned = await this.aligned(picture, matrix);
    return this.coded(aligned, matrix, pictures, mask);
  }

  /**
   * @param {Picture} picture  an aligned face, 224 pixels per side
   * @returns {Promise<Encoded>}
   */
  async encodeAligned(picture) {
    const { width, height } = picture;
    if (width !== ALIGNED_SIZE || height !== ALIGNED_SIZE) {
      throw new Error(`an aligned face of ${width}x${height} pixels`);
    }
    return this.coded(cut(picture, [0, 0, width, height]).data, [1, 0, 0, 0, 1, 0], false);
  }

  async coded(aligned, matrix, pictures, mask) {
    const wanted = pictures ? ["logits", "mask", "seen"] : ["logits", "mask"];
    const found = await this.graphs.encode(aligned, wanted, mask);
    const encoded = {
      bits: packed(found.logits),
      logits: found.logits,
      mask: found.mask,
      grid: this.graphs.cells,
      matrix,
    };
    return pictures ? { ...encoded, aligned, seen: found.seen } : encoded;
  }

  /** The face in the aligned frame. */
  async aligned(picture, matrix) {
    const { region, across, down } = sampled(picture, matrix);
    return this.graphs.warp(region, grid(across, down));
  }
}

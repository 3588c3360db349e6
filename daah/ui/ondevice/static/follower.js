/** Faces of a camera's picture, frame after frame, each with a code and a mask. */

import { similarity } from "./alignment.js";

/**
 * Frames of which one is encoded: on the others the boxes and landmarks are new, and the code and the
 * mask are those of the frame before. Encoding takes more than half of a frame's time.
 */
const ENCODED_EACH = 2;

export class Follower {
  constructor() {
    /** Faces of the last frame, and how many frames there were. */
    this.last = [];
    this.count = 0;
  }

  /**
   * @param {import("./engine.js").Engine} engine
   * @param {HTMLVideoElement} video
   * @returns {Promise<import("./engine.js").Frame>} whose faces all have bits, mask and matrix
   */
  async frame(engine, video) {
    let found = await engine.follow(video, { encode: this.count % ENCODED_EACH === 0 });
    if (found.faces.some((face) => !face.bits) && found.faces.length !== this.last.length) {
      found = await engine.follow(video); // somebody came or went
    }
    this.count += 1;
    this.last = found.faces.map((face) => (face.bits ? face : this.moved(face)));
    return { ...found, faces: this.last };
  }

  /** A face that was not encoded, with the code and mask of the nearest one of the frame before. */
  moved(face) {
    const apartBy = ({ box }) => Math.hypot(box[0] - face.box[0], box[1] - face.box[1]);
    const before = [...this.last].sort((a, b) => apartBy(a) - apartBy(b))[0];
    return { ...before, ...face, matrix: similarity(face.landmarks) };
  }
}

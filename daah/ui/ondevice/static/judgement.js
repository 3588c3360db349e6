/**
 * What distances of codes say, as the server says it: `daah/models/calibration.py` and
 * `daah/models/quality.py`. The numbers come from the server's answer to `setup`.
 *
 * @typedef {import("./detector.js").Face} Face
 * @typedef {import("./encoder.js").Encoded} Encoded
 * @typedef {"match" | "unclear" | "no match"} Verdict
 */

import { ALIGNED_SIZE } from "./alignment.js";
import { pairVerdict, searchLimit } from "./verdict.js";

/** Width of a face in the aligned frame, rows and columns that every face fills, noise of luma. */
const FACE_WIDTH = 159;
const ROWS = [20, 104];
const COLUMNS = [20, 92];
const NOISE = 25;

/** Ellipse that a face fills in the aligned frame: centre and half axes, in parts of its side. */
const ELLIPSE = { x: 0.5, y: 0.62, wide: 0.27, high: 0.33 };

/** The first `count` bits of a packed code, as zeros and ones. */
export function unpacked(code, count) {
  return Uint8Array.from({ length: count }, (_, i) => (code[i >> 3] >> (7 - (i & 7))) & 1);
}

/** The bytes of a text in hexadecimal. */
export function unhex(text) {
  return Uint8Array.from({ length: text.length / 2 }, (_, i) =>
    parseInt(text.slice(2 * i, 2 * i + 2), 16),
  );
}

export class Judgement {
  /** @param {object} setup  what the server says of model and gallery */
  constructor(setup) {
    this.setup = setup;
  }

  /** Largest distance of a match among so many people at a rate of false positives. */
  limit(bits, people, rate) {
    const limits = this.setup.searches[bits].limits[this.setup.levels.indexOf(rate)];
    return searchLimit({ limits }, people);
  }

  /**
   * What a person at this distance is called in a search.
   * @param {number} distance
   * @param {number} bits
   * @param {number} people  number of people who were searched
   * @param {string[]} flaws  of the face
   * @returns {Verdict}
   */
  verdict(distance, bits, people, flaws = []) {
    if (!this.setup.searches[bits]) return "unclear";
    const shift = this.shift(flaws, bits);
    const limit = this.limit(bits, people, this.setup.fpir);
    if (distance + shift.match <= limit) return "match";
    const far = Math.max(this.setup.searches[bits].mated + shift.mated, limit);
    return distance <= far ? "unclear" : "no match";
  }

  /** How often a stranger finds anybody so near; null where that was not measured. */
  rate(distance, bits, people, flaws = []) {
    if (!this.setup.searches[bits]) return null;
    const stricter = distance + this.shift(flaws, bits).match;
    return this.setup.levels.find((rate) => stricter <= this.limit(bits, people, rate)) ?? 1;
  }

  /** By how many bits limits change for a face with these flaws. */
  shift(flaws, bits) {
    const own = flaws.map((flaw) => this.setup.quality?.shifts[flaw]?.[bits]).filter(Boolean);
    const most = (name) => Math.max(0, ...own.map((shift) => shift[name]));
    return { match: most("match"), mated: most("mated") };
  }

  /**
   * What makes a face hard to tell from others.
   * @param {Face} face
   * @param {Encoded} encoded  with pictures
   * @returns {string[]}
   */
  flaws(face, encoded) {
    const known = this.setup.quality;
    if (!known) return [];
    const { limits } = known;
    const [a, b, , d, e] = encoded.matrix;
    const width = FACE_WIDTH / Math.sqrt(Math.abs(a * e - b * d));
    const small = width < limits.small;
    const found = {
      small,
      blurred: !small && sharpness(encoded.aligned) < limits.blurred,
      turned: turn(face.landmarks) > limits.turned,
      "partly hidden": hidden(encoded.mask, encoded.grid) > limits["partly hidden"],
    };
    return known.flaws.filter((flaw) => found[flaw]);
  }

  /**
   * What the distance of two faces says; null for a length that is not calibrated.
   * @returns {{probability: number, threshold: number, verdict: string} | null}
   */
  pair(distance, bits) {
    const known = this.setup.pairs[bits];
    if (!known) return null;
    const { threshold, probability } = known;
    const verdict = pairVerdict(distance, known);
    return { probability: probability[distance], threshold, verdict };
  }
}

/** Variance of the Laplacian over that of the luma, in half of the aligned frame's size. */
function sharpness(aligned) {
  const wide = COLUMNS[1] - COLUMNS[0];
  const tall = ROWS[1] - ROWS[0];
  const luma = new Float64Array(wide * tall);
  const at = (x, y) => {
    const i = 3 * (y * ALIGNED_SIZE + x);
    return 0.299 * aligned[i] + 0.587 * aligned[i + 1] + 0.114 * aligned[i + 2];
  };
  for (let row = 0; row < tall; row += 1) {
    for (let column = 0; column < wide; column += 1) {
      const [x, y] = [2 * (COLUMNS[0] + column), 2 * (ROWS[0] + row)];
      luma[row * wide + column] = (at(x, y) + at(x + 1, y) + at(x, y + 1) + at(x + 1, y + 1)) / 4;
    }
  }
  const edges = luma.map((value, i) => {
    const [row, column] = [Math.floor(i / wide), i % wide];
    const [above, below] = [Math.max(row - 1, 0), Math.min(row + 1, tall - 1)];
    const [left, right] = [Math.max(column - 1, 0), Math.min(column + 1, wide - 1)];
    return (
      luma[above * wide + column] + luma[below * wide + column] +
      luma[row * wide + left] + luma[row * wide + right] - 4 * value
    );
  });
  return variance(edges) / (variance(luma) + NOISE);
}

function variance(values) {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
}

/** Offset of the nose from between the eyes, along their line and over their distance. */
function turn([left, right, nose]) {
  const eyes = [right[0] - left[0], right[1] - left[1]];
  const offset = [nose[0] - (left[0] + right[0]) / 2, nose[1] - (left[1] + right[1]) / 2];
  const length = Math.max(eyes[0] ** 2 + eyes[1] ** 2, 1e-9);
  return Math.abs(offset[0] * eyes[0] + offset[1] * eyes[1]) / length;
}

/** Share of a face's usual place that the mask leaves out. */
function hidden(mask, grid) {
  let sum = 0;
  let count = 0;
  mask.forEach((value, i) => {
    const x = ((i % grid) + 0.5) / grid - ELLIPSE.x;
    const y = (Math.floor(i / grid) + 0.5) / grid - ELLIPSE.y;
    if ((x / ELLIPSE.wide) ** 2 + (y / ELLIPSE.high) ** 2 > 1) return;
    sum += value;
    count += 1;
  });
  return 1 - sum / count;
}

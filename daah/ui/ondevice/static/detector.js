/**
 * Face detection by MTCNN, step by step as the server's `daah/detection/detector.py` does it, with
 * the same networks and the same limits. Coordinates refer to the edges of pixels.
 *
 * @typedef {import("./resampling.js").Picture} Picture
 * @typedef {import("./resampling.js").Box} Box
 *
 * @typedef {object} Face
 * @property {Box} box  clipped to the photo, in its pixels
 * @property {[number, number][]} landmarks  left eye, right eye, nose, mouth corners as seen
 * @property {number} score  probability of a face
 *
 * @typedef {object} Networks  the detector's graphs
 * @property {(rgb: Uint8Array, width: number, height: number) => Promise<Windows>} pnet
 * @property {(rgb: Uint8Array, count: number) => Promise<Judged>} rnet
 * @property {(rgb: Uint8Array, count: number) => Promise<Judged>} onet
 * @property {(boxes: Float32Array, scores: Float32Array, limit: number) => Promise<number[]>} nms
 *
 * @typedef {object} Windows  of P-Net: `shifts` holds four planes
 * @property {Float32Array} probabilities
 * @property {Float32Array} shifts
 *
 * @typedef {object} Judged  of R-Net and O-Net: 4 shifts and 1 probability per crop, 10 landmarks
 * @property {Float32Array} probabilities
 * @property {Float32Array} shifts
 * @property {Float32Array} [landmarks]
 *
 * @typedef {object} Candidate
 * @property {Box} box
 * @property {number} score
 */

import { cut, extended, reduce, resize, shrink } from "./resampling.js";

/** Longest side of the copy that faces are detected in. */
export const DETECTION_SIDE = 1600;
/** Faces per photo at most. */
export const MOST_FACES = 50;

const CELL = 12;
const STRIDE = 2;
const FACTOR = 0.709;
const STRIP_PIXELS = 20_000;
const LEAST_ROWS = 8;
const MOST_OF_LEVEL = 10_000;
const MOST_TO_RNET = 2_000;
const MOST_TO_ONET = 400;
const BATCH = { rnet: 32, onet: 8 };
const GREY = 127;

// Probabilities are compared as float32, which the thresholds are rounded to.
const THRESHOLDS = [0.6, 0.7, 0.85].map(Math.fround);

/** A photo with its halved copies, from which levels and crops are resized without aliasing. */
class ReducedPhoto {
  /** @param {Picture} picture */
  constructor(picture) {
    this.width = picture.width;
    this.height = picture.height;
    this.copies = [picture];
  }

  /** The whole photo, resized by area averaging. */
  resized(width, height) {
    const [copy, scale] = this.copy(this.width / width, 1.5);
    return resize(copy, width, height, "box", [0, 0, this.width * scale, this.height * scale]);
  }

  /**
   * Square crops of `side` pixels one after another; pixels beyond the photo are grey.
   * @param {Box[]} boxes
   * @param {number} side
   * @returns {Uint8Array}
   */
  crops(boxes, side) {
    const size = side * side * 3;
    const out = new Uint8Array(boxes.length * size);
    boxes.forEach((box, i) => {
      let [copy, scale] = this.copy((box[2] - box[0]) / side, 2);
      let part = box.map((value) => value * scale);
      if (Math.min(...part) < 0 || part[2] > copy.width || part[3] > copy.height) {
        const x = Math.floor(part[0]);
        const y = Math.floor(part[1]);
        copy = cut(copy, [x, y, Math.ceil(part[2]), Math.ceil(part[3])], GREY);
        part = [part[0] - x, part[1] - y, part[2] - x, part[3] - y];
      }
      resize(copy, side, side, "box", part, out.subarray(i * size, (i + 1) * size));
    });
    return out;
  }

  /** The smallest halved copy with `spare` pixels per requested pixel, and its scale. */
  copy(reduction, spare) {
    const halvings = Math.max(0, Math.floor(Math.log2(reduction / spare)));
    while (this.copies.length <= halvings) this.copies.push(reduce(this.copies.at(-1), 2));
    return [this.copies[halvings], 0.5 ** halvings];
  }
}

export class Detector {
  /** @param {Networks} networks */
  constructor(networks) {
    this.networks = networks;
  }

  /**
   * Find the faces of a photo.
   * @param {Picture} picture
   * @param {object} [options]
   * @param {number} [options.minFace]  side of the smallest face in pixels of the picture; by
   *     default it depends on the photo's size
   * @param {number} [options.most]  number of faces at most
   * @returns {Promise<{faces: Face[], leftOut: number}>} largest first, and how many smaller ones
   *     were dropped
   */
  async find(picture, { minFace, most = MOST_FACES } = {}) {
    const small = shrink(picture, DETECTION_SIDE);
    const across = Math.fround(picture.width / small.width);
    const down = Math.fround(picture.height / small.height);
    const least = minFace ? minFace / Math.max(across, down) : smallestFace(small);
    const photo = new ReducedPhoto(small);
    let found = await this.finish(photo, await this.refine(photo, await this.propose(photo, least)), most);
    if (!found.faces.length) found = await this.finish(photo, await this.filling(small), most);
    if (small !== picture) {
      for (const face of found.faces) {
        face.box = face.box.map((value, i) => Math.fround(value * (i % 2 ? down : across)));
        face.landmarks = face.landmarks.map(([x, y]) => [
          Math.fround(x * across),
          Math.fround(y * down),
        ]);
      }
    }
    return found;
  }

  /**
   * Find faces again that were in the frame before, near their boxes: O-Net alone, on the box
   * that it gave before. Of a face that moved far, or that is no longer there, nothing is found.
   * @param {Picture} picture
   * @param {Face[]} before
   * @returns {Promise<Face[]>} in the order given, without those that are gone
   */
  async again(picture, before) {
    const photo = new ReducedPhoto(picture);
    const boxes = before.map((face) => squared(face.box));
    return (await this.finish(photo, boxes, before.length)).faces;
  }

  /** P-Net over the pyramid: square candidates. */
  async propose(photo, smallest) {
    const boxes = [];
    const scores = [];
    for (const [width, height] of levels(photo.width, photo.height, smallest)) {
      const level = await this.level(photo, width, height);
      const kept = await this.distinct(level, 0.5);
      for (const i of kept) {
        boxes.push(level[i]);
        scores.push(level[i].score);
      }
    }
    if (!boxes.length) return [];
    const kept = await this.distinct(boxes, 0.7);
    return kept.map((i) => squared(shifted(boxes[i].box, boxes[i].shifts)));
  }

  /** The windows of a level that P-Net takes for a face. */
  async level(photo, width, height) {
    const { data } = photo.resized(width, height);
    const across = Math.fround(photo.width / width);
    const down = Math.fround(photo.height / height);
    const rows = Math.floor((height - CELL) / STRIDE) + 1;
    const columns = Math.floor((width - CELL) / STRIDE) + 1;
    const used = (columns - 1) * STRIDE + CELL;
    const found = [];
    for (const [first, after] of strips(rows, used)) {
      const tall = (after - first - 1) * STRIDE + CELL;
      const rgb = new Uint8Array(tall * used * 3);
      for (let y = 0; y < tall; y += 1) {
        const from = (first * STRIDE + y) * width * 3;
        rgb.set(data.subarray(from, from + used * 3), y * used * 3);
      }
      const { probabilities, shifts } = await this.networks.pnet(rgb, used, tall);
      const plane = probabilities.length;
      for (let i = 0; i < plane; i += 1) {
        if (!(probabilities[i] >= THRESHOLDS[0])) continue;
        const x = (i % columns) * STRIDE;
        const y = (first + Math.floor(i / columns)) * STRIDE;
        found.push({
          box: [x * across, y * down, (x + CELL) * across, (y + CELL) * down],
          score: probabilities[i],
          shifts: [shifts[i], shifts[plane + i], shifts[2 * plane + i], shifts[3 * plane + i]],
        });
      }
    }
    if (found.length <= MOST_OF_LEVEL) return found;
    return found.sort((a, b) => b.score - a.score).slice(0, MOST_OF_LEVEL);
  }

  /** Greedy non-maximum suppression by the graph that the server uses: indices, best first. */
  async distinct(candidates, limit) {
    if (!candidates.length) return [];
    const boxes = new Float32Array(candidates.length * 4);
    const scores = new Float32Array(candidates.length);
    candidates.forEach(({ box, score }, i) => {
      boxes.set(box, 4 * i);
      scores[i] = score;
    });
    return this.networks.nms(boxes, scores, limit);
  }

  /** R-Net on every candidate: the square boxes that it accepts. */
  async refine(photo, boxes) {
    const chosen = largest(boxes, MOST_TO_RNET);
    const judged = await inParts(this.networks, "rnet", photo, chosen, 24, BATCH.rnet);
    const sure = judged.filter(({ score }) => score > THRESHOLDS[1]);
    const kept = await this.distinct(sure, 0.7);
    return kept.map((i) => squared(shifted(sure[i].box, sure[i].shifts)));
  }

  /** Candidates that exceed the photo, which P-Net's windows never do. */
  async filling(picture) {
    const small = shrink(picture, 200);
    const border = Math.floor(Math.max(small.width, small.height) / 4);
    const padded = new ReducedPhoto(extended(small, border));
    const smallest = Math.max(CELL, Math.min(small.width, small.height) / 2);
    const found = await this.refine(padded, await this.propose(padded, smallest));
    const scale = Math.max(picture.width, picture.height) / Math.max(small.width, small.height);
    return found.map((box) => box.map((value) => (value - border) * scale));
  }

  /** O-Net on the remaining candidates: the faces, largest first. */
  async finish(photo, boxes, most) {
    const chosen = largest(boxes, MOST_TO_ONET);
    const judged = await inParts(this.networks, "onet", photo, chosen, 48, BATCH.onet);
    const sure = judged
      .filter(({ score }) => score > THRESHOLDS[2])
      .map(({ box, score, shifts }) => ({ box: shifted(box, shifts), score }));
    const faces = apart(sure, 0.7)
      .map(({ box, score }) => {
        const inside = box.map((value, i) =>
          Math.fround(Math.min(Math.max(value, 0), i % 2 ? photo.height : photo.width)),
        );
        const sides = [inside[2] - inside[0], inside[3] - inside[1]].map(Math.fround);
        return { whole: box, box: inside, score, area: Math.fround(sides[0] * sides[1]) };
      })
      .filter(({ area }) => area > 0)
      .sort((a, b) => b.area - a.area || a.box[0] - b.box[0] || a.box[1] - b.box[1]);
    const kept = faces.slice(0, Math.min(most, MOST_FACES));
    const landmarks = await this.landmarks(photo, kept.map(({ whole }) => squared(whole)));
    return {
      faces: kept.map(({ box, score }, i) => ({ box, landmarks: landmarks[i], score })),
      leftOut: faces.length - kept.length,
    };
  }

  /** Landmarks from a second pass over the final boxes and their mirror images. */
  async landmarks(photo, squares) {
    const crops = photo.crops(squares, 48);
    const points = await this.points(crops, squares.length);
    const turned = await this.points(mirrored(crops, 48), squares.length);
    return squares.map(([left, top, right, bottom], i) =>
      [1, 0, 2, 4, 3].map((other, k) => {
        const x = (points[10 * i + 2 * k] + 1 - turned[10 * i + 2 * other]) / 2;
        const y = (points[10 * i + 2 * k + 1] + turned[10 * i + 2 * other + 1]) / 2;
        return [Math.fround(left + x * (right - left)), Math.fround(top + y * (bottom - top))];
      }),
    );
  }

  /** O-Net's landmarks in parts of the crops. */
  async points(crops, count) {
    const size = 48 * 48 * 3;
    const out = new Float32Array(10 * count);
    for (let start = 0; start < count; start += BATCH.onet) {
      const after = Math.min(start + BATCH.onet, count);
      const part = crops.subarray(start * size, after * size);
      out.set((await this.networks.onet(part, after - start)).landmarks, 10 * start);
    }
    return out;
  }
}

/** A network's judgement of each box. */
async function inParts(networks, name, photo, boxes, side, batch) {
  const judged = [];
  for (let start = 0; start < boxes.length; start += batch) {
    const part = boxes.slice(start, start + batch);
    const { probabilities, shifts } = await networks[name](
      photo.crops(part, side), part.length,
    );
    part.forEach((box, i) =>
      judged.push({ box, score: probabilities[i], shifts: [...shifts.subarray(4 * i, 4 * i + 4)] }),
    );
  }
  return judged;
}

function smallestFace({ width, height }) {
  const steps = Math.log(Math.max(height, width) / 40 / 20) / Math.log(1 / FACTOR);
  return 20 / FACTOR ** Math.max(0, Math.floor(steps));
}

function levels(width, height, smallest) {
  const sizes = [];
  for (let scale = CELL / smallest; Math.min(width, height) * scale >= CELL; scale *= FACTOR) {
    sizes.push([Math.trunc(width * scale + 1), Math.trunc(height * scale + 1)]);
  }
  return sizes;
}

/** Rows of windows from and to which a level is given to P-Net. */
function strips(rows, width) {
  const fit = Math.floor((Math.floor(STRIP_PIXELS / width) - CELL) / STRIDE) + 1;
  const count = Math.ceil(rows / Math.max(LEAST_ROWS, fit));
  return Array.from({ length: count }, (_, i) => [
    Math.floor((rows * i) / count),
    Math.floor((rows * (i + 1)) / count),
  ]);
}

function largest(boxes, most) {
  if (boxes.length <= most) return boxes;
  const order = boxes.map((box, i) => [box[0] - box[2], i]).sort((a, b) => a[0] - b[0]);
  return order
    .slice(0, most)
    .map(([, i]) => i)
    .sort((a, b) => a - b)
    .map((i) => boxes[i]);
}

function shifted(box, shifts) {
  const sides = [box[2] - box[0], box[3] - box[1]];
  return box.map((value, i) => value + shifts[i] * sides[i % 2]);
}

function squared([left, top, right, bottom]) {
  const x = (left + right) / 2;
  const y = (top + bottom) / 2;
  const half = Math.max(right - left, bottom - top, 1) / 2;
  return [x - half, y - half, x + half, y + half];
}

/** Non-maximum suppression by intersection over the smaller area, best first. */
function apart(candidates, limit) {
  const area = (box) => Math.max(box[2] - box[0], 0) * Math.max(box[3] - box[1], 0);
  const kept = [];
  for (const candidate of [...candidates].sort((a, b) => b.score - a.score)) {
    const { box } = candidate;
    const alone = kept.every(({ box: other }) => {
      const across = Math.min(box[2], other[2]) - Math.max(box[0], other[0]);
      const down = Math.min(box[3], other[3]) - Math.max(box[1], other[1]);
      const shared = Math.max(across, 0) * Math.max(down, 0);
      return shared <= limit * Math.min(area(box), area(other));
    });
    if (alone) kept.push(candidate);
  }
  return kept;
}

function mirrored(crops, side) {
  const out = new Uint8Array(crops.length);
  const row = side * 3;
  for (let start = 0; start < crops.length; start += row) {
    for (let x = 0; x < row; x += 3) {
      const to = start + row - 3 - x;
      out[to] = crops[start + x];
      out[to + 1] = crops[start + x + 1];
      out[to + 2] = crops[start + x + 2];
    }
  }
  return out;
}

/**
 * Alignment of a face, as the server's `daah/detection/alignment.py` does it: the similarity
 * transform onto the template, and the picture that the encoder is given.
 *
 * @typedef {import("./resampling.js").Picture} Picture
 */

import { cut, resize, roundEven } from "./resampling.js";

/** Side of an aligned face in pixels. */
export const ALIGNED_SIZE = 224;

/** Where the landmarks belong in the aligned frame. */
const TEMPLATE = [
  [38.2946, 51.6963],
  [73.5318, 51.5014],
  [56.0252, 71.7366],
  [41.5493, 92.3655],
  [70.7299, 92.2041],
].map((point) => point.map((value) => Math.fround(Math.fround(value) * (ALIGNED_SIZE / 112))));

/**
 * The similarity transform of landmarks onto the template with the least squared error.
 * @param {[number, number][]} landmarks  in pixels of the photo
 * @returns {number[]} a, b, c, d, e, f: x' = a x + b y + c, y' = d x + e y + f
 */
export function similarity(landmarks) {
  const mean = (points, k) => points.reduce((sum, point) => sum + point[k], 0) / points.length;
  const [x, y] = [mean(landmarks, 0), mean(landmarks, 1)];
  const [u, v] = [mean(TEMPLATE, 0), mean(TEMPLATE, 1)];
  let size = 0;
  let real = 0;
  let imaginary = 0;
  landmarks.forEach(([px, py], i) => {
    const [dx, dy] = [px - x, py - y];
    const [du, dv] = [TEMPLATE[i][0] - u, TEMPLATE[i][1] - v];
    size += dx * dx + dy * dy;
    real += dx * du + dy * dv;
    imaginary += dx * dv - dy * du;
  });
  const a = size > 1e-12 ? real / size : 0;
  const b = size > 1e-12 ? imaginary / size : 0;
  if (!(Math.hypot(a, b) >= 1e-12)) throw new Error("The landmarks of a face coincide.");
  return [a, -b, u - (a * x - b * y), b, a, v - (b * x + a * y)];
}

/**
 * @param {number[]} matrix  of six numbers as of `similarity`
 * @returns {number[]} the transform back
 */
export function inverted([a, b, c, d, e, f]) {
  const determinant = a * e - b * d;
  return [
    e / determinant,
    -b / determinant,
    (b * f - c * e) / determinant,
    -d / determinant,
    a / determinant,
    (c * d - a * f) / determinant,
  ];
}

/**
 * The part of a photo that an aligned face is sampled from, and where each pixel of the face is in
 * it. A face larger than the frame is first reduced to its scale.
 * @param {Picture} picture
 * @param {number[]} matrix  photo to aligned frame
 * @returns {{region: Picture, across: number[], down: number[]}} the pixel (x, y) of the face is at
 *     across · (x, y, 1) and down · (x, y, 1) in the region, in parts from -1 to 1
 */
export function sampled(picture, matrix) {
  const back = inverted(matrix);
  const corners = [
    [0, 0],
    [ALIGNED_SIZE, 0],
    [0, ALIGNED_SIZE],
    [ALIGNED_SIZE, ALIGNED_SIZE],
  ].map(([x, y]) => [back[0] * x + back[1] * y + back[2], back[3] * x + back[4] * y + back[5]]);
  const scale = Math.min(1, Math.sqrt(Math.abs(matrix[0] * matrix[4] - matrix[1] * matrix[3])));
  const margin = 3 / scale;
  const [left, right] = span(corners.map(([x]) => x), margin, picture.width);
  const [top, bottom] = span(corners.map(([, y]) => y), margin, picture.height);
  let region = cut(picture, [left, top, right, bottom]);
  if (scale < 1) {
    const width = Math.max(1, roundEven((right - left) * scale));
    const height = Math.max(1, roundEven((bottom - top) * scale));
    region = resize(region, width, height, "bicubic");
  }
  const parts = (a, b, c, low, high) => [
    (2 * a) / (high - low),
    (2 * b) / (high - low),
    (2 * (c - low)) / (high - low) - 1,
  ];
  return {
    region,
    across: parts(back[0], back[1], back[2], left, right),
    down: parts(back[3], back[4], back[5], top, bottom),
  };
}

function span(values, margin, side) {
  const clip = (value, low, high) => Math.min(Math.max(value, low), high);
  const low = clip(Math.floor(Math.min(...values) - margin), 0, side - 1);
  return [low, clip(Math.ceil(Math.max(...values) + margin), low + 1, side)];
}

/**
 * The points of a grid that the graph "warp" samples a region at.
 * @param {number[]} across  of `sampled`
 * @param {number[]} down  of `sampled`
 * @returns {Float32Array} (224, 224, 2)
 */
export function grid(across, down) {
  const out = new Float32Array(ALIGNED_SIZE * ALIGNED_SIZE * 2);
  let to = 0;
  for (let row = 0; row < ALIGNED_SIZE; row += 1) {
    const y = row + 0.5;
    for (let column = 0; column < ALIGNED_SIZE; column += 1) {
      const x = column + 0.5;
      out[to] = across[0] * x + across[1] * y + across[2];
      out[to + 1] = down[0] * x + down[1] * y + down[2];
      to += 2;
    }
  }
  return out;
}

/**
 * Pictures of what the engine found: heatmaps, faces behind their mask, codes as barcodes.
 *
 * @typedef {import("./encoder.js").Encoded} Encoded
 */

import { ALIGNED_SIZE, inverted } from "./alignment.js";
import { COLOURS } from "./colours.js";

const SVG = "http://www.w3.org/2000/svg";

/**
 * RGB pixels on a new canvas.
 * @param {Uint8Array} rgb
 * @param {number} side  in pixels
 * @returns {HTMLCanvasElement}
 */
export function canvasOf(rgb, side) {
  const canvas = document.createElement("canvas");
  canvas.width = side;
  canvas.height = side;
  const image = new ImageData(side, side);
  for (let i = 0; i < side * side; i += 1) {
    image.data.set(rgb.subarray(3 * i, 3 * i + 3), 4 * i);
    image.data[4 * i + 3] = 255;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

/**
 * A mask in colours, one pixel per cell: scaling it up with smoothing gives the heatmap.
 * @param {Float32Array} mask
 * @param {number} grid  cells per side
 * @returns {HTMLCanvasElement}
 */
export function heatmap(mask, grid) {
  const rgb = new Uint8Array(3 * mask.length);
  mask.forEach((value, i) => {
    const place = Math.round(Math.min(Math.max(value, 0), 1) * 255);
    rgb.set(COLOURS.subarray(3 * place, 3 * place + 3), 3 * i);
  });
  return canvasOf(rgb, grid);
}

/**
 * An aligned face with its heatmap over it.
 * @param {Encoded} encoded  with pictures
 * @param {number} [strength]  of the heatmap, from 0 to 1
 * @returns {HTMLCanvasElement}
 */
export function overlaid({ aligned, mask, grid }, strength = 0.5) {
  const canvas = canvasOf(aligned, ALIGNED_SIZE);
  const pen = canvas.getContext("2d");
  pen.globalAlpha = strength;
  pen.imageSmoothingQuality = "high";
  pen.drawImage(heatmap(mask, grid), 0, 0, ALIGNED_SIZE, ALIGNED_SIZE);
  return canvas;
}

/** The heatmap with its outermost cells transparent, so that it fades out when it is enlarged. */
function faded(mask, grid) {
  const canvas = heatmap(mask, grid);
  const pen = canvas.getContext("2d");
  for (const edge of [0, grid - 1]) {
    pen.clearRect(edge, 0, 1, grid);
    pen.clearRect(0, edge, grid, 1);
  }
  return canvas;
}

/**
 * Draw the heatmap of a face at its place on a photo or frame.
 * @param {CanvasRenderingContext2D} pen  whose units are pixels of the photo
 * @param {Encoded} encoded
 * @param {number} [strength]  from 0 to 1
 */
export function drawHeatmap(pen, { mask, grid, matrix }, strength = 0.45) {
  const [a, b, c, d, e, f] = inverted(matrix);
  pen.save();
  pen.globalAlpha = strength;
  pen.transform(a, d, b, e, c, f);
  pen.imageSmoothingQuality = "high";
  pen.drawImage(faded(mask, grid), 0, 0, ALIGNED_SIZE, ALIGNED_SIZE);
  pen.restore();
}

/**
 * A code as a barcode of rows of 64 bits, a bar for each 1.
 * @param {Uint8Array} code
 * @param {Uint8Array} [other]  a code whose differences are marked
 * @returns {SVGSVGElement}
 */
export function barcode(code, other) {
  const bits = 8 * code.length;
  const columns = Math.min(bits, 64);
  const rows = Math.ceil(bits / columns);
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${columns} ${12 * rows}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  svg.setAttribute("class", "barcode");
  let ones = 0;
  let differ = 0;
  for (let i = 0; i < bits; i += 1) {
    const bit = (code[i >> 3] >> (7 - (i & 7))) & 1;
    const differs = other && ((other[i >> 3] >> (7 - (i & 7))) & 1) !== bit;
    ones += bit;
    differ += differs ? 1 : 0;
    const bar = document.createElementNS(SVG, "rect");
    bar.setAttribute("x", String(i % columns));
    bar.setAttribute("y", String(12 * Math.floor(i / columns)));
    bar.setAttribute("width", "0.8");
    bar.setAttribute("height", "10");
    bar.setAttribute("class", `${bit ? "one" : "zero"}${differs ? " diff" : ""}`);
    svg.append(bar);
  }
  const words = other ? `${differ} of them differ from the other code` : `${ones} of them are 1`;
  svg.setAttribute("aria-label", `Code of ${bits} bits; ${words}`);
  return svg;
}

/**
 * A photo to encoded faces, in the order of the server: found upright, or turned where a face is
 * sure only so (`daah/ui/search/actions.py`).
 *
 * @typedef {import("./detector.js").Face} Face
 * @typedef {import("./encoder.js").Encoded} Encoded
 *
 * @typedef {object} Analysed
 * @property {ImageBitmap | HTMLCanvasElement} source  the photo as it was searched
 * @property {{face: Face, encoded: Encoded, flaws: string[]}[]} faces  largest first
 * @property {number} turned  degrees by which the photo was turned to the left
 */

import { device } from "./device.js";

/** Least score of a face that settles which way up a photo is. */
const SURE = 0.99;

/**
 * @param {ImageBitmap} photo
 * @param {(words: string) => void} report
 * @param {number} [most]  faces that are encoded at most; the others are found only
 * @returns {Promise<Analysed>}
 */
export async function analysed(photo, report, most = Infinity) {
  if (device.state !== "ready") report("Loading the networks");
  const engine = await device.load();
  report("Finding faces");
  const { source, found, turned } = await upright(engine, photo);
  const faces = [];
  for (const face of found) {
    if (faces.length >= most) {
      faces.push({ face, encoded: null, flaws: [] });
      continue;
    }
    report(found.length > 1 ? `Encoding face ${faces.length + 1} of ${found.length}` : "Encoding");
    faces.push({ face, ...(await encoded(source, face)) });
  }
  return { source, faces, turned };
}

/**
 * @param {ImageBitmap | HTMLCanvasElement} source
 * @param {Face} face  found on it
 * @param {boolean} [attention]  whether the network's own mask is used, or none
 * @returns {Promise<{encoded: Encoded, flaws: string[]}>}
 */
export async function encoded(source, face, attention = true) {
  const engine = await device.load();
  const mask = attention ? undefined : new Float32Array(engine.info.grid ** 2).fill(1);
  const made = await engine.encode(source, face, { pictures: true, mask });
  return { encoded: made, flaws: attention ? device.judgement.flaws(face, made) : [] };
}

async function upright(engine, photo) {
  const surest = (faces) => Math.max(0, ...faces.map(({ score }) => score));
  const found = await engine.find(photo);
  if (surest(found) >= SURE) return { source: photo, found, turned: 0 };
  for (const quarters of [1, 3, 2]) {
    const source = rotated(photo, quarters);
    const other = await engine.find(source);
    if (surest(other) >= SURE) return { source, found: other, turned: 90 * quarters };
  }
  return { source: photo, found, turned: 0 };
}

function rotated(photo, quarters) {
  const canvas = document.createElement("canvas");
  const across = quarters % 2 === 1;
  canvas.width = across ? photo.height : photo.width;
  canvas.height = across ? photo.width : photo.height;
  const pen = canvas.getContext("2d");
  pen.translate(canvas.width / 2, canvas.height / 2);
  pen.rotate((-quarters * Math.PI) / 2);
  pen.drawImage(photo, -photo.width / 2, -photo.height / 2);
  return canvas;
}

/**
 * The worker behind `engine.js`: it keeps the networks and the photos that were read last, and
 * answers one request after another.
 */

import { Detector } from "./detector.js";
import { Encoder } from "./encoder.js";
import { Graphs, PROVIDER } from "./graphs.js";

/** Photos that are kept, so that their faces can be encoded after they were found. */
const KEPT = 2;

/** Frames of a camera after which faces are looked for on the whole frame again. */
const FRAMES_BETWEEN = 10;

let detector;
let encoder;
const photos = new Map();
/** What was found on the last frame of the camera. */
let last = { faces: [], age: 0, width: 0, height: 0 };
let canvas;

const answers = {
  async open({ runtime, files }) {
    const graphs = await Graphs.open(runtime, files);
    detector = new Detector(graphs);
    encoder = new Encoder(graphs);
    return { provider: PROVIDER, grid: graphs.cells };
  },

  async find({ id, source, options }) {
    const picture = keep(id, source);
    const { faces, leftOut } = await detector.find(picture, options);
    return { faces, leftOut, width: picture.width, height: picture.height };
  },

  async keep({ id, source }) {
    keep(id, source);
    return {};
  },

  async encode({ id, face, options }) {
    const picture = photos.get(id);
    if (!picture) return { missing: true };
    return encoder.encode(picture, face, options);
  },

  async encodeAligned({ source }) {
    return encoder.encodeAligned(pixels(source));
  },

  async follow({ source, options }) {
    const picture = pixels(source);
    const { most = 4, share = 0.1, encode = true, track = true } = options;
    const same = picture.width === last.width && picture.height === last.height;
    let faces = [];
    let tracked = false;
    if (track && same && last.faces.length && last.age < FRAMES_BETWEEN) {
      faces = await detector.again(picture, last.faces);
      tracked = faces.length === last.faces.length;
    }
    if (!tracked) {
      const minFace = share * Math.max(picture.width, picture.height);
      ({ faces } = await detector.find(picture, { minFace, most }));
    }
    last = { faces, age: tracked ? last.age + 1 : 0, width: picture.width, height: picture.height };
    const shown = [];
    for (const face of faces) {
      shown.push(encode ? { ...face, ...(await encoder.encode(picture, face)) } : face);
    }
    return { faces: shown, tracked, width: picture.width, height: picture.height };
  },

  forget() {
    photos.clear();
    last = { faces: [], age: 0, width: 0, height: 0 };
    return {};
  },
};

/** Read a photo, and keep it in place of the one that was kept longest. */
function keep(id, source) {
  const picture = pixels(source);
  photos.delete(id);
  photos.set(id, picture);
  if (photos.size > KEPT) photos.delete(photos.keys().next().value);
  return picture;
}

/** Pixels of what came: of an ImageData as they are, of anything else as drawn on white. */
function pixels(source) {
  const width = source.displayWidth ?? source.width;
  const height = source.displayHeight ?? source.height;
  if (source instanceof ImageData && opaque(source.data)) {
    return { data: source.data, width, height, step: 4 };
  }
  canvas ??= new OffscreenCanvas(width, height);
  const pen = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  pen.fillStyle = "white";
  pen.fillRect(0, 0, width, height);
  if (source instanceof ImageData) {
    const layer = new OffscreenCanvas(width, height);
    layer.getContext("2d").putImageData(source, 0, 0);
    pen.drawImage(layer, 0, 0);
  } else {
    pen.drawImage(source, 0, 0, width, height);
    source.close();
  }
  const { data } = pen.getImageData(0, 0, width, height);
  return { data, width, height, step: 4 };
}

function opaque(data) {
  for (let i = 3; i < data.length; i += 4) if (data[i] !== 255) return false;
  return true;
}

/** Arrays whose memory goes over to the page with an answer, instead of being copied. */
function transferred(answer) {
  const own = (value) =>
    ArrayBuffer.isView(value) && value.buffer instanceof ArrayBuffer &&
    value.byteLength === value.buffer.byteLength;
  const parts = [answer, ...(answer.faces ?? [])];
  const buffers = parts.flatMap((part) => Object.values(part).filter(own).map((v) => v.buffer));
  return [...new Set(buffers)];
}

let queue = Promise.resolve();

self.onmessage = ({ data: { number, what, request } }) => {
  queue = queue.then(async () => {
    try {
      const started = performance.now();
      const answer = await answers[what](request);
      answer.milliseconds = performance.now() - started;
      self.postMessage({ number, answer }, transferred(answer));
    } catch (problem) {
      self.postMessage({ number, problem: String(problem?.message ?? problem) });
    }
  });
};

self.postMessage({ ready: true });

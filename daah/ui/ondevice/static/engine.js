/**
 * The engine that finds and encodes faces in the browser, as pages use it. It works in a worker of
 * its own; nothing that it is given leaves the browser.
 *
 *     const engine = await loadEngine({ models: { pnet: "…/pnet.onnx", …, encoder: "…/demo.onnx" } });
 *     const photo = await readPhoto(file);
 *     const faces = await engine.find(photo);
 *     const { bits, mask } = await engine.encode(photo, faces[0], { pictures: true });
 *
 * @typedef {import("./detector.js").Face} Face
 * @typedef {import("./encoder.js").Encoded} Encoded
 * @typedef {ImageBitmap | ImageData | HTMLVideoElement | HTMLCanvasElement} Source
 *
 * @typedef {object} Models  addresses of the ONNX files
 * @property {string} pnet
 * @property {string} rnet
 * @property {string} onet
 * @property {string} nms
 * @property {string} warp
 * @property {string} encoder
 *
 * @typedef {object} Frame  what is on a frame of the camera
 * @property {(Face & Encoded)[]} faces  largest first
 * @property {boolean} tracked  whether the faces were looked for near where they were before
 * @property {number} width  of the frame
 * @property {number} height  of the frame
 * @property {number} milliseconds  that the worker took
 */

/** Largest file of a photo, and most pixels of one, as on the server. */
export const MAX_BYTES = 10 * 2 ** 20;
export const MAX_PIXELS = 40_000_000;

/** Less memory than this, in GiB as browsers tell it, does not hold the networks and a photo. */
const LEAST_MEMORY = 1;

/** A module of WebAssembly that adds vectors: what the runtime needs the browser to know. */
const SIMD = Uint8Array.of(
  0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 10, 9, 1, 7, 0, 65, 0, 253, 15, 26,
  11,
);

/** A problem of the engine with a sentence for the visitor. */
export class EngineError extends Error {
  /**
   * @param {"no-wasm" | "no-worker" | "low-memory" | "download" | "photo" | "failed"} code
   * @param {string} sentence
   */
  constructor(code, sentence) {
    super(sentence);
    this.name = "EngineError";
    this.code = code;
  }
}

/**
 * What keeps this browser from running the engine.
 * @returns {EngineError | null}
 */
export function obstacle() {
  const wasm = typeof WebAssembly === "object" && WebAssembly.validate?.(SIMD);
  if (!wasm || typeof DecompressionStream !== "function") {
    return new EngineError(
      "no-wasm",
      "This browser cannot run the networks (it lacks WebAssembly with SIMD).",
    );
  }
  if (typeof Worker !== "function" || typeof OffscreenCanvas !== "function") {
    return new EngineError("no-worker", "This browser cannot run the networks beside the page.");
  }
  if (navigator.deviceMemory < LEAST_MEMORY) {
    return new EngineError("low-memory", "This device has too little memory for the networks.");
  }
  return null;
}

/**
 * Decode a photo as the server does: turned upright, colours as stored.
 * @param {Blob} file  JPEG, PNG, WebP or whatever else the browser reads
 * @returns {Promise<ImageBitmap>}
 * @throws {EngineError} of the code "photo"
 */
export async function readPhoto(file) {
  if (file.size > MAX_BYTES) {
    throw new EngineError(
      "photo", "The file is larger than 10 MiB; choose or export a smaller one.",
    );
  }
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, {
      imageOrientation: "from-image",
      colorSpaceConversion: "none",
    });
  } catch {
    throw new EngineError("photo", "That is not a photo that this browser can read.");
  }
  if (bitmap.width * bitmap.height > MAX_PIXELS) {
    bitmap.close();
    throw new EngineError("photo", "The photo has more than 40 megapixels; choose a smaller one.");
  }
  return bitmap;
}

/**
 * Load the engine.
 * @param {object} options
 * @param {string | URL} [options.base]  folder of these modules, by default that of this one
 * @param {Models} options.models
 * @param {(loaded: number, total: number) => void} [options.onProgress]  bytes so far, and of all;
 *     the total grows while files have not told their size
 * @returns {Promise<Engine>}
 * @throws {EngineError} of any code but "photo"
 */
export async function loadEngine({ base = new URL(".", import.meta.url), models, onProgress }) {
  const problem = obstacle();
  if (problem) throw problem;
  const started = performance.now();
  const folder = new URL(base, location.href);
  const worker = new Worker(new URL("worker.js", folder), { type: "module" });
  try {
    const progress = new Progress(onProgress);
    const runtime = fetched(new URL("runtime/ort-wasm-simd-threaded.wasm.gz", folder), progress);
    const names = ["pnet", "rnet", "onet", "nms", "warp", "encoder"];
    const [, binary, ...graphs] = await Promise.all([
      begun(worker),
      runtime.then(inflated),
      ...names.map((name) => fetched(new URL(models[name], location.href), progress)),
    ]);
    const files = Object.fromEntries(names.map((name, i) => [name, graphs[i]]));
    const engine = new Engine(worker);
    const about = await engine.ask("open", { runtime: binary, files }, [
      binary.buffer,
      ...graphs.map(({ buffer }) => buffer),
    ]);
    engine.info = {
      provider: about.provider,
      grid: about.grid,
      bytes: progress.loaded,
      milliseconds: performance.now() - started,
    };
    return engine;
  } catch (error) {
    worker.terminate();
    throw error;
  }
}

export class Engine {
  /** @param {Worker} worker */
  constructor(worker) {
    this.worker = worker;
    /** What computes, cells per side of a mask, bytes loaded, and milliseconds of the start. */
    this.info = { provider: "", grid: 0, bytes: 0, milliseconds: 0 };
    this.waiting = new Map();
    this.count = 0;
    this.ids = new WeakMap();
    worker.onmessage = ({ data: { number, answer, problem } }) => {
      const { resolve, reject } = this.waiting.get(number) ?? {};
      this.waiting.delete(number);
      if (answer) resolve?.(answer);
      else reject?.(new EngineError("failed", `The networks failed: ${problem}`));
    };
    worker.onerror = () => this.end("The networks stopped.");
  }

  /**
   * Find the faces of a photo. Its pixels are kept for `encode` until two others were read.
   * @param {Source} source
   * @param {{minFace?: number, most?: number}} [options]  side of the smallest face in pixels of
   *     the source, and number of faces at most
   * @returns {Promise<Face[]>} largest first
   */
  async find(source, options = {}) {
    const id = this.id(source);
    const [copy, owned] = await copied(source);
    return (await this.ask("find", { id, source: copy, options }, owned)).faces;
  }

  /**
   * Encode a face on the pixels that `find` read last from the same source, or on its present ones.
   * @param {Source} source
   * @param {Face} face
   * @param {{pictures?: boolean, mask?: Float32Array}} [options]  whether the pictures of the face
   *     are wanted, and a mask of grid * grid cells in [0, 1] in place of the network's own
   * @returns {Promise<Encoded>}
   */
  async encode(source, face, options = {}) {
    const id = this.id(source);
    const request = { id, face: { landmarks: face.landmarks }, options };
    const found = await this.ask("encode", request);
    if (!found.missing) return found;
    const [copy, owned] = await copied(source);
    await this.ask("keep", { id, source: copy }, owned);
    return this.ask("encode", request);
  }

  /**
   * Encode a face that is aligned already.
   * @param {Source} source  of 224x224 pixels
   * @returns {Promise<Encoded>} whose matrix changes nothing
   */
  async encodeAligned(source) {
    const [copy, owned] = await copied(source);
    return this.ask("encodeAligned", { source: copy }, owned);
  }

  /**
   * Find and encode the faces on a frame of a camera, in the way of the Live tab: faces of at least
   * a tenth of the longer side; those of the frame before are looked for near where they were, and
   * on the whole frame each eleventh time, or when one is gone.
   * @param {Source} source
   * @param {{most?: number, share?: number, encode?: boolean, track?: boolean}} [options]  faces
   *     at most; smallest face in parts of the longer side; whether faces are encoded; whether
   *     they are tracked
   * @returns {Promise<Frame>}
   */
  async follow(source, options = {}) {
    const [copy, owned] = await copied(source);
    return this.ask("follow", { source: copy, options }, owned);
  }

  /** Forget the photos and faces that are kept. */
  async forget() {
    await this.ask("forget", {});
  }

  /** End the worker and give its memory back. */
  close() {
    this.end("The engine was closed.");
  }

  end(sentence) {
    this.worker.terminate();
    for (const { reject } of this.waiting.values()) reject(new EngineError("failed", sentence));
    this.waiting.clear();
    this.ended = true;
  }

  id(source) {
    if (!this.ids.has(source)) this.ids.set(source, (this.count += 1));
    return this.ids.get(source);
  }

  ask(what, request, transfer = []) {
    if (this.ended) return Promise.reject(new EngineError("failed", "The engine was closed."));
    return new Promise((resolve, reject) => {
      const number = (this.count += 1);
      this.waiting.set(number, { resolve, reject });
      this.worker.postMessage({ number, what, request }, transfer);
    });
  }
}

/** A copy of a source that can be given to the worker, and what of it need not be copied again. */
async function copied(source) {
  if (source instanceof ImageData) return [source, []];
  if (source instanceof HTMLVideoElement && typeof VideoFrame === "function") {
    const frame = new VideoFrame(source);
    return [frame, [frame]];
  }
  const bitmap = await createImageBitmap(source);
  return [bitmap, [bitmap]];
}

class Progress {
  constructor(tell = () => {}) {
    this.tell = tell;
    this.loaded = 0;
    this.total = 0;
  }

  expect(bytes) {
    this.total += bytes;
  }

  add(bytes) {
    this.loaded += bytes;
    this.tell(this.loaded, Math.max(this.loaded, this.total));
  }
}

/** The bytes of a file. */
async function fetched(address, progress) {
  try {
    const response = await fetch(address);
    if (!response.ok) throw new Error(String(response.status));
    progress.expect(Number(response.headers.get("content-length")) || 0);
    const parts = [];
    const reader = response.body.getReader();
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      parts.push(part.value);
      progress.add(part.value.length);
    }
    return new Uint8Array(await new Blob(parts).arrayBuffer());
  } catch {
    throw new EngineError(
      "download", "The networks could not be loaded. Check the connection and try again.",
    );
  }
}

/** The contents of a file compressed by gzip. */
async function inflated(data) {
  const stream = new Blob([data]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Wait until the worker has its modules. */
function begun(worker) {
  return new Promise((resolve, reject) => {
    const fail = () =>
      reject(new EngineError("no-worker", "This browser cannot run the networks beside the page."));
    worker.addEventListener("message", resolve, { once: true });
    worker.addEventListener("error", fail, { once: true });
  });
}

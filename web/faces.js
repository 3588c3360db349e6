/** The engine and the gallery together: what the tabs of the page do with photos. */

import { ALIGNED_SIZE } from "./engine/alignment.js";
import { nearest } from "./engine/codes.js";
import { canvasOf } from "./engine/drawing.js";
import { loadEngine, readPhoto } from "./engine/engine.js";
import { searchVerdict } from "./engine/verdict.js";
import * as store from "./store.js";

/** A face whose JPEG file is this good gives nearly the code of the photo itself. */
const QUALITY = 0.95;

export class Faces {
  /**
   * @param {(loaded: number, total: number) => void} onProgress
   * @returns {Promise<Faces>}
   */
  static async load(onProgress) {
    const response = await fetch("models/model.json");
    const model = await response.json();
    return new Faces(await loadEngine({ models: model.files, onProgress }), model);
  }

  constructor(engine, model) {
    this.engine = engine;
    this.model = model;
  }

  /** @param {Blob} file */
  async find(file) {
    const photo = await readPhoto(file);
    return { photo, faces: await this.engine.find(photo) };
  }

  encode(photo, face) {
    return this.engine.encode(photo, face, { pictures: true });
  }

  /** The nearest people of the gallery, and how many were searched. */
  async search(code, most = 6) {
    const people = await store.people();
    const found = nearest(code, people, most).map(({ row, distance }) => ({
      ...row,
      distance,
      verdict: searchVerdict(distance, this.model.search, people.length),
    }));
    return { found, searched: people.length };
  }

  /** Keep a face in the gallery. */
  async add(person, photo, encoded) {
    const face = await new Promise((done) => {
      canvasOf(encoded.aligned, ALIGNED_SIZE).toBlob(done, "image/jpeg", QUALITY);
    });
    const { logits } = encoded;
    await store.put([{ person, photo, logits, model: this.model.fingerprint, face }]);
  }

  /** Add the largest face of a photo; whether there was one. */
  async enrol(person, file) {
    const { photo, faces } = await this.find(file);
    if (faces.length) await this.add(person, file.name, await this.encode(photo, faces[0]));
    photo.close();
    return faces.length > 0;
  }

  /** Logits of an aligned face that is a JPEG file. */
  async logits(face) {
    const picture = await readPhoto(face);
    if (picture.width !== ALIGNED_SIZE || picture.height !== ALIGNED_SIZE) {
      throw new Error(`A face of the file is not of ${ALIGNED_SIZE}x${ALIGNED_SIZE} pixels.`);
    }
    const { logits } = await this.engine.encodeAligned(picture);
    return logits;
  }

  /** Encode again what another model encoded. */
  async renew() {
    for (const entry of await store.entries()) {
      if (entry.model === this.model.fingerprint) continue;
      const logits = await this.logits(entry.face);
      await store.put([{ ...entry, logits, model: this.model.fingerprint }]);
    }
  }

  /** Add what a file holds; `told` is called after each face. */
  async receive(rows, told) {
    const held = new Set((await store.entries()).map(({ person, photo }) => `${person}\n${photo}`));
    let added = 0;
    for (const [i, { person, photo, face }] of rows.entries()) {
      told(i, rows.length);
      if (held.has(`${person}\n${photo}`)) continue;
      const logits = await this.logits(face);
      await store.put([{ person, photo, logits, model: this.model.fingerprint, face }]);
      added += 1;
    }
    return added;
  }
}

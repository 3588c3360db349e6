/**
 * The Live tab's engine in the browser: a frame in, what to draw over it out, in the shape that the
 * server answers (`daah/ui/live/frames.py`).
 */

import { ALIGNED_SIZE, inverted } from "./alignment.js";
import { apart, device } from "./device.js";
import { canvasOf, heatmap } from "./drawing.js";
import { Follower } from "./follower.js";
import { unpacked } from "./judgement.js";

export { device };

/** Milliseconds between two searches on the server, where codes are not in the page. */
const BETWEEN = 1000;

export class LiveEngine {
  /** @param {{name: string, code: Uint8Array}[]} added  people whom the visitor added elsewhere */
  constructor(added = []) {
    this.added = added;
    /** What the server said last of each face, largest first, and when it was asked. */
    this.said = [];
    this.asked = -Infinity;
    this.follower = new Follower();
  }

  /**
   * @param {HTMLVideoElement} video
   * @returns {Promise<object>}
   */
  async frame(video) {
    const engine = await device.load();
    const { faces, width, height } = await this.follower.frame(engine, video);
    const people = faces.map((face, i) => this.nearest(face, i));
    if (!device.people) this.ask(faces);
    return {
      faces: faces.map((face, i) => drawn(face, people[i])),
      width,
      height,
    };
  }

  /** The nearest person, of those who are in the page or whom the server named last. */
  nearest(face, place) {
    const { bits } = device.setup;
    const own = device.nearest(face.bits, bits);
    if (!device.people && this.said[place]) own.push(this.said[place]);
    const all = [...own, ...this.added.map((one) => ({ ...one, distance: apart(face.bits, one.code, bits) }))];
    return all.sort((a, b) => a.distance - b.distance)[0];
  }

  /** Ask the server for the nearest person of each face, now and then; frames do not wait. */
  ask(faces) {
    if (performance.now() - this.asked < BETWEEN || !faces.length) return;
    this.asked = performance.now();
    Promise.all(faces.map((face) => device.search(face.bits, device.setup.bits, 1)))
      .then((found) => { this.said = found.map(([best]) => best); })
      .catch(() => { this.said = []; });
  }

  /**
   * Remember the largest face of a frame on this device.
   * @param {HTMLVideoElement} video
   * @returns {Promise<string>} what was done
   */
  async remember(video) {
    const engine = await device.load();
    const frame = await createImageBitmap(video);
    try {
      const minFace = 0.1 * Math.max(frame.width, frame.height);
      const [face] = await engine.find(frame, { minFace, most: 1 });
      if (!face) return "No face is in view, so nobody was added.";
      const own = await engine.encode(frame, face, { pictures: true });
      const name = device.add(own.bits, canvasOf(own.aligned, ALIGNED_SIZE).toDataURL("image/jpeg", 0.9));
      return `Remembered as "${name}" on this device, until the page is closed.`;
    } catch (problem) {
      return problem.message;
    } finally {
      frame.close();
    }
  }
}

function drawn(face, best) {
  const { bits } = device.setup;
  const [a, b, c, d, e, f] = inverted(face.matrix);
  return {
    box: face.box,
    // From the unit square of the aligned face, as a canvas takes it.
    matrix: [...[a, d, b, e].map((value) => ALIGNED_SIZE * value), c, f],
    heat: heatmap(face.mask, face.grid),
    ...words(best, bits),
    code: unpacked(face.bits, bits).join(""),
  };
}

/** What stands at a face, and what is said of it: without a number, which flickers. */
function words(best, bits) {
  if (!best) {
    return device.people || !device.setup.people
      ? { label: "nobody in the gallery", sentence: "There is nobody in the gallery yet.", same: false }
      : { label: "…", sentence: "Searching by the code.", same: false };
  }
  const agree = `${bits - best.distance} of ${bits} bits agree`;
  const verdict = device.judgement.verdict(best.distance, bits, device.searched);
  if (verdict === "match") {
    return { label: `${best.name}, ${agree}`, sentence: `Match: this looks like ${best.name}.`, same: true };
  }
  if (verdict === "unclear") {
    const sentence = `Unclear: this may be ${best.name}, or nobody in the gallery.`;
    return { label: `perhaps ${best.name}, ${agree}`, sentence, same: false };
  }
  const sentence = "No match: this person looks like nobody in the gallery.";
  return { label: `no match (${agree})`, sentence, same: false };
}

/**
 * What all panels of a page share: the switch "On this device", the engine, what the server says of
 * model and gallery, and the people whom the visitor added. All of it is gone with the page; only
 * the switch is remembered, in this browser.
 *
 * @typedef {import("./encoder.js").Encoded} Encoded
 *
 * @typedef {object} Found  a person near a code
 * @property {string} name
 * @property {number} distance
 * @property {number} photos
 * @property {string} picture  address of a photo; "" where none was asked for
 * @property {boolean} own  whether the visitor added the person
 */

import { hamming, toHex } from "./codes.js";
import { Engine, EngineError, loadEngine, obstacle, readPhoto } from "./engine.js";
import { Judgement, unhex } from "./judgement.js";

export { EngineError, readPhoto };

/** Key of the switch in the browser's storage. */
const KEY = "face-hash-search-on-device";

/** Folder of the page, from which the server's addresses count. */
const PAGE = new URL("../../", import.meta.url);

const OFFLINE = "The server cannot be reached. Search needs the connection; Compare and Live do not.";

class Device extends EventTarget {
  /** Whether the switch is on: then nothing but codes leaves the browser. */
  on = false;
  /** "idle", "loading", "ready" or "failed". */
  state = "idle";
  /** Part of the engine's files that is loaded, in [0, 1]. */
  share = 0;
  /** What keeps the engine from being used, as a sentence. */
  problem = "";
  /** @type {Engine | null} */
  engine = null;
  /** @type {Judgement | null} */
  judgement = null;
  /** @type {{name: string, code: Uint8Array, photos: number}[] | null} the gallery, if it is here */
  people = null;
  /** @type {{name: string, code: Uint8Array, picture: string}[]} */
  additions = [];

  #loading = null;

  /** What the server says of model and gallery; null before it has said it. */
  get setup() {
    return this.judgement?.setup ?? null;
  }

  /** What keeps this browser from ever running the engine. */
  get obstacle() {
    return obstacle();
  }

  /** Turn the switch, and remember it. */
  turn(on) {
    this.on = on && !this.obstacle;
    document.documentElement.classList.toggle("on-device", this.on);
    try {
      if (this.on) localStorage.setItem(KEY, "on");
      else localStorage.removeItem(KEY);
    } catch {
      // Storage is refused: the switch lasts as long as the page.
    }
    this.#tell();
    if (this.on) this.load().catch(() => {}); // `problem` says why
  }

  /** Whether the switch was on when this browser was here last. */
  remembered() {
    try {
      return localStorage.getItem(KEY) === "on";
    } catch {
      return false;
    }
  }

  /**
   * Load the engine and what the server says, once; again after a failure.
   * @returns {Promise<Engine>}
   * @throws {EngineError}
   */
  load() {
    this.#loading ??= this.#load().catch((problem) => {
      this.#loading = null;
      this.state = "failed";
      this.problem = problem.message;
      this.#tell();
      throw problem;
    });
    return this.#loading;
  }

  async #load() {
    if (this.obstacle) throw this.obstacle;
    Object.assign(this, { state: "loading", share: 0, problem: "" });
    this.#tell();
    const setup = await asked("on-device/setup").catch(() => {
      throw new EngineError("download", "The server cannot be reached. Try again.");
    });
    this.judgement = new Judgement(setup);
    const address = (path) => new URL(path, PAGE).href;
    const models = Object.fromEntries(
      Object.entries(setup.models).map(([name, path]) => [name, address(path)]),
    );
    const [engine, people] = await Promise.all([
      loadEngine({
        models,
        onProgress: (loaded, total) => {
          this.share = loaded / total;
          this.#tell();
        },
      }),
      setup.shares ? asked("on-device/people").catch(() => null) : null,
    ]);
    this.people =
      people?.people.map(([name, code, photos]) => ({ name, code: unhex(code), photos })) ?? null;
    this.engine = engine;
    this.state = "ready";
    this.#tell();
    return engine;
  }

  /** Number of people who are searched. */
  get searched() {
    return (this.setup?.people ?? 0) + this.additions.length;
  }

  /**
   * The nearest people. The code is all that is sent.
   * @param {Uint8Array} code  packed
   * @param {number} bits  of it that are compared
   * @param {number} most
   * @returns {Promise<Found[]>}
   * @throws {EngineError} with a sentence
   */
  async search(code, bits, most) {
    let answer;
    try {
      answer = await asked("on-device/search", { code: toHex(prefix(code, bits)), people: most });
    } catch (problem) {
      throw problem instanceof EngineError ? problem : new EngineError("offline", OFFLINE);
    }
    Object.assign(this.setup, { people: answer.searched, photos: answer.photos });
    return this.#merged(answer.people, code, bits, most);
  }

  /** The nearest of the people whose codes are in the page: nothing is sent. */
  nearest(code, bits, most = 1) {
    const found = (this.people ?? []).map(({ name, code: other, photos }) => ({
      name, photos, distance: apart(code, other, bits), picture: "",
    }));
    return this.#merged(found, code, bits, most);
  }

  #merged(found, code, bits, most) {
    const own = this.additions.map((one) => ({
      name: one.name, photos: 1, distance: apart(code, one.code, bits), picture: one.picture,
      own: true,
    }));
    return [...found, ...own].sort((a, b) => a.distance - b.distance).slice(0, most);
  }

  /**
   * Add a face for this visit.
   * @returns {string} what it is called
   * @throws {EngineError} when there are too many
   */
  add(code, picture) {
    if (this.additions.length >= this.setup.additions) {
      throw new EngineError("full", `At most ${this.setup.additions} faces can be added.`);
    }
    const taken = new Set(this.additions.map(({ name }) => name));
    let name = "You";
    for (let i = 2; taken.has(name); i += 1) name = `You ${i}`;
    this.additions.push({ name, code, picture });
    return name;
  }

  #tell() {
    this.dispatchEvent(new Event("change"));
  }
}

/** The first bits of a code. */
function prefix(code, bits) {
  return code.subarray(0, bits / 8);
}

/** Bits that differ among the first ones of two codes. */
export function apart(first, second, bits) {
  return hamming(prefix(first, bits), prefix(second, bits));
}

/** A JSON answer of the server, to a GET or with a body to a POST. */
async function asked(path, body) {
  const response = await fetch(new URL(path, PAGE), body && {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  const answer = await response.json().catch(() => null);
  if (response.ok && answer) return answer;
  throw new EngineError("refused", answer?.error?.message ?? `The server answered ${response.status}.`);
}

export const device = new Device();

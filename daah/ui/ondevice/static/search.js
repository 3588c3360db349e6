/** Search on this device: the photo stays here, and the code of each face is sent. */

import { analysed, encoded } from "./analysis.js";
import { ALIGNED_SIZE } from "./alignment.js";
import { toHex } from "./codes.js";
import { device } from "./device.js";
import { barcode, canvasOf, drawHeatmap, overlaid } from "./drawing.js";
import { PhotoField, chips, lengths, slide, takePastes } from "./field.js";
import { colourKey, compare, escaped, plural, say } from "./html.js";

const WAITING = "Add a photo, or choose an example. It stays on this device.";
const NO_FACE = "No face found. Try a larger, front-facing face.";
const STRENGTH = 0.6;

const VERDICTS = { match: "Match", unclear: "Unclear", "no match": "No match" };
const TONES = { match: "good", unclear: "far", "no match": "none" };
const BANDS = {
  match: "Match",
  unclear: "Unclear: perhaps one of these, perhaps nobody",
  "no match": "No match: look-alikes, for fun, not identity",
};

/** @param {HTMLElement} place */
export function mount(place) {
  new SearchPanel(place);
}

class SearchPanel {
  constructor(place) {
    this.place = place;
    this.examples = place.innerHTML; // buttons that the server drew
    place.innerHTML =
      '<div class="device-strip"><section class="step"><h2>Photo</h2><div data-part="field"></div>' +
      '<label class="tick-line"><input type="checkbox" data-over> Heatmap on the photo</label>' +
      '</section><section class="step"><h2>What the network sees</h2>' +
      '<fieldset class="lengths"><legend>Attention</legend>' +
      '<label><input type="radio" name="device-attention" value="on" checked><span>On</span></label>' +
      '<label><input type="radio" name="device-attention" value="off"><span>Off</span></label>' +
      '</fieldset><div data-part="seen"></div></section>' +
      '<section class="step"><h2>Code</h2><div data-part="lengths"></div>' +
      '<div data-part="code"></div></section>' +
      '<section class="step"><h2>Best person</h2><div data-part="best"></div></section></div>' +
      `<p class="say" role="status" aria-live="polite" data-part="sentence">${WAITING}</p>` +
      `<div data-part="chips"></div>${this.examples}<div data-part="people"></div>`;
    this.field = new PhotoField(this.part("field"), "Your photo", {
      given: (photo) => this.search(photo),
      refused: (words) => this.say(words, "bad"),
      cleared: () => {
        this.reset(WAITING);
        device.engine?.forget();
      },
      chosen: (index) => this.choose(index),
    });
    takePastes(place, () => this.field);
    /** Counts what was asked for, so that an answer that comes late is dropped. */
    this.turn = 0;
    this.reset(WAITING);
    place.addEventListener("input", slide);
    place.addEventListener("change", (event) => this.changed(event.target));
    place.addEventListener("click", (event) => this.clicked(event.target));
    device.addEventListener("change", () => this.offer());
    this.offer();
    place.dataset.ready = ""; // an address may open an example now
  }

  part(name) {
    return this.place.querySelector(`[data-part="${name}"]`);
  }

  say(words, tone = "") {
    say(this.part("sentence"), words, tone);
  }

  /** The code lengths, once the server has said them. */
  offer() {
    if (!device.setup || this.bits) return;
    this.bits = device.setup.bits;
    this.part("lengths").innerHTML = lengths(device.setup.lengths, this.bits, "device-bits");
  }

  reset(words, tone = "") {
    this.turn += 1;
    this.result?.photo.close?.();
    this.result = null;
    /** What was added a moment ago, until something else is asked for. */
    this.added = "";
    for (const name of ["seen", "code", "best", "chips", "people"]) this.part(name).innerHTML = "";
    this.say(words, tone);
  }

  changed(input) {
    this.added = "";
    if (input.name === "device-bits") {
      this.bits = Number(input.value);
      this.look();
    } else if (input.name === "device-attention") {
      this.attend(input.value === "on");
    } else if (input.matches("[data-over]")) {
      this.draw();
    }
  }

  clicked(target) {
    const face = target.closest("[data-face]");
    if (face) this.choose(Number(face.dataset.face));
    const example = target.closest("[data-example]");
    if (example) this.example(example.dataset.example);
    const act = target.closest("[data-do]")?.dataset.do;
    if (act === "add") this.add();
    if (act === "copy") navigator.clipboard.writeText(target.closest("[data-do]").dataset.hex);
    if (act === "compare") {
      const tabs = [...document.querySelectorAll('#tabs button[role="tab"]')];
      tabs.find((tab) => tab.textContent.trim() === "Compare")?.click();
    }
  }

  async example(name) {
    this.reset("Loading the example");
    try {
      await device.load();
      const response = await fetch(new URL(`../../${device.setup.examples[name]}`, import.meta.url));
      await this.field.read(await response.blob());
    } catch {
      this.say("The example cannot be loaded without the connection.", "bad");
    }
  }

  /** Everything about a photo, then the people. */
  async search(photo) {
    this.reset("Reading the photo");
    const mine = this.turn;
    this.field.show(photo, [], 0);
    let found;
    try {
      found = await analysed(photo, (words) => mine === this.turn && this.say(words));
    } catch (problem) {
      if (mine === this.turn) this.reset(problem.message, "bad");
      return;
    }
    if (mine !== this.turn) {
      photo.close();
      return;
    }
    this.place.querySelector('[name="device-attention"][value="on"]').checked = true;
    if (!found.faces.length) {
      this.reset(NO_FACE, "bad");
      return;
    }
    this.result = { photo, ...found, chosen: 0, people: [] };
    await this.look();
  }

  /** The same face behind its mask, or without one. */
  async attend(attention) {
    const { result } = this;
    if (!result) return;
    const mine = (this.turn += 1);
    this.say("Encoding");
    for (const one of result.faces) {
      const made = await encoded(result.source, one.face, attention);
      if (mine !== this.turn) return;
      Object.assign(one, made, { small: undefined });
    }
    await this.look();
  }

  choose(index) {
    if (!this.result || index >= this.result.faces.length) return;
    this.result.chosen = index;
    this.added = "";
    this.draw();
  }

  /** Search for every face by its code, the chosen one first. */
  async look() {
    const { result } = this;
    if (!result) return;
    const mine = (this.turn += 1);
    result.people = [];
    result.problem = "";
    this.draw();
    const order = result.faces.map((_, i) => i).sort((a, b) => (b === result.chosen) - (a === result.chosen));
    for (const i of order) {
      try {
        const { bits } = result.faces[i].encoded;
        const found = await device.search(bits, this.bits, device.setup.shown);
        if (mine !== this.turn) return;
        result.people[i] = this.judged(found, result.faces[i].flaws);
      } catch (problem) {
        if (mine !== this.turn) return;
        result.problem = problem.message;
        break;
      }
      if (i === result.chosen) this.draw();
    }
    this.draw();
  }

  /** People with their verdicts: nobody has a better one than whoever comes first. */
  judged(found, flaws) {
    const { searched, judgement } = device;
    return found.map((person) => ({
      ...person,
      verdict: judgement.verdict(person.distance, this.bits, searched, flaws),
      rate: judgement.rate(person.distance, this.bits, searched, flaws),
    }));
  }

  add() {
    const { result } = this;
    const { encoded: own } = result.faces[result.chosen];
    try {
      const name = device.add(own.bits, canvasOf(own.aligned, ALIGNED_SIZE).toDataURL("image/jpeg", 0.9));
      this.added = `Remembered as "${name}" on this device, until the page is closed.`;
      this.look();
    } catch (problem) {
      this.say(problem.message, "bad");
    }
  }

  draw() {
    const { result } = this;
    if (!result) return;
    const one = result.faces[result.chosen];
    const own = one.encoded;
    const heat = (pen) => result.faces.forEach((each) => drawHeatmap(pen, each.encoded, STRENGTH));
    const over = this.place.querySelector("[data-over]").checked ? heat : undefined;
    const boxes = result.faces.map(({ face }) => face);
    this.field.show(result.source, boxes, result.chosen, over);
    const name = `face ${result.chosen + 1}`;
    const seen = canvasOf(own.seen, Math.sqrt(own.seen.length / 3));
    this.part("seen").innerHTML =
      compare(seen, overlaid(own, STRENGTH), name, `What the network is given of ${name}`) +
      colourKey("hidden", "matters most");
    const code = own.bits.subarray(0, this.bits / 8);
    const bars = barcode(code);
    bars.style.setProperty("--rows", Math.ceil(this.bits / 64));
    this.part("code").innerHTML =
      `<p class="hint">${code.length} bytes: all that is sent and compared. <button type="button" ` +
      `class="small" data-do="copy" data-hex="${toHex(code)}">Copy hex</button></p>`;
    this.part("code").prepend(bars);
    this.faces();
    this.persons(one);
  }

  faces() {
    const { result } = this;
    for (const one of result.faces) {
      one.small ??= canvasOf(one.encoded.aligned, ALIGNED_SIZE).toDataURL("image/jpeg", 0.85);
    }
    const lines = result.people.map((people) => {
      const best = people?.[0];
      if (!best || best.verdict === "no match") return best && "no match";
      return best.verdict === "match" ? best.name : `${best.name}?`;
    });
    this.part("chips").innerHTML = chips(result.faces, result.chosen, lines, "Faces in the photo");
  }

  persons(one) {
    const { result } = this;
    const people = result.people[result.chosen];
    if (!people) {
      this.part("best").innerHTML = "";
      this.part("people").innerHTML = "";
      this.say(result.problem || "Searching by the code", result.problem ? "bad" : "");
      return;
    }
    const best = people[0];
    const words = [this.all(), ...this.chosenWords(one, best)].filter(Boolean).join(" ");
    this.say(words, best ? TONES[best.verdict] : "far");
    this.part("best").innerHTML = best ? this.best(best) : "Nobody is in the gallery yet.";
    this.part("people").innerHTML = this.cards(people);
  }

  chosenWords({ flaws }, best) {
    const { result } = this;
    const words = [];
    if (this.added) words.push(this.added);
    if (!best) words.push("The gallery is empty, so there is nobody to compare with.");
    else {
      const agree = `${this.bits - best.distance} of ${this.bits} bits agree.`;
      words.push({
        match: `Match: ${best.name}. ${agree}`,
        unclear: `Unclear: the nearest is ${best.name}, but it may be somebody else. ${agree}`,
        "no match":
          "No match: this person does not seem to be in the gallery. Below, the faces that look " +
          "most alike.",
      }[best.verdict]);
    }
    if (flaws.length) {
      const named = flaws.length > 1 ? `${flaws.slice(0, -1).join(", ")} and ${flaws.at(-1)}` : flaws[0];
      words.push(best?.verdict === "match"
        ? `This face is ${named}, and still near enough for a match.`
        : `This face is ${named}, so a search may miss the right person.`);
    }
    if (result.turned) words.push(`The photo was turned by ${result.turned} degrees to find a face.`);
    if (this.place.querySelector('[name="device-attention"][value="off"]').checked) {
      words.push("Attention is off.");
    }
    if (result.problem) words.push(result.problem);
    return words;
  }

  /** How many faces there are, and what became of each. */
  all() {
    const { result } = this;
    if (result.faces.length < 2) return "";
    const said = Object.keys(VERDICTS).flatMap((verdict) => {
      const which = result.faces.flatMap((_, i) =>
        result.people[i] && (result.people[i][0]?.verdict ?? "no match") === verdict ? [i + 1] : []);
      if (!which.length) return [];
      if (which.length > 4) return [`${verdict} for ${which.length}`];
      return [`${verdict} for ${which.length === 1 ? "face" : "faces"} ${which.join(", ")}`];
    });
    return `${plural(result.faces.length, "face")} found: ${said.join("; ")}. Face ${result.chosen + 1}:`;
  }

  best(person) {
    const buttons = person.verdict === "match" ? "" :
      '<div class="tools row"><button type="button" class="small" data-do="add">Add this face for ' +
      'this visit</button><button type="button" class="small" data-do="compare">Compare with ' +
      "another photo</button></div>";
    const name = person.verdict === "no match" ? `Most alike: ${person.name}` : person.name;
    return (
      `<article class="best ${TONES[person.verdict]}">${photoOf(person)}` +
      `<p class="verdict">${VERDICTS[person.verdict]}</p><h3>${escaped(name)}</h3>` +
      `${agreement(person.distance, this.bits)}<p class="hint">${meaning(person)}</p>${buttons}` +
      "</article>"
    );
  }

  cards(people) {
    const bands = Object.keys(BANDS).flatMap((verdict) => {
      const band = people.filter((person) => person.verdict === verdict);
      if (!band.length) return [];
      const made = band.map((person) =>
        `<li><article class="card${verdict === "match" ? "" : " dim"}">${photoOf(person)}` +
        `<span class="words"><b>${escaped(person.name)}${person.own ? " · yours" : ""}</b>` +
        `${agreement(person.distance, this.bits)}<small>${person.photos > 1
          ? plural(person.photos, "photo") : ""}</small></span></article></li>`);
      return [`<h3 class="line ${TONES[verdict]}">${BANDS[verdict]}</h3><ol class="cards">${made.join("")}</ol>`];
    });
    return (
      `<h2>Closest people</h2><p class="hint">${plural(device.setup.photos, "photo")} of ` +
      `${plural(device.searched, "person", "people")} searched by the code.</p>${bands.join("")}`
    );
  }
}

function photoOf(person) {
  return `<img alt="Gallery photo of ${escaped(person.name)}" src="${escaped(person.picture)}">`;
}

/** The share of bits that agree as a bar, long for alike, and in words. */
function agreement(distance, bits) {
  const agree = bits - distance;
  return (
    `<span class="track agree" aria-hidden="true" style="--d:${(100 * agree) / bits}%"></span>` +
    `<span>${agree} of ${bits} bits agree</span>`
  );
}

/** What a verdict means in this gallery. */
function meaning({ verdict, rate }) {
  if (rate === null) return "This model has no limits for searches, so nothing more can be said.";
  const people = plural(device.searched, "person", "people");
  if (verdict === "match") {
    const whole = 10 ** Math.ceil(-Math.log10(rate));
    return (
      `Of strangers who search this gallery of ${people}, fewer than ` +
      `${Math.round(rate * whole)} in ${whole.toLocaleString("en")} would get a match this good.`
    );
  }
  if (verdict === "unclear") {
    return (
      `Strangers who search this gallery of ${people} often find somebody as near, and so do ` +
      "people who are in it with an unlike photo."
    );
  }
  return "Of people who are in the gallery, 19 in 20 are found nearer than this.";
}

/** Compare on this device: nothing is sent. */

import { analysed, encoded } from "./analysis.js";
import { ALIGNED_SIZE } from "./alignment.js";
import { apart, device } from "./device.js";
import { canvasOf, overlaid } from "./drawing.js";
import { PhotoField, chips, lengths, slide, takePastes } from "./field.js";
import { colourKey, compare, plural, say, twoCodes } from "./html.js";
import { unpacked } from "./judgement.js";

const WAITING =
  "Add two photos. The largest face of each is compared; then any other can be chosen. Nothing is " +
  "sent.";
const NAMES = ["first", "second"];
const STRENGTH = 0.6;
const VERDICTS = {
  same: "Likely the same person",
  undecided: "Undecided",
  different: "Probably different people",
};
/** Faces of a photo that are offered, the largest ones. */
const MOST_OFFERED = 12;

/** @param {HTMLElement} place */
export function mount(place) {
  new ComparePanel(place);
}

class ComparePanel {
  constructor(place) {
    this.place = place;
    place.innerHTML =
      '<div class="device-strip two"><div data-part="first"></div><div data-part="second"></div></div>' +
      `<div data-part="lengths"></div><p class="say" role="status" aria-live="polite" ` +
      `data-part="sentence">${WAITING}</p><div data-part="numbers"></div>` +
      '<div data-part="chips"></div><div data-part="faces"></div><div data-part="bits"></div>';
    /** Of each photo: its faces, and which is chosen. */
    this.photos = [null, null];
    this.turns = [0, 0];
    this.fields = NAMES.map((name, i) => new PhotoField(
      this.part(name), `${name[0].toUpperCase()}${name.slice(1)} photo`, {
        given: (photo) => this.give(i, photo),
        refused: (words) => say(this.part("sentence"), words, "bad"),
        cleared: () => this.drop(i),
        chosen: (index) => this.choose(i, index),
      },
    ));
    takePastes(place, () => this.fields.find((field) => !field.filled) ?? this.fields[1]);
    place.addEventListener("input", slide);
    place.addEventListener("change", ({ target }) => {
      if (target.name !== "device-compare-bits") return;
      this.bits = Number(target.value);
      this.draw();
    });
    place.addEventListener("click", ({ target }) => {
      const face = target.closest("[data-face]");
      if (face) this.choose(Number(face.closest("[data-photo]").dataset.photo), Number(face.dataset.face));
    });
    device.addEventListener("change", () => this.offer());
    this.offer();
  }

  part(name) {
    return this.place.querySelector(`[data-part="${name}"]`);
  }

  offer() {
    if (!device.setup || this.bits) return;
    this.bits = device.setup.bits;
    this.part("lengths").innerHTML = lengths(device.setup.lengths, this.bits, "device-compare-bits");
  }

  drop(which) {
    this.turns[which] += 1;
    this.photos[which]?.photo.close?.();
    this.photos[which] = null;
    this.draw();
  }

  async give(which, photo) {
    this.drop(which);
    const mine = this.turns[which];
    const tell = (words) => mine === this.turns[which] && say(this.part("sentence"), words);
    this.fields[which].show(photo, [], 0);
    try {
      const found = await analysed(photo, tell, 1);
      if (mine !== this.turns[which]) return;
      if (!found.faces.length) {
        throw new Error(`No face found in the ${NAMES[which]} photo. Try a larger, front-facing face.`);
      }
      this.photos[which] = { photo, ...found, chosen: 0 };
      this.draw();
    } catch (problem) {
      if (mine !== this.turns[which]) return;
      this.draw();
      say(this.part("sentence"), problem.message, "bad");
    }
  }

  async choose(which, index) {
    const own = this.photos[which];
    if (!own || index >= Math.min(own.faces.length, MOST_OFFERED)) return;
    const mine = (this.turns[which] += 1);
    const one = own.faces[index];
    if (!one.encoded) Object.assign(one, await encoded(own.source, one.face));
    if (mine !== this.turns[which]) return;
    own.chosen = index;
    this.draw();
  }

  draw() {
    this.photos.forEach((own, i) => {
      if (own) this.fields[i].show(own.source, own.faces.map(({ face }) => face), own.chosen);
    });
    this.part("chips").innerHTML = this.photos.map((own, i) => {
      if (!own || own.faces.length < 2) return "";
      const words = `Faces of the ${NAMES[i]} photo`;
      const shown = chips(own.faces.slice(0, MOST_OFFERED), own.chosen, null, words);
      return `<div data-photo="${i}"><p class="hint">${words}, the largest first:</p>${shown}</div>`;
    }).join("");
    for (const name of ["numbers", "faces", "bits"]) this.part(name).innerHTML = "";
    if (this.photos.every(Boolean)) this.result();
    else say(this.part("sentence"), WAITING);
  }

  result() {
    const faces = this.photos.map((own) => own.faces[own.chosen].encoded);
    const { bits } = this;
    const distance = apart(faces[0].bits, faces[1].bits, bits);
    const pair = device.judgement.pair(distance, bits);
    const agree = bits - distance;
    if (!pair) {
      say(this.part("sentence"), `${distance} of ${bits} bits differ. This checkpoint is not ` +
        "calibrated at this length, so there is no verdict.");
    } else {
      const text = `${VERDICTS[pair.verdict]}: ${distance} of ${bits} bits differ, ${agree} agree.`;
      say(this.part("sentence"), text, pair.verdict === "same" ? "good" : "far");
    }
    const notes = this.photos.flatMap(({ faces: all, chosen }, i) => all.length < 2 ? [] : [
      `The ${NAMES[i]} photo has ${plural(all.length, "face")}; ` +
      `${chosen ? `face ${chosen + 1}` : "the largest"} is compared.`,
    ]);
    this.part("numbers").innerHTML =
      `<dl class="numbers"><div><dt>Bits that agree</dt><dd>${agree} <small>of ${bits}</small></dd></div>` +
      "<div><dt>Limit: needed for the same person</dt>" +
      `<dd>${pair ? bits - pair.threshold : "–"}</dd></div>` +
      `<div><dt>Probability of the same person</dt><dd>${pair ? percent(pair.probability) : "–"}</dd></div></dl>` +
      `<p class="hint">The probability is for even odds beforehand (50:50). ${notes.join(" ")}</p>`;
    this.part("faces").innerHTML =
      '<h2>What the model looks at</h2><div class="pair">' +
      faces.map((own, i) => {
        const name = `the ${NAMES[i]} face`;
        const plain = canvasOf(own.aligned, ALIGNED_SIZE);
        return `<figure>${compare(plain, overlaid(own, STRENGTH), name, `Aligned ${name}`)}` +
          `<figcaption>The ${NAMES[i]} face</figcaption></figure>`;
      }).join("") + `</div>${colourKey("hidden", "matters most")}`;
    this.part("bits").innerHTML =
      `<h2>${agree} of ${bits} bits agree</h2><p class="hint">Above the first code, below the ` +
      "second; a mark between them where they differ.</p>" +
      twoCodes(unpacked(faces[0].bits, bits), unpacked(faces[1].bits, bits));
  }
}

function percent(probability) {
  if (probability > 0.99) return "over 99%";
  return probability < 0.01 ? "under 1%" : `${Math.round(100 * probability)}%`;
}

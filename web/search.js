/** The Search tab. */

import { barcode, canvasOf, overlaid } from "./engine/drawing.js";
import { byId, element, photos, picture, plural, say } from "./words.js";

const WORDS = {
  match: (name) => `Match: ${name}.`,
  unclear: (name) => `Unclear: this may be ${name}, or nobody in the gallery.`,
  "no match": () => "No match: this person does not seem to be in the gallery.",
};
const TONES = { match: "good", unclear: "far", "no match": "none" };

export class Search {
  /** @param {import("./faces.js").Faces} faces */
  constructor(faces) {
    this.faces = faces;
    const fail = ({ message }) => say("sentence", message, "far");
    const input = byId("search-photo");
    photos(input, ([file]) => this.search(file), fail);
    document.addEventListener("paste", ({ clipboardData }) => {
      const file = clipboardData?.files[0];
      if (file && !byId("search").hidden && !input.disabled) this.search(file).catch(fail);
    });
    byId("add").addEventListener("submit", (event) => {
      event.preventDefault();
      this.add(byId("add-name").value.trim()).catch(fail);
    });
  }

  async search(file) {
    for (const id of ["chips", "answer", "add", "people-title"]) byId(id).hidden = true;
    byId("people").replaceChildren();
    say("sentence", "Looking for faces.");
    const { photo, faces } = await this.faces.find(file);
    this.photo?.close();
    Object.assign(this, { photo, found: faces, name: file.name || "pasted photo" });
    if (!faces.length) {
      say("sentence", "No face was found. Try a photo on which a face is larger and upright.", "far");
      return;
    }
    this.drawChips();
    await this.choose(0);
  }

  drawChips() {
    const made = this.found.map(({ box: [left, top, right, bottom] }, i) => {
      const canvas = element("canvas", { width: "56", height: "56", "aria-hidden": "true" });
      const side = Math.max(right - left, bottom - top);
      canvas.getContext("2d").drawImage(this.photo, left, top, side, side, 0, 0, 56, 56);
      const chip = element("button", { type: "button" }, canvas, `Face ${i + 1}`);
      chip.addEventListener("click", () => this.choose(i));
      return chip;
    });
    byId("chips").replaceChildren(...made);
    byId("chips").hidden = made.length < 2;
  }

  async choose(index) {
    [...byId("chips").children].forEach((chip, i) =>
      chip.setAttribute("aria-pressed", String(i === index)),
    );
    this.chosen = index;
    this.encoded = await this.faces.encode(this.photo, this.found[index]);
    const { seen, bits } = this.encoded;
    byId("boxes").replaceChildren(this.boxes());
    byId("heatmap").replaceChildren(named(overlaid(this.encoded), "The face with its heatmap"));
    const side = Math.round(Math.sqrt(seen.length / 3));
    byId("masked").replaceChildren(named(canvasOf(seen, side), "The face behind its mask"));
    byId("code").replaceChildren(barcode(bits));
    byId("answer").hidden = false;
    byId("add").hidden = false;
    await this.show();
  }

  async show() {
    const { found, searched } = await this.faces.search(this.encoded.bits);
    const count = plural(this.found.length, "face");
    if (!searched) {
      say("sentence", `${count} found. The gallery is empty: add this face, or photos in Gallery.`);
    } else {
      const [{ verdict, name, distance }] = found;
      const agree = `${256 - distance} of 256 bits agree.`;
      say("sentence", `${WORDS[verdict](name)} ${agree} ${count} found.`, TONES[verdict]);
    }
    byId("people-title").hidden = !searched;
    byId("people").replaceChildren(
      ...found.map(({ name, entries, distance, verdict }) =>
        element(
          "li",
          { class: verdict.replace(" ", "-") },
          picture(entries[0].face, ""),
          element("strong", {}, name),
          element("span", {}, verdict === "match" ? "Match" : verdict === "unclear" ? "Unclear" : "No match"),
          element("small", {}, `${256 - distance} of 256 bits agree`),
        ),
      ),
    );
  }

  boxes() {
    const scale = Math.min(1, 640 / Math.max(this.photo.width, this.photo.height));
    const canvas = element("canvas", {
      width: String(Math.round(this.photo.width * scale)),
      height: String(Math.round(this.photo.height * scale)),
    });
    const pen = canvas.getContext("2d");
    pen.drawImage(this.photo, 0, 0, canvas.width, canvas.height);
    this.found.forEach(({ box: [left, top, right, bottom] }, i) => {
      pen.strokeStyle = i === this.chosen ? "#e8590c" : "#58aee0";
      pen.lineWidth = 3;
      pen.strokeRect(left * scale, top * scale, (right - left) * scale, (bottom - top) * scale);
    });
    return named(canvas, `The photo with ${plural(this.found.length, "box", "boxes")} around faces`);
  }

  async add(person) {
    if (!person) return;
    await this.faces.add(person, `${this.name}, face ${this.chosen + 1}`, this.encoded);
    byId("add-name").value = "";
    await this.show();
  }
}

function named(canvas, words) {
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", words);
  return canvas;
}

/** The Compare tab: the largest faces of two photos. */

import { hamming } from "./engine/codes.js";
import { barcode, overlaid } from "./engine/drawing.js";
import { pairVerdict } from "./engine/verdict.js";
import { byId, element, photos, say } from "./words.js";

const WORDS = {
  same: "Likely the same person",
  undecided: "Undecided",
  different: "Probably different people",
};
const NAMES = ["first", "second"];

export class Compare {
  /** @param {import("./faces.js").Faces} faces */
  constructor(faces) {
    this.faces = faces;
    this.pair = [null, null];
    const fail = ({ message }) => say("verdict", message, "far");
    NAMES.forEach((_, i) => photos(byId(`compare-${i}`), ([file]) => this.take(i, file), fail));
  }

  async take(i, file) {
    this.pair[i] = null;
    say("verdict", "Looking for faces.");
    const { photo, faces } = await this.faces.find(file);
    if (!faces.length) {
      photo.close();
      say("verdict", `No face was found on the ${NAMES[i]} photo.`, "far");
      return;
    }
    this.pair[i] = await this.faces.encode(photo, faces[0]);
    photo.close();
    this.show();
  }

  show() {
    const [a, b] = this.pair;
    if (!a || !b) {
      say("verdict", "Now the other photo.");
      byId("pair").replaceChildren();
      return;
    }
    const { pair } = this.faces.model;
    const distance = hamming(a.bits, b.bits);
    const verdict = pairVerdict(distance, pair);
    const bits = 8 * a.bits.length;
    say(
      "verdict",
      `${WORDS[verdict]}: ${bits - distance} of ${bits} bits agree; ` +
        `${bits - pair.threshold} are needed for the same person.`,
      { same: "good", undecided: "far", different: "far" }[verdict],
    );
    const drawn = [[a, b], [b, a]].map(([own, other], i) => {
      const face = overlaid(own);
      face.setAttribute("role", "img");
      face.setAttribute("aria-label", `The ${NAMES[i]} face with its heatmap`);
      return element("figure", {}, face, barcode(own.bits, other.bits));
    });
    byId("pair").replaceChildren(...drawn);
  }
}

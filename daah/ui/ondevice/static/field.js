/** A field where a visitor gives a photo that is read in the page: file, drop, paste or camera. */

import { closed, opened } from "./camera.js";
import { readPhoto } from "./device.js";
import { escaped, plural } from "./html.js";

/** Longest side of a photo as it is drawn. */
const SHOWN = 960;

/** Share of a photo's width below which the number of a face stands over its box. */
const SMALL_BOX = 0.2;

export class PhotoField {
  /**
   * @param {HTMLElement} place  that the field is drawn in
   * @param {string} label  what the photo is for
   * @param {object} calls
   * @param {(photo: ImageBitmap) => void} calls.given
   * @param {(words: string) => void} calls.refused
   * @param {() => void} calls.cleared
   * @param {(index: number) => void} [calls.chosen]  a face that was tapped
   */
  constructor(place, label, calls) {
    this.place = place;
    this.label = label;
    this.calls = calls;
    this.stream = null;
    place.classList.add("field");
    place.innerHTML =
      '<figure class="photo" hidden><div class="stage"><canvas role="img"></canvas>' +
      '<div class="layer" aria-hidden="true"></div></div></figure>' +
      '<div class="stage shot" hidden><video playsinline muted></video></div>' +
      `<label class="drop"><input type="file" accept="image/*"><span>${escaped(label)}: drop it ` +
      "here, or tap to choose one</span></label>" +
      '<div class="tools row"><button type="button" class="small" data-act="camera">Use the ' +
      'camera</button><button type="button" class="small" data-act="shoot" hidden>Take the photo' +
      '</button><button type="button" class="small" data-act="clear" hidden>Clear</button></div>';
    const input = place.querySelector("input");
    input.addEventListener("change", () => {
      if (input.files[0]) this.read(input.files[0]);
      input.value = "";
    });
    place.addEventListener("dragover", (event) => event.preventDefault());
    place.addEventListener("drop", (event) => {
      event.preventDefault();
      if (event.dataTransfer.files[0]) this.read(event.dataTransfer.files[0]);
    });
    place.addEventListener("click", (event) => {
      const act = event.target.closest("[data-act]")?.dataset.act;
      if (act === "camera") this.film();
      if (act === "shoot") this.shoot();
      if (act === "clear") this.clear();
    });
    place.querySelector(".photo .stage").addEventListener("click", (event) => this.tap(event));
    // Nobody is filmed on a tab that was left.
    document.addEventListener("turned", () => this.stop());
    document.addEventListener("visibilitychange", () => this.stop());
  }

  /** Whether a photo is shown. */
  get filled() {
    return !this.part(".photo").hidden;
  }

  part(selector) {
    return this.place.querySelector(selector);
  }

  button(act) {
    return this.part(`[data-act=${act}]`);
  }

  /** @param {Blob} file */
  async read(file) {
    this.stop();
    try {
      this.calls.given(await readPhoto(file));
    } catch (problem) {
      this.clear();
      this.calls.refused(problem.message);
    }
  }

  async film() {
    if (this.stream) {
      this.stop();
      return;
    }
    const video = this.part("video");
    try {
      this.stream = await opened();
    } catch (problem) {
      this.calls.refused(problem.message);
      return;
    }
    video.srcObject = this.stream;
    await video.play();
    const ratio = video.videoWidth / video.videoHeight;
    this.part(".shot").setAttribute("style", `aspect-ratio:${ratio};--ratio:${ratio}`);
    this.part(".shot").hidden = false;
    this.button("shoot").hidden = false;
    this.button("camera").textContent = "Stop the camera";
  }

  async shoot() {
    const photo = await createImageBitmap(this.part("video"));
    this.stop();
    this.calls.given(photo);
  }

  stop() {
    closed(this.stream);
    this.stream = null;
    this.part("video").srcObject = null;
    this.part(".shot").hidden = true;
    this.button("shoot").hidden = true;
    this.button("camera").textContent = "Use the camera";
  }

  clear() {
    this.stop();
    this.part(".photo").hidden = true;
    this.part(".photo canvas").width = 0;
    this.button("clear").hidden = true;
    this.calls.cleared();
  }

  /**
   * Show a photo, with boxes on its faces.
   * @param {ImageBitmap | HTMLCanvasElement} source
   * @param {import("./detector.js").Face[]} faces
   * @param {number} chosen
   * @param {(pen: CanvasRenderingContext2D) => void} [over]  draws in pixels of the photo
   */
  show(source, faces, chosen, over) {
    const { width, height } = source;
    const scale = Math.min(1, SHOWN / Math.max(width, height));
    const canvas = this.part(".photo canvas");
    canvas.width = Math.max(1, Math.round(width * scale));
    canvas.height = Math.max(1, Math.round(height * scale));
    canvas.setAttribute("aria-label", `${this.label} with ${plural(faces.length, "numbered face")}`);
    const pen = canvas.getContext("2d");
    pen.scale(canvas.width / width, canvas.height / height);
    pen.drawImage(source, 0, 0);
    over?.(pen);
    const stage = this.part(".photo .stage");
    stage.setAttribute("style", `aspect-ratio:${width}/${height};--ratio:${width / height}`);
    this.faces = faces.map(({ box }) => [
      box[0] / width, box[1] / height, box[2] / width, box[3] / height,
    ]);
    this.part(".layer").innerHTML = this.faces
      .map(([x0, y0, x1, y1], i) => {
        const kind = (i === chosen ? " chosen" : "") + (x1 - x0 < SMALL_BOX ? " small" : "");
        const at =
          `left:${100 * x0}%;top:${100 * y0}%;width:${100 * (x1 - x0)}%;height:${100 * (y1 - y0)}%`;
        return `<span class="box${kind}" style="${at}"><b>${i + 1}</b></span>`;
      })
      .join("");
    this.part(".photo").hidden = false;
    this.button("clear").hidden = false;
  }

  /** The smallest face at a tap. */
  tap(event) {
    const area = event.currentTarget.getBoundingClientRect();
    const x = (event.clientX - area.left) / area.width;
    const y = (event.clientY - area.top) / area.height;
    const hit = this.faces
      .map(([x0, y0, x1, y1], i) => ({ i, area: (x1 - x0) * (y1 - y0), in: x > x0 && x < x1 && y > y0 && y < y1 }))
      .filter((face) => face.in)
      .sort((a, b) => a.area - b.area)[0];
    if (hit) this.calls.chosen?.(hit.i);
  }
}

/** Give photos that are pasted to a field, while its panel is looked at. */
export function takePastes(panel, fieldOf) {
  document.addEventListener("paste", (event) => {
    const file = [...(event.clipboardData?.files ?? [])].find(({ type }) => type.startsWith("image/"));
    if (!file || !panel.offsetParent) return;
    event.preventDefault();
    fieldOf().read(file);
  });
}

/** A button for every face of a photo with several. */
export function chips(faces, chosen, lines, words) {
  if (faces.length < 2) return "";
  const made = faces.map(({ small }, i) =>
    `<button type="button" class="chip" data-face="${i}" aria-pressed="${i === chosen}">` +
    (small ? `<img alt="" src="${small}">` : "") +
    `<span><b>Face ${i + 1}</b>${lines ? `<small>${escaped(lines[i] ?? "")}</small>` : ""}</span>` +
    "</button>");
  return `<div class="chips" role="group" aria-label="${escaped(words)}">${made.join("")}</div>`;
}

/** Code lengths to choose from. */
export function lengths(offered, chosen, name) {
  const made = offered.map((bits) =>
    `<label><input type="radio" name="${name}" value="${bits}"${bits === chosen ? " checked" : ""}>` +
    `<span>${bits}</span></label>`);
  return `<fieldset class="lengths"><legend>Code length in bits</legend>${made.join("")}</fieldset>`;
}

/** Move the edge between the pictures of a slider. */
export function slide(event) {
  if (!event.target.matches("[data-cut]")) return;
  event.target.closest(".compare").style.setProperty("--cut", `${event.target.value}%`);
}

/** The Live tab: the camera's picture with boxes, heatmaps and the nearest people. */

import { nearest } from "./engine/codes.js";
import { drawHeatmap } from "./engine/drawing.js";
import { Follower } from "./engine/follower.js";
import { searchVerdict } from "./engine/verdict.js";
import * as store from "./store.js";
import { byId, say } from "./words.js";

const REFUSED =
  "The browser gives no camera to this page. Allow it in the address bar, or connect one.";

export class Live {
  /** @param {import("./faces.js").Faces} faces */
  constructor(faces) {
    this.faces = faces;
    this.facing = "user";
    this.video = document.createElement("video");
    this.video.muted = true;
    this.video.playsInline = true;
    byId("camera").addEventListener("click", () => (this.stream ? this.stop() : this.start()));
    byId("turn").addEventListener("click", () => this.turn());
    byId("remember").addEventListener("submit", (event) => {
      event.preventDefault();
      this.remember(byId("remember-name").value.trim());
    });
    document.addEventListener("visibilitychange", () => document.hidden && this.stop());
  }

  async start() {
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({
        audio: false,
        video: { facingMode: this.facing, width: { ideal: 640 }, height: { ideal: 480 } },
      });
      this.video.srcObject = this.stream;
      await this.video.play();
    } catch {
      this.stop();
      say("seen", REFUSED, "far");
      return;
    }
    this.stream.getVideoTracks()[0].addEventListener("ended", () => {
      this.stop();
      say("seen", "The camera was taken away.", "far");
    });
    byId("camera").textContent = "Stop the camera";
    for (const id of ["stage", "remember", "turn"]) byId(id).hidden = false;
    this.people = await store.people();
    this.run(this.stream);
  }

  stop() {
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.stream = null;
    this.video.srcObject = null;
    byId("camera").textContent = "Start the camera";
    for (const id of ["stage", "remember", "turn"]) byId(id).hidden = true;
    byId("rate").textContent = "";
    say("seen", "");
  }

  async turn() {
    this.facing = this.facing === "user" ? "environment" : "user";
    this.stop();
    await this.start();
  }

  async run(stream) {
    const times = [];
    let spoken = "";
    const follower = new Follower();
    const look = () => follower.frame(this.faces.engine, this.video);
    try {
      let next = look();
      while (this.stream === stream) {
        const frame = await next;
        if (this.stream !== stream) return;
        next = look(); // while this one is drawn
        const words = this.draw(frame);
        if (words !== spoken) say("seen", words);
        spoken = words;
        times.push(performance.now());
        if (times.length > 20) times.shift();
        if (times.length > 1) {
          const rate = (1000 * (times.length - 1)) / (times.at(-1) - times[0]);
          byId("rate").textContent = `${rate.toFixed(1)} frames a second`;
        }
      }
    } catch ({ message }) {
      if (this.stream !== stream) return;
      this.stop();
      say("seen", message, "far");
    }
  }

  /** Draw a frame; the sentence about its largest face. */
  draw({ faces, width, height }) {
    const stage = byId("stage");
    if (stage.width !== width || stage.height !== height) Object.assign(stage, { width, height });
    const pen = stage.getContext("2d");
    pen.drawImage(this.video, 0, 0, width, height);
    pen.lineWidth = 3;
    pen.font = "16px system-ui, sans-serif";
    const labels = faces.map((face) => {
      drawHeatmap(pen, face);
      const [left, top, right, bottom] = face.box;
      const { label, sentence, verdict } = this.words(face);
      pen.strokeStyle = verdict === "match" ? "#56d3a5" : "#ff9d5c";
      pen.strokeRect(left, top, right - left, bottom - top);
      const wide = pen.measureText(label).width + 12;
      const below = Math.min(bottom, height - 24);
      pen.fillStyle = "rgba(14, 20, 32, 0.8)";
      pen.fillRect(left, below, wide, 24);
      pen.fillStyle = "#fff";
      pen.fillText(label, left + 6, below + 17);
      return sentence;
    });
    return labels[0] ?? "No face is in view.";
  }

  words({ bits }) {
    const [best] = nearest(bits, this.people, 1);
    if (!best) return { label: "nobody in the gallery", sentence: "The gallery is empty." };
    const { name } = best.row;
    const verdict = searchVerdict(best.distance, this.faces.model.search, this.people.length);
    const agree = `${256 - best.distance} of 256 bits agree`;
    return {
      match: { label: `${name}, ${agree}`, sentence: `Match: this looks like ${name}.`, verdict },
      unclear: {
        label: `perhaps ${name}, ${agree}`,
        sentence: `Unclear: this may be ${name}, or nobody in the gallery.`,
        verdict,
      },
      "no match": {
        label: `no match (${agree})`,
        sentence: "No match: this person looks like nobody in the gallery.",
        verdict,
      },
    }[verdict];
  }

  async remember(name) {
    if (!name || !this.stream) return;
    try {
      const picture = await createImageBitmap(this.video);
      const { width, height } = picture;
      const minFace = 0.1 * Math.max(width, height);
      const [face] = await this.faces.engine.find(picture, { minFace, most: 1 });
      if (face) {
        const photo = `camera, ${new Date().toISOString()}`;
        await this.faces.add(name, photo, await this.faces.encode(picture, face));
        this.people = await store.people();
        byId("remember-name").value = "";
      }
      picture.close();
      say("seen", face ? `Remembered as ${name}.` : "No face is in view, so nobody was added.");
    } catch ({ message }) {
      say("seen", message, "far");
    }
  }
}

/** The Gallery tab: people of this browser, and the file that they travel in. */

import * as file from "./file.js";
import * as store from "./store.js";
import { byId, element, photos, picture, plural, say } from "./words.js";

export class Gallery {
  /** @param {import("./faces.js").Faces} faces */
  constructor(faces) {
    this.faces = faces;
    const fail = ({ message }) => say("told", message, "far");
    photos(byId("enrol-photos"), (files) => this.enrol(files), fail);
    photos(byId("import"), ([chosen]) => this.receive(chosen), fail);
    byId("enrol").addEventListener("submit", (event) => event.preventDefault());
    byId("export").addEventListener("click", () => this.export().catch(fail));
    byId("clear").addEventListener("click", () => this.clear().catch(fail));
  }

  async show() {
    const people = await store.people();
    byId("album").replaceChildren(
      ...people.map(({ name, entries }) => {
        const gone = element("button", { type: "button", class: "plain" }, "Remove");
        gone.setAttribute("aria-label", `Remove ${name}`);
        gone.addEventListener("click", async () => {
          await store.remove(entries.map(({ id }) => id));
          say("told", `${name} was removed.`);
          await this.show();
        });
        return element(
          "li",
          {},
          picture(entries[0].face, ""),
          element("strong", {}, name),
          element("small", {}, plural(entries.length, "photo")),
          gone,
        );
      }),
    );
  }

  async enrol(files) {
    const given = byId("enrol-name").value.trim();
    const without = [];
    for (const [i, photo] of files.entries()) {
      say("told", `Photo ${i + 1} of ${files.length}.`);
      const name = given || photo.name.replace(/\.[^.]*$/, "").slice(0, 200);
      try {
        if (!(await this.faces.enrol(name, photo))) without.push(`${photo.name}: no face found`);
      } catch ({ message }) {
        without.push(`${photo.name}: ${message}`);
      }
    }
    const added = files.length - without.length;
    say("told", [`${plural(added, "face")} added.`, ...without].join(" "), added ? "good" : "far");
    byId("enrol-photos").value = "";
    await this.show();
  }

  async export() {
    const entries = await store.entries();
    if (!entries.length) {
      say("told", "The gallery is empty; there is nothing to export.");
      return;
    }
    const address = URL.createObjectURL(await file.written(entries));
    const link = element("a", { href: address, download: "people.jsonl" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(address), 60_000);
    say("told", `${plural(entries.length, "face")} exported.`, "good");
  }

  async receive(chosen) {
    const rows = await file.read(chosen);
    const added = await this.faces.receive(rows, (done, all) =>
      say("told", `Face ${done + 1} of ${all}.`),
    );
    byId("import").value = "";
    say("told", `${added} of ${plural(rows.length, "face")} added; the others were there.`, "good");
    await this.show();
  }

  async clear() {
    if (!window.confirm("Delete all people of this browser's gallery?")) return;
    await store.clear();
    say("told", "The gallery is empty.");
    await this.show();
  }
}

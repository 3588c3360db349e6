/** The switch "On this device" on top of the page, and what it says of where photos go. */

import { device } from "./device.js";
// Here before a tab asks for them, so that the tabs work without a connection.
import "./compare.js";
import "./live.js";
import "./search.js";

/** Fields of the page that would send a photo to the server. */
const FIELDS = '[id^="photo"], #own-photo, #files';

/** @param {HTMLElement} place */
export function mount(place) {
  const box = place.querySelector("input");
  const words = place.querySelector("[data-words]");
  const again = place.querySelector("[data-again]");

  const show = () => {
    const { obstacle } = device;
    box.checked = device.on;
    box.disabled = Boolean(obstacle);
    again.hidden = !(device.on && device.state === "failed");
    words.textContent = said(place.dataset, obstacle);
    place.dataset.state = device.on ? device.state : "off";
    const privacy = document.querySelector("#header .privacy");
    if (privacy) privacy.hidden = device.on;
  };
  device.addEventListener("change", show);
  box.addEventListener("change", () => device.turn(box.checked));
  again.addEventListener("click", () => device.load().catch(() => {}));
  if (device.remembered()) device.turn(true);
  else document.documentElement.classList.remove("on-device");
  show();
  keepPhotosHere();
}

function said({ bytes }, obstacle) {
  if (obstacle) {
    return `${obstacle.message} So photos are processed on the server.`;
  }
  if (!device.on) return "Photos are sent to this server. Turn this on to keep them here.";
  if (device.state === "failed") return device.problem;
  const live = device.setup && !device.setup.shares;
  const sent =
    `Photos stay on this device. Search sends the code of each face, ${bytes} bytes or fewer` +
    (live ? ", and so does Live, once a second at most. Compare sends nothing." :
      "; Compare and Live send nothing.");
  if (device.state === "ready") return sent;
  return `${sent} The networks are being loaded: ${Math.round(100 * device.share)}%.`;
}

/** While the switch is on, no field of the page gets a photo that it would send. */
function keepPhotosHere() {
  for (const kind of ["change", "input", "drop", "paste"]) {
    document.addEventListener(kind, (event) => {
      const file = event.target.matches?.('input[type="file"]') || kind === "drop" || kind === "paste";
      if (!device.on || !file || !event.target.closest?.(FIELDS)) return;
      event.stopImmediatePropagation();
      event.preventDefault();
    }, true);
  }
}

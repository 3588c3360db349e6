// The camera plays by itself; one frame at a time is looked at, by the engine in this browser or by
// the server's, and the next only after the answer came. So frames are dropped and never wait.
const video = element.querySelector("video");
const canvas = element.querySelector("canvas");
const words = element.querySelector('[data-live="words"]');
const start = element.querySelector('[data-live="start"]');
const stop = element.querySelector('[data-live="stop"]');
const remember = element.querySelector('[data-live="remember"]');
const strip = element.querySelector(".live-code");
const rate = element.querySelector(".rate");
const off = element.querySelector(".off");
const turn = element.querySelector('[data-live="turn"]');
const choice = element.querySelector('[data-live="engine"]');
const where = element.querySelector('[data-live="where"]');
const { base } = element.querySelector("[data-base]").dataset;
const SIDE = 640;
const QUALITY = 0.7;
const seconds = Number(element.querySelector("[data-seconds]")?.dataset.seconds ?? 120);

// Until when an answer stays, so that it can be read before the next frame's.
const TOLD = 4000;
let told = 0;
let stream = null;
let times = [];
let facing = "user";

// The engine in this browser, and whether it is used: it is unless it cannot be, or the server's was
// chosen.
let module = null;
let local = null;
let here = Boolean(base);
const loaded = base
  ? import(new URL(`${base}live.js`, document.baseURI).href).then((found) => { module = found; })
  : Promise.reject(new Error("no engine"));
const stays = () => Boolean(module?.device.on);

const PLACES = {
  here: "This browser looks at the frames, which stay here. ",
  asks: "The code of each face goes to the server, once a second at most.",
  keeps: "Nothing is sent.",
  server: "Frames go to this server one at a time, are answered and forgotten.",
};
const tell = () => {
  if (stays()) here = true;
  choice.hidden = !module || Boolean(module.device.obstacle) || stays();
  choice.textContent = here ? "Use the server's engine" : "Use this device's engine";
  const setup = module?.device.setup; // known once the networks are asked for
  const sends = setup ? PLACES[setup.shares ? "keeps" : "asks"] : "";
  where.textContent = here ? PLACES.here + sends : PLACES.server;
};
loaded.then(() => {
  module.device.addEventListener("change", () => {
    if (stays() && stream && !here) halt("The camera stopped: frames stay on this device from now on.");
    tell();
    if (stream && here && module.device.state === "loading") {
      say(`The networks are being loaded: ${Math.round(100 * module.device.share)}%.`);
    }
  });
  const { obstacle } = module.device;
  if (obstacle) {
    here = false;
    say(`${obstacle.message} So the server looks at the frames.`);
  }
}, () => {
  here = false;
  if (base) say("This browser cannot run the engine, so the server looks at the frames.");
}).then(tell);

// The engine in this browser, ready; the server's where it cannot be had, which is said.
const prepare = async () => {
  await loaded.catch(() => {});
  if (!here) return;
  try {
    await module.device.load();
    const added = (await server.added("")) ?? []; // of Gradio nothing, when the server failed
    const bytes = (text) => Uint8Array.from(text.match(/../g), (two) => parseInt(two, 16));
    local = new module.LiveEngine(added.map(([name, code]) => ({ name, code: bytes(code) })));
  } catch (problem) {
    if (stays()) throw problem;
    here = false;
    say(`${problem.message} So the server looks at the frames.`);
    told = performance.now() + TOLD;
  }
  tell();
};

const say = (text, tone = "") => {
  if (words.textContent !== text) words.textContent = text;
  words.className = `say ${tone}`;
};

const grab = document.createElement("canvas");
const picture = () => {
  const scale = Math.min(1, SIDE / Math.max(video.videoWidth, video.videoHeight));
  grab.width = Math.round(video.videoWidth * scale);
  grab.height = Math.round(video.videoHeight * scale);
  grab.getContext("2d").drawImage(video, 0, 0, grab.width, grab.height);
  return grab.toDataURL("image/jpeg", QUALITY);
};

const load = (source) => new Promise((done) => {
  const image = new Image();
  image.onload = () => done(image);
  image.onerror = () => done(null);
  image.src = source;
});

const draw = async (answer, mine) => {
  const heats = await Promise.all(
    answer.faces.map((face) => (typeof face.heat === "string" ? load(face.heat) : face.heat)),
  );
  if (stream !== mine) return; // stopped meanwhile
  canvas.width = answer.width;
  canvas.height = answer.height;
  const pen = canvas.getContext("2d");
  answer.faces.forEach((face, i) => {
    if (heats[i]) {
      pen.save();
      pen.setTransform(...face.matrix);
      pen.beginPath();
      pen.ellipse(0.5, 0.5, 0.5, 0.5, 0, 0, 2 * Math.PI);
      pen.clip();
      pen.globalAlpha = 0.45;
      pen.drawImage(heats[i], 0, 0, 1, 1);
      pen.restore();
    }
    const [x0, y0, x1, y1] = face.box;
    pen.lineWidth = 5;
    pen.strokeStyle = "rgba(0, 0, 0, 0.6)";
    pen.strokeRect(x0, y0, x1 - x0, y1 - y0);
    pen.lineWidth = 2.5;
    pen.setLineDash(face.same ? [] : [8, 5]);
    pen.strokeStyle = "#ffffff";
    pen.strokeRect(x0, y0, x1 - x0, y1 - y0);
    pen.setLineDash([]);
    const size = Math.max(14, answer.width / 40);
    pen.font = `600 ${size}px system-ui, sans-serif`;
    const wide = pen.measureText(face.label).width + 12;
    const left = Math.max(0, Math.min(x0, answer.width - wide));
    const top = y0 > size * 1.7 ? y0 - size * 1.7 : y1 + 3;
    pen.fillStyle = "rgba(0, 0, 0, 0.75)";
    pen.fillRect(left, top, wide, size * 1.55);
    pen.fillStyle = "#ffffff";
    pen.fillText(face.label, left + 6, top + size * 1.1);
  });
};

// The code of the largest face as a barcode, 64 bits a row: it flickers as the face moves.
const bars = (face) => {
  strip.hidden = !face;
  if (!face) return;
  const rows = Math.ceil(face.code.length / 64);
  strip.width = 64 * 8;
  strip.height = rows * 30;
  const pen = strip.getContext("2d");
  pen.fillStyle = getComputedStyle(strip).color;
  [...face.code].forEach((bit, i) => {
    pen.globalAlpha = bit === "1" ? 1 : 0.1;
    pen.fillRect(8 * (i % 64), 30 * Math.floor(i / 64), 6, 26);
  });
};

const halt = (text, tone) => {
  stream?.getTracks().forEach((track) => track.stop());
  stream = null;
  video.srcObject = null;
  canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
  off.hidden = false;
  stop.hidden = true;
  remember.hidden = true;
  turn.hidden = true;
  bars(null);
  start.hidden = false;
  rate.textContent = "";
  say(text, tone);
};

const loop = async (mine) => {
  const until = performance.now() + 1000 * seconds;
  times = [];
  let next = null; // the frame that this device looks at while the one before is drawn
  while (stream === mine) {
    if (!here && performance.now() > until) {
      halt(`The camera stopped after ${seconds} seconds, to leave the server to others. Start it again whenever you like.`);
      return;
    }
    if (document.hidden || !element.offsetParent) {
      halt("The camera stopped because the page was left.");
      return;
    }
    if (!video.videoWidth) {
      await new Promise(requestAnimationFrame);
      continue;
    }
    let answer;
    const mineHere = here;
    try {
      answer = mineHere ? await (next ?? local.frame(video)) : await server.frame(picture());
    } catch (problem) {
      if (stream !== mine) return;
      halt(mineHere ? problem.message : "The server did not answer. Start the camera again.", "bad");
      return;
    }
    if (stream !== mine) return;
    next = mineHere && here ? local.frame(video) : null;
    next?.catch(() => {}); // told when it is awaited, if it still is
    if (answer.busy) {
      say("Somebody else is live; frames are skipped until there is room.");
      await new Promise((done) => setTimeout(done, 60));
      continue;
    }
    if (answer.error) {
      say(answer.error, "bad");
      await new Promise((done) => setTimeout(done, 250));
      continue;
    }
    await draw(answer, mine);
    if (stream !== mine) return;
    bars(answer.faces[0]);
    const now = performance.now();
    times = [...times.filter((t) => now - t < 2000), now];
    if (times.length > 1) {
      const each = (now - times[0]) / (times.length - 1);
      const place = mineHere ? "on this device" : `${answer.milliseconds} ms each on the server`;
      rate.textContent = `${(1000 / each).toFixed(1)} frames a second, ${place}`;
    }
    if (performance.now() < told) continue;
    // No numbers: a distance that changes with every frame would never let a screen reader rest.
    const labels = answer.faces.map((face) => face.sentence);
    say(
      labels.length ? labels.join(" ") : "No face is in view.",
      answer.faces.some((face) => face.same) ? "good" : labels.length ? "far" : "",
    );
  }
};

// Another camera, or the same one after it was let go.
const film = async () => {
  const next = await navigator.mediaDevices.getUserMedia({
    video: { width: { ideal: 640 }, height: { ideal: 480 }, facingMode: facing },
  });
  next.getVideoTracks()[0].addEventListener("ended", () => {
    if (stream === next) halt("The camera was taken away. Start it again when it is back.", "bad");
  });
  stream = next;
  video.srcObject = next;
  await video.play();
};
// A phone that is turned gives another shape of picture.
video.addEventListener("resize", () => {
  element.querySelector(".screen").style.aspectRatio = `${video.videoWidth} / ${video.videoHeight}`;
  element.querySelector(".screen").style.setProperty("--ratio", video.videoWidth / video.videoHeight);
});

const REFUSALS = {
  NotAllowedError: "The camera was refused. Allow it in the browser's settings of this page.",
  NotFoundError: "No camera was found on this device.",
  NotReadableError: "Another program uses the camera. Close it, then start the camera again.",
};
const open = async () => {
  if (!navigator.mediaDevices) {
    say("The camera cannot be used: open the page by https.", "bad");
    return;
  }
  start.disabled = true;
  try {
    await film();
  } catch (problem) {
    halt(REFUSALS[problem.name] ?? "The camera cannot be used.", "bad");
    return;
  } finally {
    start.disabled = false;
  }
  const mine = stream;
  off.hidden = true;
  start.hidden = true;
  stop.hidden = false;
  remember.hidden = false;
  const cameras = await navigator.mediaDevices.enumerateDevices();
  turn.hidden = cameras.filter(({ kind }) => kind === "videoinput").length < 2;
  try {
    await prepare();
  } catch (problem) {
    if (stream === mine) halt(problem.message, "bad");
    return;
  }
  if (stream === mine) loop(mine);
};

element.addEventListener("click", async (event) => {
  const action = event.target.closest("[data-live]")?.dataset.live;
  if (action === "stop") halt("The camera is off.");
  if (action === "remember" && stream) {
    remember.disabled = true;
    try {
      say(here ? await local.remember(video) : await server.remember(picture()));
    } catch (problem) {
      say("The server did not answer. Try again.", "bad");
    }
    told = performance.now() + TOLD;
    remember.disabled = false;
  }
  if (action === "turn") {
    facing = facing === "user" ? "environment" : "user";
    halt("The camera is off.");
    await open();
  }
  if (action === "engine") {
    const running = Boolean(stream);
    halt("The camera is off.");
    here = !here;
    tell();
    if (running) await open();
  }
  if (action === "start") await open();
});

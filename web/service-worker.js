/**
 * Keeps the page's files, so that it works without a connection once it was loaded. The build
 * writes `files.json`, with a version that changes with any of them.
 */

const PREFIX = "daah-";

async function filled() {
  const response = await fetch("files.json", { cache: "no-store" });
  const { version, files } = await response.json();
  const cache = await caches.open(PREFIX + version);
  await cache.addAll(files);
  for (const name of await caches.keys()) {
    if (name.startsWith(PREFIX) && name !== PREFIX + version) await caches.delete(name);
  }
}

self.addEventListener("install", (event) => {
  self.skipWaiting();
  event.waitUntil(filled());
});

self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("fetch", (event) => {
  const address = new URL(event.request.url);
  if (event.request.method !== "GET" || address.origin !== self.location.origin) return;
  const wanted = event.request.mode === "navigate" ? "./" : event.request;
  event.respondWith(
    caches.match(wanted, { ignoreSearch: true }).then((kept) => kept ?? fetch(event.request)),
  );
});

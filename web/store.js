/**
 * The gallery of this browser, in IndexedDB.
 *
 * @typedef {object} Entry
 * @property {number} [id]
 * @property {string} person
 * @property {string} photo
 * @property {Float32Array} logits
 * @property {string} model  fingerprint of the model that gave the logits
 * @property {Blob} face  the aligned face as a JPEG file
 *
 * @typedef {object} Person
 * @property {string} name
 * @property {Entry[]} entries
 * @property {Uint8Array} code
 */

import { template } from "./engine/codes.js";

const NAME = "daah";
const STORE = "faces";

/** @returns {Promise<IDBDatabase>} */
function database() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () =>
      request.result.createObjectStore(STORE, { keyPath: "id", autoIncrement: true });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(new Error("This browser does not let the page keep a gallery."));
  });
}

/** Do something with the stored faces; resolves when it is on the disk. */
async function using(mode, work) {
  const opened = await database();
  try {
    return await new Promise((resolve, reject) => {
      const transaction = opened.transaction(STORE, mode);
      const request = work(transaction.objectStore(STORE));
      transaction.oncomplete = () => resolve(request?.result);
      transaction.onerror = () =>
        reject(new Error("This browser's storage is full; the face was not added."));
      transaction.onabort = transaction.onerror;
    });
  } finally {
    opened.close();
  }
}

/** @returns {Promise<Entry[]>} */
export const entries = () => using("readonly", (store) => store.getAll());

/** @param {Entry[]} added  of which one replaces an entry of the same id */
export const put = (added) =>
  using("readwrite", (store) => {
    for (const entry of added) store.put(entry);
  });

/** @param {number[]} ids */
export const remove = (ids) =>
  using("readwrite", (store) => {
    for (const id of ids) store.delete(id);
  });

export const clear = () => using("readwrite", (store) => store.clear());

/**
 * People with the code of each, by name.
 * @returns {Promise<Person[]>}
 */
export async function people() {
  const byName = Map.groupBy
    ? Map.groupBy(await entries(), ({ person }) => person)
    : grouped(await entries());
  return [...byName]
    .map(([name, held]) => ({
      name,
      entries: held,
      code: template(held.map(({ logits }) => logits)),
    }))
    .sort((a, b) => a.name.localeCompare(b.name));
}

function grouped(held) {
  const groups = new Map();
  for (const entry of held) groups.set(entry.person, [...(groups.get(entry.person) ?? []), entry]);
  return groups;
}

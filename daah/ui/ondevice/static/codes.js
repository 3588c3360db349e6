/** Codes of eight bits per byte, as the server's `daah/codes.py` packs and compares them. */

const ONES = Uint8Array.from({ length: 256 }, (_, value) => {
  let count = 0;
  for (let rest = value; rest; rest >>= 1) count += rest & 1;
  return count;
});

/**
 * @param {ArrayLike<number>} logits
 * @returns {Uint8Array} their signs, packed
 */
export function packed(logits) {
  const out = new Uint8Array(Math.ceil(logits.length / 8));
  for (let i = 0; i < logits.length; i += 1) {
    if (logits[i] > 0) out[i >> 3] |= 128 >> (i & 7);
  }
  return out;
}

/**
 * @param {Uint8Array} code
 * @returns {string} lower-case hexadecimal digits
 */
export function toHex(code) {
  return Array.from(code, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * @param {Uint8Array} a
 * @param {Uint8Array} b
 * @returns {number} of bits that differ
 */
export function hamming(a, b) {
  let differ = 0;
  for (let i = 0; i < a.length; i += 1) differ += ONES[a[i] ^ b[i]];
  return differ;
}

/**
 * The code of a person with several photos: the signs of the mean of their logits.
 * @param {Float32Array[]} logits
 * @returns {Uint8Array}
 */
export function template(logits) {
  return packed(logits[0].map((_, i) => logits.reduce((sum, row) => sum + row[i], 0)));
}

/**
 * The nearest of some codes.
 * @template {{code: Uint8Array}} T
 * @param {Uint8Array} code
 * @param {T[]} rows
 * @param {number} most
 * @returns {{row: T, distance: number}[]} the nearest first; of equals, in the order given
 */
export function nearest(code, rows, most) {
  const found = rows.map((row) => ({ row, distance: hamming(code, row.code) }));
  return found.sort((a, b) => a.distance - b.distance).slice(0, most);
}

/**
 * What a distance says, by the model's calibration, as the server's `daah/models/calibration.py`.
 *
 * @typedef {object} SearchLimits
 * @property {number[]} limits  largest distance of a match among 2^0, 2^1 … 2^30 people
 * @property {number} mated  distance that one in twenty photos of an enrolled person exceeds
 *
 * @typedef {object} PairLimits
 * @property {number} threshold  largest distance of a pair that counts as the same person
 * @property {number[]} probability  of the same person, by distance, for even odds beforehand
 */

/**
 * @param {SearchLimits} search
 * @param {number} people  who are searched
 * @returns {number} largest distance of a match, -1 if there is none
 */
export function searchLimit({ limits }, people) {
  const place = Math.min(Math.log2(Math.max(people, 1)), limits.length - 1);
  const low = Math.trunc(place);
  const high = Math.min(low + 1, limits.length - 1);
  if (limits[high] < 0) return place === low ? limits[low] : -1;
  return limits[low] + (place - low) * (limits[high] - limits[low]);
}

/**
 * @param {number} distance  to the nearest person
 * @param {SearchLimits} search
 * @param {number} people  who are searched
 * @returns {"match" | "unclear" | "no match"}
 */
export function searchVerdict(distance, search, people) {
  const limit = searchLimit(search, people);
  if (distance <= limit) return "match";
  return distance <= Math.max(search.mated, limit) ? "unclear" : "no match";
}

/**
 * @param {number} distance  of a pair
 * @param {PairLimits} pair
 * @returns {"same" | "undecided" | "different"}
 */
export function pairVerdict(distance, pair) {
  if (distance <= pair.threshold) return "same";
  return pair.probability[distance] >= 0.5 ? "undecided" : "different";
}

/**
 * The gallery as a file of JSON Lines that `daah gallery import` reads too: a line that says what
 * the file is, then a face per line with the aligned picture that its code is computed from.
 */

/** What the first line says. */
const KIND = { format: "daah faces", version: 1 };

/** Characters of a line, and faces of a file, at most. */
const LONGEST_LINE = 2_000_000;
const MOST_FACES = 20_000;

/**
 * @param {import("./store.js").Entry[]} entries
 * @returns {Promise<Blob>}
 */
export async function written(entries) {
  const lines = [JSON.stringify(KIND)];
  for (const { person, photo, face } of entries) {
    lines.push(JSON.stringify({ person, photo, face: await base64(face) }));
  }
  return new Blob(lines.map((line) => `${line}\n`), { type: "application/jsonl" });
}

/**
 * @param {Blob} file
 * @returns {Promise<{person: string, photo: string, face: Blob}[]>}
 * @throws {Error} with a sentence that names the line
 */
export async function read(file) {
  const lines = (await file.text()).split("\n").filter((line) => line.trim());
  const head = parsed(lines.shift() ?? "", 1);
  if (head.format !== KIND.format || head.version !== KIND.version) {
    throw new Error("This is not a file of faces that this page exported.");
  }
  if (lines.length > MOST_FACES) {
    throw new Error(`The file holds ${lines.length} faces; at most ${MOST_FACES} are read.`);
  }
  return lines.map((line, i) => {
    const { person, photo, face } = parsed(line, i + 2);
    const texts = [person, photo, face];
    if (!texts.every((text) => typeof text === "string" && text.trim())) {
      throw new Error(`Line ${i + 2} lacks a person, a photo or a face.`);
    }
    if (person.length > 200 || photo.length > 200) {
      throw new Error(`Line ${i + 2} has a name of more than 200 characters.`);
    }
    return { person: person.trim(), photo: photo.trim(), face: jpeg(face, i + 2) };
  });
}

function parsed(line, number) {
  if (line.length > LONGEST_LINE) throw new Error(`Line ${number} is longer than 2 MB.`);
  try {
    const value = JSON.parse(line);
    if (value && typeof value === "object") return value;
  } catch {
    // said below
  }
  throw new Error(`Line ${number} of the file is not a JSON object.`);
}

function jpeg(text, number) {
  try {
    const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
    return new Blob([bytes], { type: "image/jpeg" });
  } catch {
    throw new Error(`The face of line ${number} is not base64.`);
  }
}

function base64(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => reject(new Error("A stored face cannot be read."));
    reader.readAsDataURL(blob);
  });
}

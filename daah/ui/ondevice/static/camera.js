/** The camera: opened with a sentence for whatever keeps it from opening. */

/**
 * @param {"user" | "environment"} facing
 * @returns {Promise<MediaStream>}
 * @throws {Error} with a sentence
 */
export async function opened(facing = "user") {
  if (!navigator.mediaDevices) {
    throw new Error("The camera cannot be used: open the page by https.");
  }
  try {
    return await navigator.mediaDevices.getUserMedia({
      video: { width: { ideal: 640 }, height: { ideal: 480 }, facingMode: facing },
    });
  } catch (problem) {
    const words = {
      NotAllowedError: "The camera was refused. Allow it in the browser's settings of this page.",
      NotFoundError: "No camera was found on this device.",
      NotReadableError: "Another program uses the camera. Close it, then start the camera again.",
    };
    throw new Error(words[problem.name] ?? "The camera cannot be used.");
  }
}

/** Whether there is more than one camera to choose from. */
export async function several() {
  const devices = await navigator.mediaDevices.enumerateDevices();
  return devices.filter(({ kind }) => kind === "videoinput").length > 1;
}

/** @param {MediaStream | null} stream */
export function closed(stream) {
  stream?.getTracks().forEach((track) => track.stop());
}

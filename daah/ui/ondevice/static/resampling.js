/**
 * Pictures of bytes, and resizing of them by the arithmetic of Pillow, which the server resizes by:
 * coefficients of 22 bits, first along rows, then along columns, rounded to bytes after each.
 *
 * @typedef {object} Picture
 * @property {Uint8Array | Uint8ClampedArray} data  rows from the top, `step` bytes per pixel
 * @property {number} width
 * @property {number} height
 * @property {3 | 4} step  3 for RGB; 4 for RGBA, whose alpha is not read
 */

/** @typedef {[number, number, number, number]} Box  left, top, right, bottom */

const PRECISION = 22;
const ROUNDING = 1 << (PRECISION - 1);

const FILTERS = {
  box: { support: 0.5, weight: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) },
  bicubic: { support: 2, weight: cubic },
  lanczos: { support: 3, weight: (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
};

function cubic(x) {
  const a = -0.5;
  x = Math.abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

function sinc(x) {
  if (x === 0) return 1;
  return Math.sin(x * Math.PI) / (x * Math.PI);
}

/**
 * @param {number} width
 * @param {number} height
 * @returns {Picture} RGB, black
 */
export function blank(width, height) {
  return { data: new Uint8Array(width * height * 3), width, height, step: 3 };
}

/**
 * Weights of the pixels that each pixel of a resized line is made of.
 * @param {number} length  of the line
 * @param {number} from  where the part begins
 * @param {number} to  where it ends
 * @param {number} count  pixels of the resized line
 * @param {{support: number, weight: (x: number) => number}} filter
 * @returns {{size: number, first: Int32Array, many: Int32Array, weights: Int32Array}}
 */
function coefficients(length, from, to, count, filter) {
  const scale = Math.fround(to - from) / count;
  const stretch = Math.max(scale, 1);
  const support = filter.support * stretch;
  const size = Math.ceil(support) * 2 + 1;
  const first = new Int32Array(count);
  const many = new Int32Array(count);
  const weights = new Int32Array(count * size);
  const line = new Float64Array(size);
  for (let i = 0; i < count; i += 1) {
    const centre = from + (i + 0.5) * scale;
    const low = Math.max(Math.trunc(centre - support + 0.5), 0);
    const high = Math.min(Math.trunc(centre + support + 0.5), length);
    let total = 0;
    for (let k = 0; k < high - low; k += 1) {
      line[k] = filter.weight((k + low - centre + 0.5) * (1 / stretch));
      total += line[k];
    }
    for (let k = 0; k < high - low; k += 1) {
      const share = (total === 0 ? line[k] : line[k] / total) * (1 << PRECISION);
      weights[i * size + k] = Math.trunc(share < 0 ? share - 0.5 : share + 0.5);
    }
    first[i] = low;
    many[i] = high - low;
  }
  return { size, first, many, weights };
}

function clipped(sum) {
  const value = sum >> PRECISION;
  return value < 0 ? 0 : value > 255 ? 255 : value;
}

/**
 * Resize a part of a picture, as `PIL.Image.resize` does.
 * @param {Picture} picture
 * @param {number} width  of the result
 * @param {number} height  of the result
 * @param {"box" | "bicubic" | "lanczos"} name
 * @param {Box} [box]  the part, in pixels, by default the whole
 * @param {Uint8Array} [out]  where to put the pixels, by default a new array
 * @returns {Picture} RGB
 */
export function resize(picture, width, height, name, box, out) {
  const part = box ? box.map(Math.fround) : [0, 0, picture.width, picture.height];
  const filter = FILTERS[name];
  const result = out ?? new Uint8Array(width * height * 3);
  const wide = width !== picture.width || part[0] !== 0 || part[2] !== width;
  const tall = height !== picture.height || part[1] !== 0 || part[3] !== height;
  if (!wide && !tall) {
    copyRows(picture, result);
  } else if (!tall) {
    alongRows(picture, 0, height, width, part, filter, result);
  } else {
    const rows = coefficients(picture.height, part[1], part[3], height, filter);
    if (!wide) {
      alongColumns(picture.data, picture.step, width, height, rows, 0, result);
    } else {
      const low = rows.first[0];
      const high = rows.first[height - 1] + rows.many[height - 1];
      const between = scratch((high - low) * width * 3);
      alongRows(picture, low, high, width, part, filter, between);
      alongColumns(between, 3, width, height, rows, low, result);
    }
  }
  return { data: result, width, height, step: 3 };
}

/** Memory between the two passes, which is kept from one call to the next. */
let kept = new Uint8Array(0);

function scratch(size) {
  if (kept.length < size) kept = new Uint8Array(size);
  return kept;
}

function copyRows(picture, out) {
  const { data, step } = picture;
  const count = picture.width * picture.height;
  if (step === 3) {
    out.set(data.subarray(0, 3 * count));
    return;
  }
  for (let i = 0, from = 0, to = 0; i < count; i += 1, from += 4, to += 3) {
    out[to] = data[from];
    out[to + 1] = data[from + 1];
    out[to + 2] = data[from + 2];
  }
}

function alongRows(picture, low, high, width, part, filter, out) {
  const { data, step } = picture;
  const stride = picture.width * step;
  const { size, first, many, weights } = coefficients(
    picture.width, part[0], part[2], width, filter,
  );
  let to = 0;
  for (let y = low; y < high; y += 1) {
    for (let x = 0; x < width; x += 1) {
      let from = y * stride + first[x] * step;
      let red = ROUNDING;
      let green = ROUNDING;
      let blue = ROUNDING;
      const end = x * size + many[x];
      for (let k = x * size; k < end; k += 1, from += step) {
        const weight = weights[k];
        red += data[from] * weight;
        green += data[from + 1] * weight;
        blue += data[from + 2] * weight;
      }
      out[to] = clipped(red);
      out[to + 1] = clipped(green);
      out[to + 2] = clipped(blue);
      to += 3;
    }
  }
}

function alongColumns(data, step, width, height, rows, low, out) {
  const { size, first, many, weights } = rows;
  const stride = width * step;
  let to = 0;
  for (let y = 0; y < height; y += 1) {
    const top = (first[y] - low) * stride;
    const begin = y * size;
    const count = many[y];
    for (let x = 0; x < width; x += 1) {
      let from = top + x * step;
      let red = ROUNDING;
      let green = ROUNDING;
      let blue = ROUNDING;
      for (let k = 0; k < count; k += 1, from += stride) {
        const weight = weights[begin + k];
        red += data[from] * weight;
        green += data[from + 1] * weight;
        blue += data[from + 2] * weight;
      }
      out[to] = clipped(red);
      out[to + 1] = clipped(green);
      out[to + 2] = clipped(blue);
      to += 3;
    }
  }
}

/**
 * Average blocks of pixels, as `PIL.Image.reduce` does; blocks at the right and lower border may
 * be smaller.
 * @param {Picture} picture
 * @param {number} across  pixels of a block along a row
 * @param {number} [down]  along a column, by default as many
 * @returns {Picture} RGB
 */
export function reduce(picture, across, down = across) {
  const { data, step, width, height } = picture;
  const result = blank(Math.ceil(width / across), Math.ceil(height / down));
  const out = result.data;
  let to = 0;
  for (let y = 0; y < height; y += down) {
    const below = Math.min(y + down, height);
    for (let x = 0; x < width; x += across) {
      const right = Math.min(x + across, width);
      const pixels = (below - y) * (right - x);
      let red = Math.trunc(pixels / 2);
      let green = red;
      let blue = red;
      for (let row = y; row < below; row += 1) {
        let from = (row * width + x) * step;
        for (let column = x; column < right; column += 1, from += step) {
          red += data[from];
          green += data[from + 1];
          blue += data[from + 2];
        }
      }
      const share = Math.floor(2 ** 24 / pixels);
      out[to] = Math.floor((red * share) / 2 ** 24);
      out[to + 1] = Math.floor((green * share) / 2 ** 24);
      out[to + 2] = Math.floor((blue * share) / 2 ** 24);
      to += 3;
    }
  }
  return result;
}

/**
 * A part of a picture, which may exceed it.
 * @param {Picture} picture
 * @param {Box} box  whole numbers
 * @param {number} [fill]  value of the pixels beyond the picture
 * @returns {Picture} RGB
 */
export function cut(picture, [left, top, right, bottom], fill = 0) {
  const { data, step } = picture;
  const result = blank(right - left, bottom - top);
  const out = result.data;
  if (fill) out.fill(fill);
  const from = Math.max(left, 0);
  const to = Math.min(right, picture.width);
  for (let y = Math.max(top, 0); y < Math.min(bottom, picture.height); y += 1) {
    let source = (y * picture.width + from) * step;
    let target = ((y - top) * result.width + from - left) * 3;
    for (let x = from; x < to; x += 1, source += step, target += 3) {
      out[target] = data[source];
      out[target + 1] = data[source + 1];
      out[target + 2] = data[source + 2];
    }
  }
  return result;
}

/**
 * A picture with borders of which each repeats the pixels at the edge.
 * @param {Picture} picture
 * @param {number} border  width in pixels
 * @returns {Picture} RGB
 */
export function extended(picture, border) {
  const { data, step, width, height } = picture;
  const result = blank(width + 2 * border, height + 2 * border);
  const out = result.data;
  let to = 0;
  for (let y = -border; y < height + border; y += 1) {
    const row = Math.min(Math.max(y, 0), height - 1) * width;
    for (let x = -border; x < width + border; x += 1, to += 3) {
      const from = (row + Math.min(Math.max(x, 0), width - 1)) * step;
      out[to] = data[from];
      out[to + 1] = data[from + 1];
      out[to + 2] = data[from + 2];
    }
  }
  return result;
}

/**
 * Shrink a picture whose longer side exceeds `most`, as the server's `daah.images.shrink` does.
 * @param {Picture} picture
 * @param {number} most  longest side of the result
 * @returns {Picture} the picture itself if it fits, else RGB
 */
export function shrink(picture, most) {
  const longer = Math.max(picture.width, picture.height);
  if (longer <= most) return picture;
  const width = Math.max(1, roundEven((picture.width * most) / longer));
  const height = Math.max(1, roundEven((picture.height * most) / longer));
  const across = Math.trunc(picture.width / width / 2) || 1;
  const down = Math.trunc(picture.height / height / 2) || 1;
  if (across === 1 && down === 1) return resize(picture, width, height, "lanczos");
  const reduced = reduce(picture, across, down);
  const part = [0, 0, picture.width / across, picture.height / down];
  return resize(reduced, width, height, "lanczos", part);
}

/**
 * @param {number} value
 * @returns {number} the nearest whole number; the even one of two
 */
export function roundEven(value) {
  const low = Math.floor(value);
  const rest = value - low;
  if (rest !== 0.5) return Math.round(value);
  return low % 2 === 0 ? low : low + 1;
}

// LIKE in linear time: the pattern is cut at its `%` into pieces of fixed length. The first and the last piece are anchored, each one
// between is looked for once, leftmost, behind the one before: no other choice could succeed where this one fails.
//
// `_` stands for one character, which may be two UTF-16 code units.

const anyOne = -1;

/** Code points; `anyOne` for `_`. */
type Piece = {
  readonly points: readonly number[];
  /** The same as text when it has no `_`. */
  readonly text: string | undefined;
  /** For each code point of it, the places where it may stand, a bit a place; under `anyOne`: those of all others. */
  readonly places: ReadonlyMap<number, Uint32Array> | undefined;
};

export type LikePattern = {
  /** More than one: there is a `%` between each two. */
  readonly pieces: readonly Piece[];
};

/** Undefined when the escape character stands last. */
export function likePattern(text: string, escape: string | undefined): LikePattern | undefined {
  const pieces: number[][] = [[]];
  const mark = escape?.codePointAt(0);
  let escaped = false;
  for (const character of text) {
    const point = character.codePointAt(0)!;
    if (!escaped && point === mark) {
      escaped = true;
      continue;
    }
    if (!escaped && character === '%') pieces.push([]);
    else pieces.at(-1)!.push(!escaped && character === '_' ? anyOne : point);
    escaped = false;
  }
  if (escaped) return undefined;
  return { pieces: pieces.map((points) => piece(points)) };
}

function piece(points: readonly number[]): Piece {
  if (!points.includes(anyOne)) return { points, text: String.fromCodePoint(...points), places: undefined };
  return { points, text: undefined, places: placesOf(points) };
}

export function isLike({ pieces }: LikePattern, value: string): boolean {
  const first = pieces[0]!;
  let at = prefixEnd(first, value);
  if (pieces.length === 1) return at === value.length;
  if (at === -1) return false;
  for (let i = 1; i < pieces.length - 1; i++) {
    at = foundEnd(pieces[i]!, value, at);
    if (at === -1) return false;
  }
  const begin = suffixBegin(pieces.at(-1)!, value);
  return begin !== -1 && begin >= at;
}

/** Where the piece ends that `value` begins with; -1: it does not. */
function prefixEnd({ text, points }: Piece, value: string): number {
  if (text !== undefined) return value.startsWith(text) ? text.length : -1;
  let at = 0;
  for (const wanted of points) {
    const point = value.codePointAt(at);
    if (point === undefined || (wanted !== anyOne && point !== wanted)) return -1;
    at += width(point);
  }
  return at;
}

/** Where the piece begins that `value` ends with; -1: it does not. */
function suffixBegin({ text, points }: Piece, value: string): number {
  if (text !== undefined) return value.endsWith(text) ? value.length - text.length : -1;
  let at = value.length;
  for (let i = points.length - 1; i >= 0; i--) {
    if (at === 0) return -1;
    at -= at >= 2 && value.codePointAt(at - 2)! > 0xffff ? 2 : 1;
    const wanted = points[i]!;
    if (wanted !== anyOne && value.codePointAt(at) !== wanted) return -1;
  }
  return at;
}

/** Where the leftmost occurrence at or behind `from` ends; -1: there is none. */
function foundEnd({ text, points, places }: Piece, value: string, from: number): number {
  if (text !== undefined) {
    const at = value.indexOf(text, from);
    return at === -1 ? -1 : at + text.length;
  }
  // Shift-and: bit i of `running` says that what was just read ends a match of the first i + 1 code points.
  const others = places!.get(anyOne)!;
  const running = new Uint32Array(others.length);
  const last = points.length - 1;
  for (let at = from; at < value.length;) {
    const point = value.codePointAt(at)!;
    at += width(point);
    const mask = places!.get(point) ?? others;
    let carry = 1;
    for (let word = 0; word < running.length; word++) {
      const shifted = (running[word]! << 1) | carry;
      carry = running[word]! >>> 31;
      running[word] = shifted & mask[word]!;
    }
    if ((running[last >>> 5]! >>> (last & 31)) & 1) return at;
  }
  return -1;
}

function placesOf(points: readonly number[]): ReadonlyMap<number, Uint32Array> {
  const places = new Map<number, Uint32Array>();
  const others = new Uint32Array((points.length + 31) >>> 5);
  for (const [i, point] of points.entries()) if (point === anyOne) others[i >>> 5]! |= 1 << (i & 31);
  places.set(anyOne, others);
  for (const [i, point] of points.entries()) {
    if (point === anyOne) continue;
    let own = places.get(point);
    if (own === undefined) places.set(point, (own = others.slice()));
    own[i >>> 5]! |= 1 << (i & 31);
  }
  return places;
}

function width(point: number): number {
  return point > 0xffff ? 2 : 1;
}

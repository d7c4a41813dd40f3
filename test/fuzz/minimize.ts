// Makes a failing input small: takes pieces away, then makes bytes plain, as long as it still fails in the same way.

/** `fails` says whether an input fails in the way that is looked at. `maxRuns` bounds the work. */
export function minimize(input: Uint8Array, fails: (input: Uint8Array) => boolean, maxRuns = 5000): Uint8Array {
  let best = input;
  let runs = 0;
  const take = (candidate: Uint8Array): boolean => {
    if (runs >= maxRuns) return false;
    runs++;
    if (!fails(candidate)) return false;
    best = candidate;
    return true;
  };
  for (let before = Infinity; best.length < before;) {
    before = best.length;
    removePieces(() => best, take);
    shortenCounted(() => best, take);
  }
  makePlain(() => best, take);
  return best;
}

type Take = (candidate: Uint8Array) => boolean;

function removePieces(best: () => Uint8Array, take: Take): void {
  for (let size = 2 ** Math.floor(Math.log2(Math.max(1, best().length))); size >= 1; size >>= 1) {
    for (let at = 0; at < best().length;) if (!take(without(best(), at, size))) at += size;
  }
}

/** Takes bytes away together with the length in front that counts them. */
function shortenCounted(best: () => Uint8Array, take: Take): void {
  for (let at = 0; at < best().length; at++) {
    const length = best()[at]!;
    if (at + length >= best().length) continue;
    for (const shorter of new Set([0, length >> 1, length - 1])) {
      if (shorter < 0 || shorter >= length) continue;
      const candidate = without(best(), at + 1 + shorter, length - shorter);
      candidate[at] = shorter;
      if (take(candidate)) break;
    }
  }
}

function makePlain(best: () => Uint8Array, take: Take): void {
  for (let at = 0; at < best().length; at++) {
    for (const plain of [0x00, 0x61]) {
      if (best()[at] === plain) break;
      const candidate = new Uint8Array(best()); // a copy, also of a Buffer
      candidate[at] = plain;
      if (take(candidate)) break;
    }
  }
}

function without(bytes: Uint8Array, at: number, count: number): Uint8Array {
  return new Uint8Array(Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + count)]));
}

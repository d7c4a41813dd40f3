// Makes a failing input small: takes pieces away, then makes bytes plain, as long as it still fails in the same way.

/** `fails` says whether an input fails in the way that is looked at. `maxRuns` bounds the work. */
export async function minimize(
  input: Uint8Array,
  fails: (input: Uint8Array) => boolean | Promise<boolean>,
  maxRuns = 5000,
): Promise<Uint8Array> {
  let best = input;
  let runs = 0;
  const take = async (candidate: Uint8Array): Promise<boolean> => {
    if (runs >= maxRuns) return false;
    runs++;
    if (!(await fails(candidate))) return false;
    best = candidate;
    return true;
  };
  for (let before = Infinity; best.length < before;) {
    before = best.length;
    await removePieces(() => best, take);
    await shortenCounted(() => best, take);
  }
  await makePlain(() => best, take);
  return best;
}

type Take = (candidate: Uint8Array) => Promise<boolean>;

async function removePieces(best: () => Uint8Array, take: Take): Promise<void> {
  for (let size = 2 ** Math.floor(Math.log2(Math.max(1, best().length))); size >= 1; size >>= 1) {
    for (let at = 0; at < best().length;) if (!(await take(without(best(), at, size)))) at += size;
  }
}

/** Takes bytes away together with the length in front that counts them. */
async function shortenCounted(best: () => Uint8Array, take: Take): Promise<void> {
  for (let at = 0; at < best().length; at++) {
    const length = best()[at]!;
    if (at + length >= best().length) continue;
    for (const shorter of new Set([0, length >> 1, length - 1])) {
      if (shorter < 0 || shorter >= length) continue;
      const candidate = without(best(), at + 1 + shorter, length - shorter);
      candidate[at] = shorter;
      if (await take(candidate)) break;
    }
  }
}

async function makePlain(best: () => Uint8Array, take: Take): Promise<void> {
  for (let at = 0; at < best().length; at++) {
    for (const plain of [0x00, 0x61]) {
      if (best()[at] === plain) break;
      const candidate = new Uint8Array(best()); // a copy, also of a Buffer
      candidate[at] = plain;
      if (await take(candidate)) break;
    }
  }
}

function without(bytes: Uint8Array, at: number, count: number): Uint8Array {
  return new Uint8Array(Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + count)]));
}

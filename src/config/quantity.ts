// Sizes and spans as people write them: `16MiB`, `30s`. The number alone is always in the unit that the setting's name ends in.

const millisecondsPer: Readonly<Record<string, number>> = { ms: 1, s: 1000, min: 60_000, h: 3_600_000, d: 86_400_000 };
const secondsPer: Readonly<Record<string, number>> = { s: 1, min: 60, h: 3600, d: 86_400 };
const bytesPer: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1e3,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};
const scales = { ms: millisecondsPer, sec: secondsPer, bytes: bytesPer };

export type QuantityUnit = keyof typeof scales;

/** The number of milliseconds, seconds or bytes that `text` names, or undefined when it is not such a quantity. */
export function parseQuantity(unit: QuantityUnit, text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([a-zA-Z]+)$/.exec(text.trim());
  if (match === null) return undefined;
  const scale = Object.hasOwn(scales[unit], match[2]!) ? scales[unit][match[2]!] : undefined;
  if (scale === undefined) return undefined;
  const value = Number(match[1]) * scale;
  return Number.isSafeInteger(value) ? value : undefined;
}

/** The unit of a setting, where its values may be written as quantities. */
export function quantityUnit(unit: string | undefined): QuantityUnit | undefined {
  return unit === 'ms' || unit === 'sec' || unit === 'bytes' ? unit : undefined;
}

/** The shortest exact form: 65536 bytes is `64KiB`, 90000 ms is `90s`. */
export function formatQuantity(unit: QuantityUnit, value: number): string {
  const names = unit === 'bytes' ? ['TiB', 'GiB', 'MiB', 'KiB'] : ['d', 'h', 'min', 's'];
  for (const name of names) {
    const scale = scales[unit][name]!;
    if (value >= scale && value % scale === 0) return `${value / scale}${name}`;
  }
  return `${value}${unit === 'bytes' ? 'B' : unit === 'ms' ? 'ms' : 's'}`;
}

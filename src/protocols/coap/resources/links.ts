// Links in the format of CoRE (RFC 6690): read, written, and chosen by a query.

export type LinkAttribute = { readonly name: string; /** Absent: it has none. */ readonly value?: string };
export type Link = { readonly target: string; readonly attributes: readonly LinkAttribute[] };

/** RFC 6690 §2: undefined when it cannot be read. */
export function parseLinks(text: string): Link[] | undefined {
  const links: Link[] = [];
  const reader = new LinkReader(text);
  reader.skipSpace();
  if (reader.atEnd) return links;
  for (;;) {
    const link = reader.link();
    if (link === undefined) return undefined;
    links.push(link);
    if (reader.atEnd) return links;
    if (!reader.take(',')) return undefined;
    reader.skipSpace();
  }
}

class LinkReader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get atEnd(): boolean {
    return this.#at >= this.#text.length;
  }

  skipSpace(): void {
    while (' \t\r\n'.includes(this.#text[this.#at] ?? 'x')) this.#at++;
  }

  take(character: string): boolean {
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  link(): Link | undefined {
    if (!this.take('<')) return undefined;
    const end = this.#text.indexOf('>', this.#at);
    if (end < 0) return undefined;
    const target = this.#text.slice(this.#at, end);
    this.#at = end + 1;
    const attributes: LinkAttribute[] = [];
    for (this.skipSpace(); this.take(';'); this.skipSpace()) {
      this.skipSpace();
      const attribute = this.#attribute();
      if (attribute === undefined) return undefined;
      attributes.push(attribute);
    }
    return { target, attributes };
  }

  #attribute(): LinkAttribute | undefined {
    const name = this.#while(/[!#$&+\-.^_`|~0-9A-Za-z*]/);
    if (name === '') return undefined;
    this.skipSpace();
    if (!this.take('=')) return { name };
    this.skipSpace();
    if (!this.take('"')) {
      const value = this.#while(/[^\s,;"<>\\]/);
      return value === '' ? undefined : { name, value };
    }
    let value = '';
    for (;;) {
      const character = this.#text[this.#at++];
      if (character === undefined) return undefined;
      if (character === '"') return { name, value };
      if (character === '\\') {
        const escaped = this.#text[this.#at++];
        if (escaped === undefined) return undefined;
        value += escaped;
      } else value += character;
    }
  }

  #while(pattern: RegExp): string {
    const start = this.#at;
    while (this.#at < this.#text.length && pattern.test(this.#text[this.#at]!)) this.#at++;
    return this.#text.slice(start, this.#at);
  }
}

export function formatLinks(links: Iterable<Link>): string {
  return Array.from(links, ({ target, attributes }) => [`<${target}>`, ...attributes.map(formatAttribute)].join(';')).join(',');
}

function formatAttribute({ name, value }: LinkAttribute): string {
  if (value === undefined) return name;
  // RFC 6690 §2: ct and sz are numbers, or several in quotes.
  if (/^\d+$/.test(value) && (name === 'ct' || name === 'sz')) return `${name}=${value}`;
  return `${name}="${value.replaceAll(/["\\]/g, '\\$&')}"`;
}

export function attributeOf({ attributes }: Link, name: string): string | undefined {
  return attributes.find((one) => one.name === name)?.value;
}

/** RFC 6690 §4.1: `href=/x*`, `rt=a`: a value that ends in `*` is a beginning; several values in one attribute are each looked at. */
export function matchesQuery(link: Link, query: ReadonlyMap<string, string>): boolean {
  for (const [name, wanted] of query) if (!matchesOne(link, name, wanted)) return false;
  return true;
}

export function matchesOne(link: Link, name: string, wanted: string): boolean {
  if (name === 'href') return matchesValue(link.target, wanted);
  return link.attributes.some((one) => one.name === name && (one.value ?? '').split(' ').some((value) => matchesValue(value, wanted)));
}

export function matchesValue(value: string, wanted: string): boolean {
  return wanted.endsWith('*') ? value.startsWith(wanted.slice(0, -1)) : value === wanted;
}

/** A path as a target: segments percent-encoded (RFC 3986 §3.3). */
export function pathTarget(segments: readonly string[]): string {
  return segments
    .map((segment) => `/${encodeURIComponent(segment).replaceAll(/%(21|24|26|27|28|29|2A|2B|2C|3A|3B|3D|40)/g, decodeURIComponent)}`)
    .join('');
}

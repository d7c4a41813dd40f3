// Asks another machine for a JSON object over HTTP: key sets of issuers, webhooks. Bounded in time and size; what would let somebody on
// the way answer instead, or lead elsewhere, is refused.

/** A failure in one word for metrics and the log. */
export type OutboundFault = 'unreachable' | 'timed-out' | 'status' | 'too-large' | 'not-json';

export type OutboundAnswer =
  | { readonly ok: true; readonly status: number; readonly value: Readonly<Record<string, unknown>> }
  | { readonly ok: false; readonly fault: OutboundFault; readonly status?: number };

export type OutboundRequest = {
  readonly url: string;
  readonly timeoutMs: number;
  /** Most bytes of the answer. */
  readonly maxBytes: number;
  /** Absent: it is a GET. */
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Ends it early. */
  readonly signal?: AbortSignal;
};

/** What is wrong with an address, as the end of "<setting> …"; undefined when nothing is. */
export function outboundUrlFault(text: string): string | undefined {
  if (!URL.canParse(text)) return 'is no URL';
  const { protocol, hostname, username, password, hash } = new URL(text);
  if (username !== '' || password !== '') return 'holds a name or a password';
  if (hash !== '') return 'ends in a fragment (#), which is never sent';
  if (protocol === 'https:') return undefined;
  if (protocol !== 'http:') return 'must begin with https://';
  // Nobody stands between this process and its own machine.
  return isLoopbackName(hostname) ? undefined : 'must begin with https://, for whoever is on the way could answer instead';
}

function isLoopbackName(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(hostname);
}

/** Never rejects. Answers of any status come back, if they are JSON objects; redirects are failures. */
export async function askJson({ url, timeoutMs, maxBytes, body, headers = {}, signal }: OutboundRequest): Promise<OutboundAnswer> {
  const timeout = AbortSignal.timeout(timeoutMs);
  try {
    const response = await fetch(url, {
      method: body === undefined ? 'GET' : 'POST',
      // A redirect would lead to an address that nobody has configured, and take the credentials along.
      redirect: 'error',
      headers: { accept: 'application/json', ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
      ...(body !== undefined && { body }),
      signal: signal === undefined ? timeout : AbortSignal.any([timeout, signal]),
    });
    const text = await textOf(response, maxBytes);
    if (text === undefined) return { ok: false, fault: 'too-large', status: response.status };
    const value = objectOf(text);
    if (value === undefined) return { ok: false, fault: response.ok ? 'not-json' : 'status', status: response.status };
    return { ok: true, status: response.status, value };
  } catch {
    return { ok: false, fault: timeout.aborted ? 'timed-out' : 'unreachable' };
  }
}

/** Undefined: it is larger. What is too large is not read to its end. */
async function textOf(response: Response, maxBytes: number): Promise<string | undefined> {
  if (response.body === null) return '';
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  // Leaving the loop cancels the rest.
  for await (const piece of response.body) {
    bytes += piece.length;
    if (bytes > maxBytes) return undefined;
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString('utf8');
}

function objectOf(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

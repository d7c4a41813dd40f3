// Which web pages may open a WebSocket. Browsers tell the page's origin and let any page connect anywhere, also to this machine.

/** Pages that this machine itself serves. */
export const localOrigins: readonly string[] = ['http', 'https'].flatMap((scheme) =>
  ['localhost', '127.0.0.1', '[::1]'].flatMap((host) => [`${scheme}://${host}`, `${scheme}://${host}:*`]),
);

/** `allowed` holds origins in lower case; `:*` at the end stands for any port. */
export function allowsOrigin(allowed: readonly string[], origin: string): boolean {
  const asked = origin.toLowerCase();
  const anyPort = asked.replace(/:\d+$/, ':*');
  return allowed.some((each) => each === asked || each === anyPort);
}

// Serial numbers of 32 bits (RFC 1982, AMQP 1.0 §2.8.10): they wrap, and of two the earlier is the one from which the other is
// reached sooner.

/** `a + by`, wrapped. */
export function serialAdd(a: number, by: number): number {
  return (a + by) >>> 0;
}

/** How far `to` is after `from`; negative when it is before. */
export function serialDistance(from: number, to: number): number {
  return (to - from) | 0;
}

/** Whether `a` is before `b`. */
export function isBefore(a: number, b: number): boolean {
  return ((a - b) | 0) < 0;
}

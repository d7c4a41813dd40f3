// What went wrong, in a form by which the same failure is recognised.

export type Failure = {
  /** Equal for inputs that fail in the same way. */
  readonly key: string;
  readonly text: string;
};

export function failureOf(error: unknown): Failure {
  if (!(error instanceof Error)) return { key: `thrown: ${typeof error}`, text: `something that is no Error was thrown: ${String(error)}` };
  const stack = error.stack ?? '';
  const frame = stack.split('\n').find((line) => /^\s+at /.test(line) && !line.includes('node:'));
  const place = frame?.replace(/^.*\/((?:src|test|sim)\/[^)]*?)\)?$/, '$1').trim() ?? 'nowhere';
  const firstLine = error.message.split('\n')[0]!.replace(/\d+/g, 'N').slice(0, 100);
  return { key: `${error.name} at ${place}: ${firstLine}`, text: stack };
}

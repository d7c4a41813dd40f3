import { Output } from '../../../../base/output.ts';

/** What `write` puts into an output, as one piece. */
export function written(write: (output: Output) => void): Uint8Array {
  const output = new Output(() => {});
  write(output);
  return new Uint8Array(Buffer.concat(output.takeChunks()));
}

// When the reader of what we print goes away (`heliograph … | head`).

let ends = true;

/** A command that nobody reads has nothing left to do. To be called once, before anything is printed. */
export function watchClosedOutput(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
      if (ends) process.exit();
    });
  }
}

/** For a broker: it serves, whether or not somebody reads what it prints. */
export function goOnWithoutReaders(): void {
  ends = false;
}

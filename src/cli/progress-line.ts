/** One line on a terminal that is written over and over; nothing where there is no terminal. */
export function progressLine(wanted: boolean): { show(text: string): void; clear(): void } {
  if (!wanted || !process.stderr.isTTY) return { show() {}, clear() {} };
  const start = '\r\u001b[K';
  return {
    show: (text) => void process.stderr.write(`${start}${text.slice(0, process.stderr.columns - 1)}`),
    clear: () => void process.stderr.write(start),
  };
}

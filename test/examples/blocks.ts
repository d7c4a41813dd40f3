// Shell examples of the documentation: fenced blocks marked `sh`, with the comment that may stand right before one.
//
//   <!-- run: background -->     starts and stays until the page is done, or until another broker is started
//   <!-- run: stopped -->        with the page's broker stopped
//   <!-- run: before -->         before the page's broker is started for the first time
//   <!-- run: no, WHY -->        cannot run here, and why
//
// A block marked `yaml` becomes the file heliograph.yaml, for the examples after it.
//   <!-- run: as admin -->       with the password of the page's broker in HELIOGRAPH_PASSWORD

export type Example = {
  readonly file: string;
  readonly line: number;
  readonly script: string;
  readonly how: 'run' | 'configuration' | 'background' | 'stopped' | 'before' | 'admin' | { readonly no: string };
};

const opening = /^```(sh|yaml)\s*$/;
const closing = /^```\s*$/;
const remark = /^<!-- run: (.+) -->$/;

/** @throws Error when a comment says what nobody understands */
export function examplesIn(file: string, markdown: string): Example[] {
  const lines = markdown.split('\n');
  const examples: Example[] = [];
  for (let i = 0; i < lines.length; i++) {
    const language = opening.exec(lines[i]!)?.[1];
    if (language === undefined) continue;
    const start = i + 1;
    let end = start;
    while (end < lines.length && !closing.test(lines[end]!)) end++;
    examples.push({
      file,
      line: start + 1,
      script: lines.slice(start, end).join('\n'),
      how: language === 'yaml' ? 'configuration' : howOf(file, i, lines),
    });
    i = end;
  }
  return examples;
}

function howOf(file: string, at: number, lines: readonly string[]): Example['how'] {
  let before = at - 1;
  while (before >= 0 && lines[before] === '') before--;
  const said = remark.exec(lines[before] ?? '')?.[1];
  if (said === undefined) return 'run';
  if (said === 'background' || said === 'stopped' || said === 'before') return said;
  if (said === 'as admin') return 'admin';
  if (said.startsWith('no, ')) return { no: said.slice(4) };
  throw new Error(`${file}:${before + 1}: "run: ${said}" is not understood; say background, stopped, before, as admin, or no, WHY`);
}

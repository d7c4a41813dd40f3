// Passwords come from the terminal without echo, or from standard input; never from an argument, which every user of the
// machine could read in the list of processes.

import { stdin, stderr } from 'node:process';
import { UserError } from '../base/user-error.ts';

const maxInputBytes = 4096;
const enter = new Set(['\r', '\n', '\u0004']);
const erase = new Set(['\u007f', '\b']);
const interrupt = '\u0003';

/** Asks twice on a terminal; otherwise takes the first line of standard input. */
export async function readNewPassword(): Promise<string> {
  if (!stdin.isTTY) return firstLine();
  const first = await ask('Password: ');
  if (first !== (await ask('Again: '))) throw new UserError('The two passwords differ.', { fix: 'try again' });
  return first;
}

/** Asks once, on a terminal. */
export function askPassword(prompt: string): Promise<string> {
  return ask(prompt);
}

async function firstLine(): Promise<string> {
  let text = '';
  stdin.setEncoding('utf8');
  for await (const chunk of stdin) {
    text += chunk as string;
    if (text.includes('\n') || text.length > maxInputBytes) break;
  }
  const [line = ''] = text.split(/\r?\n/);
  if (line === '') throw new UserError('No password was given.', { fix: 'write it to standard input, or use --generate' });
  return line;
}

function ask(prompt: string): Promise<string> {
  stderr.write(prompt);
  stdin.setEncoding('utf8');
  stdin.setRawMode(true);
  stdin.resume();
  return new Promise((resolve, reject) => {
    let text = '';
    const end = () => {
      stdin.off('data', onData);
      stdin.setRawMode(false);
      stdin.pause();
      stderr.write('\n');
    };
    const onData = (data: string) => {
      for (const character of data) {
        if (character === interrupt) {
          end();
          return reject(new UserError('Cancelled.', { exitCode: 130 }));
        }
        if (enter.has(character)) {
          end();
          return resolve(text);
        }
        text = erase.has(character) ? text.replace(/.$/su, '') : text + character;
      }
    };
    stdin.on('data', onData);
  });
}

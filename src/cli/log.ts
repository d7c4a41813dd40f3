// The log of a running node, on pino: JSON lines, or lines for people on a terminal. It goes to standard error, so that what a
// command prints can be piped on.

import { pino, type DestinationStream } from 'pino';
import type { Log, LogFields } from '../base/log.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

export interface NodeLog extends Log {
  setLevel(level: LogLevel): void;
  /** Writes what is buffered before the process ends. */
  flush(): void;
}

export type LogOptions = {
  readonly node: string;
  readonly level: LogLevel;
  readonly format: 'auto' | 'json' | 'pretty';
};

/** A second line of defence: no caller should put these into a field at all. */
const neverShown = ['password', 'secret', 'token', 'privateKey', 'key'];

export function createLog(options: LogOptions): NodeLog {
  const wire = pino.destination({ dest: 2, sync: false });
  // A reader that went away (`heliograph serve 2>&1 | head`) must not end the broker.
  wire.on('error', () => {});
  const pretty = options.format === 'pretty' || (options.format === 'auto' && process.stderr.isTTY);
  const colour = process.stderr.isTTY && process.env['NO_COLOR'] === undefined;
  const destination: DestinationStream = pretty ? { write: (line) => wire.write(prettyLine(line, colour)) } : wire;
  return fromPino(options, destination, () => {
    try {
      wire.flushSync();
    } catch {
      // Nothing was opened yet, or nobody reads any more.
    }
  });
}

/** For tests: the same log into any stream. */
export function createLogInto(options: LogOptions, destination: DestinationStream): NodeLog {
  const pretty = options.format === 'pretty';
  return fromPino(options, pretty ? { write: (line) => destination.write(prettyLine(line, false)) } : destination, () => {});
}

function fromPino(options: LogOptions, destination: DestinationStream, flush: () => void): NodeLog {
  const logger = pino(
    {
      level: options.level,
      messageKey: 'event',
      base: { node: options.node },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (level) => ({ level }) },
      redact: { paths: neverShown, censor: '(hidden)' },
    },
    destination,
  );
  const none: LogFields = {};
  return {
    debug: (event, fields) => logger.debug(fields ?? none, event),
    info: (event, fields) => logger.info(fields ?? none, event),
    warn: (event, fields) => logger.warn(fields ?? none, event),
    error: (event, fields) => logger.error(fields ?? none, event),
    setLevel: (level) => {
      logger.level = level;
    },
    flush,
  };
}

const colours: Readonly<Record<string, string>> = { debug: '\u001b[90m', info: '\u001b[32m', warn: '\u001b[33m', error: '\u001b[31m' };
const shownElsewhere: ReadonlySet<string> = new Set(['level', 'time', 'node', 'event']);

/** `12:00:01.234 INFO  listener opened  name=mqtt port=1883` */
function prettyLine(json: string, colour: boolean): string {
  const record = JSON.parse(json) as Record<string, unknown>;
  const level = String(record['level']);
  const time = localTime(new Date(String(record['time'])));
  const fields = Object.entries(record)
    .filter(([key]) => !shownElsewhere.has(key))
    .map(([key, value]) => `${key}=${shownValue(value)}`)
    .join(' ');
  const label = level.toUpperCase().padEnd(5);
  const shownLabel = colour ? `${colours[level] ?? ''}${label}\u001b[0m` : label;
  return `${time} ${shownLabel} ${shownValue(record['event'], ' ')}${fields === '' ? '' : `  ${fields}`}\n`;
}

function localTime(at: Date): string {
  const two = (value: number) => String(value).padStart(2, '0');
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${String(at.getMilliseconds()).padStart(3, '0')}`;
}

/** What peers chose (client identifiers, topics) is quoted unless harmless, so that it cannot forge lines or drive a terminal. */
function shownValue(value: unknown, alsoPlain = ''): string {
  const text = String(value);
  const plain = /^[\w.:/@+#$-]+$/.test(alsoPlain === '' ? text : text.replaceAll(alsoPlain, ''));
  // JSON escapes the C0 controls; DEL and the C1 controls act on some terminals, too.
  return plain
    ? text
    : JSON.stringify(text).replaceAll(/[\u007f-\u009f\u2028\u2029]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

// A mistake in the configuration: where it is, what is wrong, how to mend it.

import { UserError } from '../base/user-error.ts';

/** The command line and configuration errors' exit code; docs/commands.md lists them. */
export const wrongUsageExitCode = 2;

export type Problem = {
  /** As the user named the file. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly column: number;
  /** Dotted path of the setting; empty for the file as a whole. */
  readonly path: string;
  readonly what: string;
  readonly fix: string;
};

/** One line: `heliograph.yaml:12:5: listeners.mqtt.port: must be … but is "abc". Fix: …` */
export function formatProblem({ file, line, column, path, what, fix }: Problem): string {
  return `${file}:${line}:${column}: ${path === '' ? '' : `${path}: `}${what}. Fix: ${fix}.`;
}

/** Everything that is wrong with a configuration, all at once. */
export class ConfigError extends UserError {
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    const file = problems[0]?.file ?? 'configuration';
    super(problems.map(formatProblem).join('\n'), { where: file, exitCode: wrongUsageExitCode });
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

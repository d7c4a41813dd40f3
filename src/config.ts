// The configuration: one schema, one YAML file. Every default and limit of the house is in config/sections, with its unit.

import { readFileSync } from 'node:fs';
import { UserError } from './base/user-error.ts';
import { checkYaml, defaultsOf } from './config/check.ts';
import { ConfigError, wrongUsageExitCode, type Problem } from './config/problem.ts';
import { violations } from './config/relations.ts';
import { schemaTree, type Config } from './config/schema.ts';

export { differences, withLiveChanges, type Change } from './config/difference.ts';
export { ConfigError, formatProblem } from './config/problem.ts';
export type { Config, ListenerConfig } from './config/schema.ts';

/** The configuration without a file. */
export function defaultConfig(): Config {
  return defaultsOf(schemaTree) as Config;
}

/**
 * Checks the text of a configuration file; `file` is only used to name it.
 * @throws ConfigError with every mistake
 */
export function parseConfig(file: string, source: string): Config {
  const checked = checkYaml(file, source, schemaTree);
  const problems: Problem[] = [...checked.problems];
  const config = checked.value as Config;
  // Relations between values that are each wrong already would only confuse.
  if (problems.length === 0) {
    for (const violation of violations(config)) problems.push({ file, ...checked.locate(violation.path), ...violation });
  }
  if (problems.length > 0) throw new ConfigError(problems.sort((a, b) => a.line - b.line || a.column - b.column));
  return config;
}

/**
 * Reads and checks a configuration file; without one, the defaults.
 * @throws UserError when it cannot be read, ConfigError when it has mistakes
 */
export function loadConfig(file: string | undefined): Config {
  if (file === undefined) return defaultConfig();
  let source: string;
  try {
    source = readFileSync(file, 'utf8');
  } catch (error) {
    throw new UserError(`The configuration cannot be read: ${(error as Error).message}`, {
      where: file,
      fix: 'check the path, and that this user may read the file',
      exitCode: wrongUsageExitCode,
      cause: error,
    });
  }
  return parseConfig(file, source);
}

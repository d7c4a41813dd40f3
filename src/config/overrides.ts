// What the command line changes in a configuration.

import { UserError } from '../base/user-error.ts';
import type { logLevels } from './sections/log.ts';
import { wrongUsageExitCode } from './problem.ts';
import type { Config } from './schema.ts';
import { isLoopback, violations } from './relations.ts';

export type Overrides = {
  readonly data?: string;
  /** Everything on loopback; anonymous peers may do everything. */
  readonly dev?: boolean;
  readonly portOffset?: number;
  readonly logLevel?: (typeof logLevels)[number];
};

const highestPort = 65_535;
const lowestShiftedPort = 1024;

/** Ports that the offset would lift above the highest go on from 1024: some protocols live near the end of the range. */
export function shiftedPort(port: number, offset: number): number {
  const shifted = port + offset;
  return shifted > highestPort && offset <= highestPort ? shifted - highestPort + lowestShiftedPort - 1 : shifted;
}

/**
 * The configuration with the command line's changes; the one given is left alone.
 * @throws UserError when the changes do not fit it
 */
export function withOverrides(config: Config, overrides: Overrides): Config {
  const changed = structuredClone(config);
  if (overrides.data !== undefined) changed.node.dataDir = overrides.data;
  if (overrides.logLevel !== undefined) changed.log.level = overrides.logLevel;
  for (const [name, listener] of Object.entries(changed.listeners)) {
    if (overrides.dev === true && !isLoopback(listener.host)) listener.host = '127.0.0.1';
    // Port 0 stays: the system chooses.
    if (listener.port !== 0) listener.port = shiftedPort(listener.port, overrides.portOffset ?? 0);
    if (listener.port < 0 || listener.port > highestPort) {
      throw new UserError(`With --port-offset ${overrides.portOffset}, listener ${name} would be on port ${listener.port}`, {
        where: `listeners.${name}.port`,
        fix: 'choose an offset that keeps every port within 1 to 65535',
        exitCode: wrongUsageExitCode,
      });
    }
  }
  const [first] = violations(changed);
  if (first === undefined) return changed;
  throw new UserError(first.what, { where: first.path, fix: first.fix, exitCode: wrongUsageExitCode });
}

// What the process says when it ends. Documented in `heliograph --help`.

import { wrongUsageExitCode } from '../config/problem.ts';

export const exitCodes = {
  ok: 0,
  failed: 1,
  /** The command line or the configuration is wrong. */
  wrongUsage: wrongUsageExitCode,
  /** A broken invariant: a bug. What was acknowledged is on the disk. */
  bug: 70,
} as const;

export const exitCodesHelp = `
Exit codes:
  0    done; for serve: stopped by SIGTERM or SIGINT after everything was written
  1    it could not be done; the message says why
  2    the command line or the configuration is wrong
  70   a bug in Heliograph; what was acknowledged is on the disk
  130  cut short by a second SIGINT (143: SIGTERM)
`;

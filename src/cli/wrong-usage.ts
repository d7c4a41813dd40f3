import { UserError } from '../base/user-error.ts';
import { exitCodes } from './exit-codes.ts';

/** Of a command line that cannot be meant. */
export function wrongUsage(what: string, fix: string): UserError {
  return new UserError(what, { fix, exitCode: exitCodes.wrongUsage });
}

// A journal's refusal in the words of the command line.

import { UserError } from '../../base/user-error.ts';
import { JournalError } from '../journal.ts';

/** @throws UserError for a JournalError; anything else is thrown on */
export function asUserError(error: unknown): UserError {
  if (error instanceof UserError) return error;
  if (!(error instanceof JournalError)) throw error;
  return new UserError(error.message, { where: error.where, fix: fixOf(error), cause: error });
}

export function fixOf(error: JournalError): string {
  switch (error.code) {
    case 'locked':
      return 'stop the broker that uses this directory, and run the command again';
    case 'full':
      return 'free some space, and run the command again';
    case 'corrupt':
    case 'missing':
      return 'stop the broker, and put the last backup of the data directory in its place';
    case 'version':
      return 'use the version of Heliograph that wrote it';
    case 'io':
      return 'look at the state of the disk, and at the rights of the directory and its files';
  }
}

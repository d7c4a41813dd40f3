// How a store that cannot do its part gets out of an operation: thrown by what runs the statements, and turned into a value at the
// door of the registry. Nothing else is thrown on purpose.

import type { RegistryError, RegistryErrorCode, Result } from '../registry.ts';

export class RegistryFailure extends Error {
  readonly code: RegistryErrorCode;

  constructor(code: RegistryErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'RegistryFailure';
    this.code = code;
  }

  toError(): RegistryError {
    return { code: this.code, message: this.message };
  }
}

/** A failure as a result; anything else is a bug and thrown on. */
export function refusalOf(error: unknown): Result<never> {
  if (error instanceof RegistryFailure) return { ok: false, error: error.toError() };
  throw error;
}

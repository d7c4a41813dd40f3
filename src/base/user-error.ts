// A mistake that its reader can mend: what happened, where, and what to do next. The command line prints these without a
// stack and exits with `exitCode`.

export class UserError extends Error {
  readonly where: string | undefined;
  readonly fix: string | undefined;
  readonly exitCode: number;

  constructor(what: string, options: { where?: string; fix?: string; exitCode?: number; cause?: unknown } = {}) {
    super(what, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'UserError';
    this.where = options.where;
    this.fix = options.fix;
    this.exitCode = options.exitCode ?? 1;
  }
}
